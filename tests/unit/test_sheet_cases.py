"""Sheets as people have them: each gives the right products, or says what is wrong and where."""

import io
import re
import zipfile

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dam_connector.domain.product import Product, View
from dam_connector.errors import InputError
from schemas.sheet_headers import guess_columns
from schemas.sheet_reader import read_sheet
from schemas.sheet_rows import read_row, survey_sheet


def read(data: bytes | str) -> tuple[list[Product | str], str]:
    """Return the product or the reasons of each row, and all notes."""
    sheet = read_sheet(data.encode() if isinstance(data, str) else data)
    mapping = guess_columns(sheet.header)
    facts = survey_sheet(sheet, mapping)
    found: list[Product | str] = []
    for line, cells in sheet.rows:
        made, issues = read_row(cells, mapping, facts)
        found.append(made or f"{line} " + " ".join(f"{i.pointer} {i.message} {i.limit}" for i in issues))
    return found, " ".join((*sheet.notes, *facts.notes))


def one(data: bytes | str) -> Product:
    found, _ = read(data)
    assert len(found) == 1 and isinstance(found[0], Product), found
    return found[0]


def refusal(data: bytes | str) -> str:
    """Return why the only row of a sheet is refused."""
    found, _ = read(data)
    assert len(found) == 1 and isinstance(found[0], str), found
    return found[0]


def sizes(product: Product | str) -> tuple[float | None, ...]:
    assert isinstance(product, Product), product
    d = product.dimensions
    return d.width_m, d.height_m, d.depth_m


def images(product: Product) -> dict[str, str]:
    return {image.view.value: image.url for image in product.images}


def workbook(*sheets: tuple[str, list[list[object]]], **changed: tuple[str, str]) -> bytes:
    """Return an XLSX file; `changed` replaces text in a part of it, by the part's name without suffix."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets:
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    if not changed:
        return out.getvalue()
    copied = io.BytesIO()
    with zipfile.ZipFile(out) as old, zipfile.ZipFile(copied, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            for part, (before, after) in changed.items():
                if name.endswith(f"{part}.xml"):
                    assert re.search(before.encode(), text)
                    text = re.sub(before.encode(), after.encode(), text)
            new.writestr(name, text)
    return copied.getvalue()


TABLE: list[list[object]] = [
    ["sku", "name", "width", "unit"],
    ["A1", "Chair", 46, "cm"],
    ["A2", "T", 80.125, "mm"],
]


# numbers and units


def test_the_column_decides_what_a_comma_is() -> None:
    found, _ = read(
        "sku;product_name;width;height;depth;unit\nA1;Stuhl;0,455;0,852;0,489;m\n"
        "A2;Tisch;80,125;75,5;80,125;mm\nA3;Schrank;1.250,5;1.800;600;mm\n"
    )
    assert [sizes(p) for p in found] == [
        (0.455, 0.852, 0.489),
        (0.080125, 0.0755, 0.080125),
        (1.2505, 1.8, 0.6),
    ]


@pytest.mark.issue("row.value")
@pytest.mark.parametrize(
    ("cell", "readings"),
    [("80,125", "80.1250 or 80125"), ("1.800", "1.8 or 1800"), ("1,250", "1.25 or 1250")],
)
def test_a_number_that_can_be_two_is_asked_about(cell: str, readings: str) -> None:
    why = refusal(f"sku;width;unit\nA1;{cell};mm\n")
    assert "two ways" in why and readings in why and why.startswith("2 /width")


def test_a_column_without_marks_of_its_own_is_read_like_the_others() -> None:
    found, _ = read("sku;width;height;unit\nA1;80,125;75,5;mm\n")
    assert sizes(found[0])[:2] == (0.080125, 0.0755)


def test_columns_that_disagree_leave_a_doubt() -> None:
    found, _ = read("sku;width;unit\nA1;75,5;mm\nA2;75.5;mm\nA3;80,125;mm\n")
    assert [isinstance(p, Product) for p in found] == [True, True, False]


def test_numbers_of_a_workbook_are_never_in_doubt() -> None:
    found, _ = read(workbook(("products", [*TABLE, ["A3", "X", "75,5", "mm"]])))
    assert [sizes(p)[0] for p in found] == [0.46, 0.080125, 0.0755]


@pytest.mark.parametrize(
    "header",
    ["Width (cm)", "Width [cm]", "width_cm", "Width in cm", "WIDTH CM", "Breite (cm)", "product width cm"],
)
def test_the_unit_may_be_in_the_header(header: str) -> None:
    assert sizes(one(f"sku,{header}\nA1,46\n"))[0] == 0.46


@pytest.mark.parametrize(
    ("cell", "metres"), [('"18"""', 0.4572), ('"3\' 2"""', 0.9652), ("1/2 in", 0.0127), ("46 CM", 0.46)]
)
def test_the_unit_may_be_in_the_cell(cell: str, metres: float) -> None:
    assert sizes(one(f"sku,width\nA1,{cell}\n"))[0] == pytest.approx(metres, abs=1e-6)


@pytest.mark.parametrize(
    ("unit", "metres"), [("inch", 1.1684), ("CM", 0.46), ("Zoll", 1.1684), ("Meters", 46.0)]
)
def test_units_have_many_names(unit: str, metres: float) -> None:
    assert sizes(one(f"sku,width,unit\nA1,46,{unit}\n"))[0] == pytest.approx(metres, abs=1e-6)


@pytest.mark.issue("row.value")
def test_two_units_for_one_size_are_asked_about() -> None:
    assert "inches in the cell, centimetres in the header" in refusal('sku,Width (cm)\nA1,"18"""\n')
    assert "two units" in refusal("sku,width,unit\nA1,46 cm,mm\n")


def test_a_size_without_a_unit_is_said() -> None:
    assert "1 row has sizes without a unit; they are read in inches" in read("sku,width\nA1,4\n")[1]
    assert "without a unit" not in read("sku,width (cm)\nA1,4\nA2,\n")[1]


def test_a_unit_in_one_header_holds_for_the_sizes_beside_it() -> None:
    found, notes = read("sku;Breite (cm);Höhe;Tiefe\nA1;80,5;180;30\nA2;80,5;180;1 m\n")
    assert [sizes(p) for p in found] == [(0.805, 1.8, 0.3), (0.805, 1.8, 1.0)]
    assert (
        '2 rows have sizes without a unit; they are read in centimetres, the unit of the column "Breite'
        in notes
    )
    assert sizes(
        read_row({"sku": "A", "w": "2", "d (mm)": "9"}, {"sku": "sku", "width": "w", "depth": "d (mm)"})[0]
    ) == (0.002, None, 0.009)
    assert sizes(one("sku,width (cm),height,unit\nA1,4,2,cm\n"))[1] == 0.02
    _, notes = read("sku,width (cm),depth (mm),height\nA1,4,2,3\n")
    assert "they are read in inches" in notes  # two units: neither is taken for the third size


# where the table begins


def test_titles_above_the_table_are_ignored_and_said() -> None:
    found, notes = read("Product list autumn 2026,,\n\nsku,name,width\nA1,C,4\n")
    assert isinstance(found[0], Product) and found[0].sku == "A1"
    assert 'row 3; 1 row above it is ignored ("Product list autumn 2026")' in notes
    assert one("Autumn\n\nsku;name;width\nA1;C;4\n").name == "C"


def test_a_title_above_a_table_with_unknown_names_is_no_header() -> None:
    assert read_sheet(b"Our list,,\nNummer,Foto,Preis\n1,a.jpg,2\n").header == ("Nummer", "Foto", "Preis")


def test_the_sheet_with_products_is_found_in_a_workbook() -> None:
    data = workbook(("Read me", [["How to fill this in"]]), ("Products", TABLE), ("Old", TABLE))
    found, notes = read(data)
    assert len(found) == 2 and 'the sheet "Products" is read; ignored: "Read me", "Old"' in notes
    assert 'Other sheets hold products too: "Old"' in notes


def test_a_hidden_sheet_is_not_read() -> None:
    data = workbook(("Draft", TABLE), ("Products", TABLE[:2]), workbook=(
        'sheet name="Draft" sheetId="1" state="visible"', 'sheet name="Draft" sheetId="1" state="hidden"',
    ))  # fmt: skip
    assert len(read(data)[0]) == 1


@pytest.mark.parametrize("dimension", ["A1", "A1:A1", "A1:ZZ9999"])
def test_a_workbook_may_say_a_wrong_size(dimension: str) -> None:
    data = workbook(("s", TABLE), sheet1=('dimension ref="[^"]*"', f'dimension ref="{dimension}"'))
    assert [sizes(p)[0] for p in read(data)[0]] == [0.46, 0.080125]


# forms and encodings


@pytest.mark.issue("sheet.unreadable")
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "old workbook of Excel (.xls)"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"),
            "with a password",
        ),
        (b"%PDF-1.7 ...", "PDF"),
        (b"<html><table><tr><td>sku</td></tr></table>", "web page"),
        (b'<?xml version="1.0"?><rss/>', "XML"),
        (b'[{"sku": "A1"}]', "JSON"),
    ],
)
def test_other_files_are_refused_by_their_name(data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)) as refused:
        read_sheet(data)
    assert refused.value.issue_code == "sheet.unreadable" and "save it as XLSX or CSV" in str(refused.value)


def test_a_zip_that_is_no_workbook_is_named() -> None:
    for member, words in (("a.csv", "unpack it"), ("xl/workbook.bin", "xlsb"), ("Index/a.iwa", "Numbers")):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as package:
            package.writestr(member, "x")
        with pytest.raises(InputError, match=words):
            read_sheet(out.getvalue())


@pytest.mark.parametrize("first", ["sep=;\n", "sep=;\r\n", '"sep=;"\n', "\ufeffsep=;\n"])
def test_the_line_of_excel_that_names_the_separator(first: str) -> None:
    sheet = read_sheet((first + "sku;name\nA1;a,b\n").encode())
    assert sheet.header == ("sku", "name") and [line for line, _ in sheet.rows] == [3]


WORDS = "Stühle Möbel Höhe Größe crème brûlée façade l’arbre Ölfarbe"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "mac-roman"])
def test_western_encodings_are_recognised(encoding: str) -> None:
    data = "sku;name\n" + "".join(f"A{n};{word}\n" for n, word in enumerate(WORDS.split()))
    found, notes = read(data.encode(encoding))
    assert [p.name for p in found if isinstance(p, Product)] == WORDS.split()
    assert ("not UTF-8" in notes) == (encoding in ("cp1252", "mac-roman"))


@pytest.mark.issue("row.value")
def test_one_bad_byte_spoils_one_row() -> None:
    data = "sku,name\nA1,Stühle\nA2,BAD\nA3,Möbel\n".encode().replace(b"BAD", b"x\xffy")
    found, notes = read(data)
    assert [p.name if isinstance(p, Product) else p[:9] for p in found] == ["Stühle", "3 /produc", "Möbel"]
    assert "1 byte is not UTF-8, in line 3" in notes


# rows that are not what they were


@pytest.mark.issue("row.shifted")
def test_a_row_that_a_comma_shifts_is_refused() -> None:
    found, _ = read("sku,name,width,unit\nA1,Chair, red,46,cm\nA2,Table,80,cm\n")
    assert isinstance(found[0], str) and "5 cells, the header 4" in found[0] and isinstance(found[1], Product)
    found, _ = read("sku,name,category,brand\nA1,Chair, red,,\nA2,Table,,\n")
    assert [isinstance(p, Product) for p in found] == [False, True]


def test_separators_at_the_end_of_all_rows_shift_nothing() -> None:
    assert one("sku,name\nA1,Chair,\n").name == "Chair"


@pytest.mark.issue("sheet.unreadable", "row.shifted")
def test_a_quotation_mark_that_never_closes_is_found() -> None:
    with pytest.raises(InputError, match="opens in row 2 and never closes"):
        read('sku,name\nA1,"Chair\nA2,Table\nA3,Lamp\n')
    rows = 'sku,name,a,b,c,d\nA1,"Chair,1,2,3,4\nA2,Table,1,2,3,4\nA3,"Lamp",1,2,3,4\n'
    assert "the rows after this one" in refusal(rows)
    assert one('sku,name\nA1,"a, b\nc, d"\n').name == "a, b\nc, d"


@pytest.mark.issue("row.value")
@pytest.mark.parametrize(
    ("sku", "words"),
    [
        ("4.00638E+12", "into a number"),
        ("4,00638E+12", "into a number"),
        ("4006381333931000000", "stores 15 digits"),
        ("3-Mar", "into a date"),
        ("01. Mrz", "into a date"),
        ("Mar-26", "into a date"),
        ("#N/A", "error of a formula"),
    ],
)
def test_a_sku_that_a_spreadsheet_changed_is_refused(sku: str, words: str) -> None:
    assert words in refusal(f'sku;name\n"{sku}";Chair\n')


@pytest.mark.parametrize("sku", ["4006381333931", "MAR-2026-X", "E12", "1E5", "2026", "AB-3", "0042"])
def test_a_sku_that_only_looks_odd_is_taken(sku: str) -> None:
    assert one(f"sku,name\n{sku},Chair\n").sku == sku


def test_lost_leading_zeros_are_said() -> None:
    _, notes = read("sku\n10234\n20345\n4567\n30456\n")
    assert "1 SKUs have fewer digits than the others, e.g. 4567 in row 4 instead of 5 digits" in notes
    assert "fewer digits" not in read("sku\n1\n2\n10\n20\n100\n")[1]
    assert "fewer digits" not in read("sku\n00123\n1234\n12345\n67890\n")[1]


def test_zeros_that_only_the_format_of_a_cell_shows_are_kept() -> None:
    book = openpyxl.Workbook()
    for row in (["sku", "name"], [123, "Chair"]):
        book.active.append(row)
    book.active["A2"].number_format = "00000"
    out = io.BytesIO()
    book.save(out)
    assert one(out.getvalue()).sku == "00123"


# beyond the cases


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_sheet_or_refused(data: bytes) -> None:
    try:
        read(data)
    except InputError as error:
        assert error.issue_code.startswith("sheet.")


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(WORDS.split()), min_size=6, max_size=9),
    st.sampled_from(["utf-8", "utf-16", "cp1252", "mac-roman"]),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", "Our list\n", "sep=@\n"]),
)
def test_a_sheet_reads_the_same_in_all_forms(
    names: list[str], encoding: str, delimiter: str, newline: str, title: str
) -> None:
    title = title.replace("@", delimiter)
    lines = [f"sku{delimiter}name", *(f"A{n}{delimiter}{name}" for n, name in enumerate(names))]
    found, _ = read((title.replace("\n", newline) + newline.join(lines)).encode(encoding))
    assert [p.name if isinstance(p, Product) else p for p in found] == names
    assert {View.FRONT}.isdisjoint({i.view for p in found if isinstance(p, Product) for i in p.images})
