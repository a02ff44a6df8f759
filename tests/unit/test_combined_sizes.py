"""Sheets with sizes in one cell, in other languages, and with cells that hold too much."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dam_connector.errors import InputError
from dam_connector.usecases.batch_rows import map_columns
from schemas.combined_sizes import is_combined_size, looks_combined, order_of, read_sizes, unit_of
from schemas.numbers_and_units import METRES_PER_UNIT
from schemas.sheet_reader import read_sheet
from tests.unit.test_sheet_cases import one, read, refusal, sizes

LETTERS = {"W": "width", "D": "depth", "H": "height"}
AXES = ("width", "height", "depth")


@pytest.mark.parametrize(
    ("header", "cell", "metres"),
    [
        ("Dimensions (L x W x H, cm)", "40 x 30 x 12", (0.30, 0.12, 0.40)),
        ("W x D x H (mm)", "400 x 300 x 120", (0.4, 0.12, 0.3)),
        ("Maße (BxHxT) in cm", '"46,5 x 81 x 50"', (0.465, 0.81, 0.5)),
        ("Abmessungen (B/H/T)", "46 × 81 × 50 cm", (0.46, 0.81, 0.5)),
        ("Dimensions L x P x H (cm)", "46*50*81", (0.46, 0.81, 0.5)),
        ("Size (W x D x H, in)", '"18"" x 20"" x 3/4"""', (0.4572, 0.01905, 0.508)),
        ("Dimensions", '"W 40 cm, H 30 cm, D 12 cm"', (0.4, 0.3, 0.12)),
        ("Dimensions", "40W x 30D x 12H in", (1.016, 0.3048, 0.762)),
        ("Measurements", "H: 80 cm W: 46 cm D: 50 cm", (0.46, 0.8, 0.5)),
        ("Item Dimensions", "20 cm dia x 30 cm H", (0.2, 0.3, 0.2)),
        ("Size", "XL", (None, None, None)),
        ("Size", "42", (None, None, None)),
    ],
)
def test_sizes_in_one_cell(header: str, cell: str, metres: tuple[float | None, ...]) -> None:
    assert sizes(one(f'sku,name,"{header}"\nA1,Chair,{cell}\n')) == metres


@pytest.mark.parametrize("header", ["Dimensions", "Size (in)", "Maße"])
def test_an_order_that_nothing_says_is_asked_about(header: str) -> None:
    found, notes = read(f"sku,name,{header}\nA1,C,40 x 30 x 12 cm\nA2,D,50 x 40 x 20 cm\n")
    assert [sizes(product) for product in found] == [(None, None, None)] * 2
    assert "2 rows have their sizes in one cell (40 x 30 x 12 cm)" in notes
    assert f"{header.split(' (', maxsplit=1)[0]} (W x D x H, {'in' if 'in' in header else 'cm'})" in notes


@pytest.mark.parametrize(
    "cell", ["40 x 30 cm", "40 cm x 30 x 12", "W 40 x 30 x 12", "40 x 40 x 30 x 12", "about 40"]
)
def test_a_cell_that_is_no_size_is_refused(cell: str) -> None:
    assert "/dimensions" in refusal(f"sku,name,Dimensions (W x D x H)\nA1,C,{cell}\n")


def test_two_columns_that_disagree_are_asked_about() -> None:
    sheet = "sku,name,width,Dimensions (WxDxH)\nA1,C,{} cm,30 x 40 x 50 cm\n"
    assert "another width" in refusal(sheet.format(40))
    assert sizes(one(sheet.format(30))) == (0.3, 0.5, 0.4)


@given(
    order=st.permutations(sorted(LETTERS)),
    numbers=st.lists(st.integers(1, 9000), min_size=3, max_size=3),
    unit=st.sampled_from(sorted(METRES_PER_UNIT)),
    between=st.sampled_from([" x ", "x", " × ", " X ", "*"]),
    place=st.sampled_from(["header", "cells", "labels"]),
)
def test_whatever_the_order_each_size_is_on_its_axis(
    order: list[str], numbers: list[int], unit: str, between: str, place: str
) -> None:
    header = f"Dimensions ({between.join(order)}{', ' + unit if place == 'header' else ''})"
    cell = f"{between.join(map(str, numbers))}{'' if place == 'header' else ' ' + unit}"
    if place == "labels":
        header, labelled = "Dimensions", [f"{n}{axis}" for n, axis in zip(numbers, order, strict=True)]
        cell = f"{between.join(labelled)} {unit}"
    expected = {LETTERS[axis]: n * METRES_PER_UNIT[unit] for axis, n in zip(order, numbers, strict=True)}
    found = sizes(one(f'sku,name,"{header}"\nA1,C,{cell}\n'))
    assert found == pytest.approx(tuple(expected[axis] for axis in AXES), abs=1e-6)


@pytest.mark.parametrize(
    "name", ["Package Size", "Seat Height", "Size Chart", "Material", "Shipping dimensions"]
)
def test_other_columns_hold_no_sizes_of_the_product(name: str) -> None:
    assert not is_combined_size(name)


def test_names_show_order_and_unit() -> None:
    assert order_of("LxWxH") == ("depth", "width", "height") and order_of("Dimensions") == ()
    assert (unit_of('Size (")'), unit_of("Maße in cm"), unit_of("Size")) == ("in", "cm", "")


@pytest.mark.parametrize(
    "header",
    [
        "Réf;Désignation;Largeur (cm);Hauteur (cm);Profondeur (cm);URL image",
        "Referencia;Nombre;Ancho (cm);Alto (cm);Fondo (cm);URL imagen",
        "Codice articolo;Nome prodotto;Larghezza (cm);Altezza (cm);Profondità (cm);Immagine",
        "Artikelcode;Productnaam;Breedte (cm);Hoogte (cm);Diepte (cm);Afbeelding",
        "Kod produktu;Nazwa;Szerokość (cm);Wysokość (cm);Głębokość (cm);Zdjęcie",
    ],
)
def test_headers_of_other_languages(header: str) -> None:
    product = one(f"{header}\nA1;Chaise;46;80;50;https://h.example/a.jpg\n")
    assert (product.sku, product.name, *sizes(product), len(product.images)) == (
        "A1",
        "Chaise",
        0.46,
        0.8,
        0.5,
        1,
    )


@pytest.mark.parametrize("unit", ["centimètres", "см", "厘米", "centímetros"])
def test_units_of_other_languages(unit: str) -> None:
    assert sizes(one(f"sku,name,width,unit\nA1,C,46,{unit}\n"))[0] == 0.46


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ('"http://h/a.jpg, http://h/b.jpg"', "2 addresses"),
        ("http://h/a.jpg|http://h/b.jpg", "2 addresses"),
        ('"http://h/a.jpg\nhttp://h/b.jpg"', "2 addresses"),
        ('"=HYPERLINK(""http://h/a.jpg"",""photo"")"', "more than an address"),
        ("[a](http://h/a.jpg)", "more than an address"),
        ("file:///C:/a.jpg", "no address on the web"),
        ("ftp://h/a.jpg", "no address on the web"),
    ],
)
def test_a_cell_with_more_or_less_than_an_address_is_refused(cell: str, words: str) -> None:
    assert words in refusal(f"sku,name,image_url\nA1,C,{cell}\n")


@pytest.mark.parametrize(
    "url", ["HTTPS://h/a.jpg", "https://h/get?u=http://x/a.jpg", "https://h/my photo.jpg"]
)
def test_an_address_that_only_looks_odd_is_taken(url: str) -> None:
    assert one(f"sku,name,image_url\nA1,C,{url}\n").images[0].url == url


def test_an_expiry_before_the_embargo_is_refused() -> None:
    words = refusal("sku,name,live_from,live_until\nA1,C,2026-12-01,2026-11-01\n")
    assert "/live_until" in words and "nothing would ever be live" in words


def test_a_line_of_totals_is_said() -> None:
    _, notes = read("sku,name\nA1,C\n\nSumme:,1 Produkt\n")
    assert 'Row 4 looks like a line of totals ("Summe")' in notes


def test_a_sheet_without_rows_is_refused() -> None:
    with pytest.raises(InputError, match="no row below"):
        map_columns(read_sheet(b"sku,name\n"), {})


@pytest.mark.parametrize("blanks", [" ", "\n", " \n", "\t "])
def test_a_cell_full_of_blanks_is_read_in_one_pass(blanks: str) -> None:
    run = blanks * (20_000 // len(blanks))  # the search for parts took a minute
    assert looks_combined(f"40{run}x 30 x 12") and not looks_combined(f"40{run}z")
    assert read_sizes(f"40W x 30D x{run}12H cm", "dimensions")["height"] == "12 cm"
