"""Sheets: what people upload, read as they meant it; what cannot be meant is told with its place."""

import csv
import io

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dam_connector.domain.ids import Sku
from dam_connector.domain.product import Dimensions, Product, View
from dam_connector.domain.row_request import RowRequest, apply_request, request_type_of
from dam_connector.domain.size_doubts import doubtful_size
from dam_connector.errors import InputError
from schemas.sheet_headers import COLUMNS, guess_columns
from schemas.sheet_language_columns import translation_columns
from schemas.sheet_reader import read_sheet
from schemas.sheet_rows import product_row, read_row, survey_sheet
from schemas.sheet_template import csv_text, sheet_template
from tests.support import product
from tests.unit.test_checks import RULES

ROWS = [
    ["sku", "title", "image_url", "brand"],
    ["CH1", "Größe – „Stuhl“", "https://x.example/a.jpg", "a;b,c\td"],
    ["CH2", "two\nlines", "u", "€"],
]


def written(delimiter: str = ",", rows: list[list[str]] = ROWS) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_all_common_kinds_of_csv_read_the_same(delimiter: str, encoding: str) -> None:
    sheet = read_sheet(written(delimiter).encode(encoding))
    assert sheet.header == tuple(ROWS[0])
    assert [list(cells.values()) for _, cells in sheet.rows] == ROWS[1:]


def test_lines_are_those_of_the_file_and_empty_ones_are_left_out() -> None:
    text = 'sku,name\n\nA,"one\ntwo"\n,\nB,three\n'
    assert [(line, cells["sku"]) for line, cells in read_sheet(text.encode()).rows] == [(3, "A"), (6, "B")]


def test_a_workbook_reads_like_a_csv() -> None:
    book = openpyxl.Workbook()
    for row in (["sku", "height", "name"], ["CH1", 33.5, None], ["CH2", 46.0, "Chair"]):
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    assert [dict(c) for _, c in read_sheet(out.getvalue()).rows] == [
        {"sku": "CH1", "height": "33.5", "name": ""},
        {"sku": "CH2", "height": "46", "name": "Chair"},
    ]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "sheet.empty"),
        (b"\n\n,,\n", "sheet.empty"),
        (b"PK\x03\x04 no workbook", "sheet.unreadable"),
        (b"sku,sku\nA,B\n", "sheet.header"),
        (b"\xff\xfea", "sheet.unreadable"),
    ],
)
@pytest.mark.issue(param="code")
def test_what_is_no_sheet_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(InputError) as refused:
        list(read_sheet(data).rows)
    assert refused.value.issue_code == code


def test_the_template_reads_back_and_its_example_is_a_product() -> None:
    for form in ("csv", "xlsx"):
        sheet = read_sheet(sheet_template(form))
        assert sheet.header == tuple(name for name, column in COLUMNS.items() if column.in_template)
        product, wrong = read_row(next(sheet.rows)[1], guess_columns(sheet.header))
        assert (
            not wrong
            and product is not None
            and product.sku == "CH123"
            and product.dimensions.height_m == pytest.approx(33.5 * 0.0254, abs=1e-6)
        )
        assert product.request == RowRequest(
            types=("studio", "lifestyle", "model"), images=2, aspect="4:5", formats=("glb", "usdz")
        )
        assert {i.view for i in product.images} == {View.FRONT, View.RIGHT}


def test_other_peoples_headers_are_understood() -> None:
    assert guess_columns(("sku", "title", "image_url", "brand", "style_tags")) == {
        "sku": "sku",
        "product_name": "title",
        "image_url": "image_url",
        "brand": "brand",
        "style_tags": "style_tags",
    }
    german = guess_columns(("Artikelnummer", "Bezeichnung", "Höhe", "Bild", "Kategorie"))
    assert german == {
        "sku": "Artikelnummer",
        "product_name": "Bezeichnung",
        "height": "Höhe",
        "image_url": "Bild",
        "category": "Kategorie",
    }
    found = guess_columns(
        ("Product Name", "SKU", "Image file name", "Colour", "Dimensions (height)", "Number of images")
    )
    assert (
        found["product_name"] == "Product Name"
        and found["image_url"] == "Image file name"
        and found["height"] == "Dimensions (height)"
    )


@pytest.mark.parametrize(
    ("column", "cell", "place"),
    [
        ("sku", "", "/sku"),
        ("height", "tall", "/height"),
        ("height", "-3", "/height"),
        ("unit", "cubits", "/unit"),
        ("number_of_images", "9", "/number_of_images"),
        ("number_of_images", "²", "/number_of_images"),
        ("aspect_ratio", "wide", "/aspect_ratio"),
        ("request_type", "Studio, Poster", "/request_type"),
    ],
)
@pytest.mark.issue("row.value")
def test_an_impossible_cell_is_reported_with_its_column(column: str, cell: str, place: str) -> None:
    cells = {**{name: c.example for name, c in COLUMNS.items()}, column: cell}
    product, wrong = read_row(cells, {name: name for name in COLUMNS})
    assert (
        product is None and [(i.code, i.pointer) for i in wrong] == [("row.value", place)] and wrong[0].remedy
    )


def test_numbers_as_people_write_them() -> None:
    mapping = {name: name for name in COLUMNS}
    for cell, metres in (("46", 0.46), ("46,5", 0.465), ("1 046.5", 10.465), ("1,046.5", 10.465)):
        product, _ = read_row({"sku": "A", "height": cell, "unit": "cm"}, mapping)
        assert product is not None and product.dimensions.height_m == pytest.approx(metres)


def test_a_request_narrows_and_tailors_what_the_rules_say() -> None:
    found = {d.name: d for d in RULES.deliverables}
    assert {request_type_of(d).value for d in found.values()} == {"studio", "lifestyle", "model"}
    only = RowRequest(
        types=("lifestyle",), images=3, aspect="1:1", formats=("webp", "glb"), channels=("shop",)
    )
    assert apply_request(found["packshot"], only) is None and apply_request(found["model"], only) is None
    made = apply_request(found["lifestyle"], only)
    assert made is not None and (made.count, made.aspect, made.formats, made.channels) == (
        3,
        "1:1",
        ("webp",),
        (),
    )
    assert apply_request(found["packshot"], RowRequest()) == found["packshot"]


def test_a_product_as_a_row_means_that_product_again() -> None:
    asked = RowRequest(
        types=("studio", "model"),
        images=3,
        aspect="4:5",
        prompt="calm",
        formats=("glb",),
        channels=("viewer",),
    )
    images = {"front": "https://x.example/f.jpg", "top": "dam:top.png"}
    thing = product(
        "A1",
        brand="Tarn",
        color="teal",
        images=images,
        inspiration_image="https://x.example/mood.jpg",
        attributes={"ean": "4006381333931", "season": "Spring 2027"},
    ).with_request(asked)
    row = product_row(thing)
    read, wrong = read_row(row, {name: name for name in row})
    assert wrong == [] and read == thing


def test_a_sheet_carries_codes_and_attributes() -> None:
    header = ("SKU", "EAN-13", "ASIN", "attributes.season", "Attribute.Care label", "attributes.", "note")
    cells = dict(
        zip(header, ("A1", " 4006381333931", "B000123456", "Spring", "wash, cold", "x", "y"), strict=True)
    )
    read, wrong = read_row(cells, guess_columns(header))
    assert (
        read
        and not wrong
        and dict(read.attributes)
        == {
            "gtin": "4006381333931",
            "asin": "B000123456",
            "season": "Spring",
            "Care label": "wash, cold",
        }
    )
    read, wrong = read_row({**cells, "attributes.season": "#REF!"}, guess_columns(header))
    assert read is None and "attributes.season is the error of a formula" in wrong[0].message


FORMULAS = ("=cmd|' /C calc'!A0", "+1+1", "-1", "-5.5", "+49 30 1", "@SUM(A1)", "=HYPERLINK(1)", " =1", "＝1")


@pytest.mark.parametrize(
    "cell",
    [*FORMULAS, "\ufeff=1", "\u200b\u00ad+1", "\x01@A", "\t=1", "\r=1", "\n=1", "\tx", "'=1", "'-1", "''@x"],
)
def test_no_cell_of_ours_is_a_formula_in_a_spreadsheet(cell: str) -> None:
    written_rows = list(csv.reader(io.StringIO(csv_text([["sku"], [cell]]), newline="")))
    assert written_rows == [["sku"], [f"'{cell}"]]


def test_plain_cells_are_written_as_they_are() -> None:
    plain = ["CH1", "it's", "'quoted'", "5", "1-2", "a=b", "", "'", "O'Neil"]
    assert csv_text([plain]) == ",".join(plain) + "\r\n"


CELLS = st.one_of(
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12),
    st.text("'=+-@\t\r\n ;,|\"a1＝", max_size=6),
).map(str.strip)


@settings(deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8), st.sampled_from(["csv", "xlsx"]))
def test_a_sheet_of_ours_reads_back_without_a_changed_value(rows: list[tuple[str, str]], form: str) -> None:
    header = ("sku", "=title")
    data = ("\ufeff" + csv_text([header, *rows])).encode()
    if form == "xlsx":  # a person opened the CSV in a spreadsheet and saved it as a workbook
        book = openpyxl.Workbook()
        for cells in csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")):
            book.worksheets[0].append(cells)
        saved = io.BytesIO()
        book.save(saved)
        data = saved.getvalue()
    sheet = read_sheet(data)
    found = [tuple(cells.get(name, "") for name in header) for _, cells in sheet.rows]
    assert sheet.header == header
    wanted = [row for row in rows if any(row)]
    assert found == (wanted if form == "csv" else [tuple(map(_as_workbook, row)) for row in wanted])


def _as_workbook(cell: str) -> str:
    """Return a cell as XML keeps it: a carriage return becomes a line feed."""
    return cell.replace("\r\n", "\n").replace("\r", "\n")


def test_negative_numbers_of_a_person_s_sheet_stay_numbers() -> None:
    rows = [cells["h"] for _, cells in read_sheet(b"sku,h\nA,-5\nB,+49\nC,'-5\nD,'+49\n").rows]
    assert rows == ["-5", "+49", "-5", "+49"]


def test_a_cell_as_long_as_a_book_is_no_header_and_is_passed_in_one_pass() -> None:
    book = "x" * 200_000  # looking for a unit in it as in a header took minutes
    sheet = read_sheet(f"sku,name,image_url\nA1,{book},a.jpg\n".encode())
    assert [cells["sku"] for _, cells in sheet.rows] == ["A1"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("name_de", ("name", "de")),
        ("Name (fr)", ("name", "fr")),
        ("product_name@de-AT", ("name", "de-AT")),
        ("Title de_CH", ("name", "de-CH")),
        ("description_fr", ("description", "fr")),
        ("Description [pt-BR]", ("description", "pt-BR")),
        ("colour.it", ("color", "it")),
        ("Farbe EN", ("color", "en")),
        ("material-nl", ("material", "nl")),
        ("name_id-ID", ("name", "id-ID")),
        ("name_id", None),
        ("color_no", None),
        ("material_code", None),
        ("brand_de", None),
        ("de", None),
        ("name", None),
        ("name_xx", None),
    ],
)
def test_columns_in_other_languages_are_recognised(name: str, found: tuple[str, str] | None) -> None:
    assert translation_columns([name], []) == ({name: found} if found else {})
    assert translation_columns([name], [name]) == {}


def test_texts_in_other_languages_become_the_product_s_translations() -> None:
    sheet = read_sheet(
        b"sku,name,Description,image_url,name_de,description_fr,color (de),name_id\n"
        b"A,Chair,A chair,u,Stuhl,Une chaise,rot,77\nB,Table,,u,,,,\n"
    )
    mapping = guess_columns(sheet.header)
    facts = survey_sheet(sheet, mapping)
    first, second = (read_row(cells, mapping, facts)[0] for _, cells in sheet.rows)
    assert first and first.description == "A chair" and product_row(first)["description"] == "A chair"
    assert first.translations == {
        "de": {"name": "Stuhl", "color": "rot"},
        "fr": {"description": "Une chaise"},
    }
    assert second and second.translations == {}
    assert (
        "Texts in other languages: name_de as name in de, description_fr as description in fr, "
        "color (de) as color in de." in facts.notes
    )


def test_a_spoiled_text_in_another_language_is_told_with_its_column() -> None:
    cells = {"sku": "A", "name_de": "#NAME?"}
    product, issues = read_row(cells, {"sku": "sku"})
    assert product is None and [(i.pointer, i.measured) for i in issues] == [("/name_de", "#NAME?")]


def test_the_explanation_in_the_template_is_no_sheet_of_products() -> None:
    sheet = read_sheet(sheet_template("xlsx"))
    assert sheet.notes == () and len(list(sheet.rows)) == 1 and "sku" in sheet.header


@pytest.mark.parametrize(
    ("facts", "axis", "words"),
    [
        ({"name": "Cactus", "height_m": 0.003}, "height", "3 mm; such products usually have about 22 cm"),
        ({"name": "Cactus", "height_m": 30.0}, "height", "30 m; such products usually have about 22 cm"),
        ({"name": "Kaktus", "height_m": 0.3, "width_m": 0.18}, "", ""),
        (
            {"name": "Chair", "width_m": 45.0, "height_m": 85.0},
            "height",
            "85 m; such products usually have about 85 cm",
        ),
        ({"name": "Xyzzy", "depth_m": 40.0}, "depth", "40 m; hardly any has"),
        ({"name": "Xyzzy", "depth_m": 4.0}, "", ""),
        ({"name": "Floor lamp", "height_m": 2.1}, "", ""),
        ({"name": "Chair"}, "", ""),
    ],
)
def test_a_size_of_another_unit_is_doubted(facts: dict[str, object], axis: str, words: str) -> None:
    sizes = {key: facts[key] for key in ("width_m", "height_m", "depth_m") if key in facts}
    product = Product(sku=Sku("A1"), name=str(facts["name"]), dimensions=Dimensions(**sizes))
    assert doubtful_size(product) == (axis, words)
