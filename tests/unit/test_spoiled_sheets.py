"""Sheets that look right in a spreadsheet, or were joined and converted: nothing is read wrong silently."""

import io
from collections.abc import Callable
from typing import Any

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from schemas.sku_cells import sku_doubt
from schemas.text_doubts import typed_text
from schemas.workbook_cells import read_remarks
from tests.unit.test_sheet_cases import one, read, refusal, sizes

HEADER = ["sku", "name", "image_url", "category", "width", "unit"]


def book(*rows: list[Any], change: Callable[[Worksheet], object] = lambda sheet: None) -> bytes:
    made = openpyxl.Workbook()
    for row in (HEADER, *rows):
        made.active.append(row)
    change(made.active)
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def formatted(cell: str, number_format: str, value: object) -> bytes:
    def change(sheet: Worksheet) -> None:
        sheet[cell] = value
        sheet[cell].number_format = number_format

    return book(["A1", "Chair", "a.jpg", "lamps", 46, None], change=change)


@pytest.mark.parametrize("sku", ["1" * 5000, "1" * 15 + "²", "²" * 16, "1" * 15 + "0"])
def test_a_sku_of_many_digits_stops_no_sheet(sku: str) -> None:
    assert bool(sku_doubt(sku)) == sku.endswith("0")


@pytest.mark.parametrize(
    ("number_format", "value", "metres"),
    [
        ('0 "mm"', 46, 0.046),
        ('0.0" cm"', 46.5, 0.465),
        ('0.000" mm"', 80.125, 0.080125),
        ('General" in"', 10, 0.254),
        ("0.00", 10, 0.254),  # no unit: inches, which the check says
    ],
)
def test_a_unit_that_only_the_format_shows_counts(number_format: str, value: float, metres: float) -> None:
    assert sizes(one(formatted("E2", number_format, value)))[0] == pytest.approx(metres)


@pytest.mark.parametrize(
    ("number_format", "words"),
    [
        ("0%", "% is no unit"),
        ('"$"#,##0.00', "$0.46"),
        ("#,##0.00 [$€-407]", "€0.46 is no number"),
        ('_("$"* #,##0.00_)', "$0.46"),
    ],
)
def test_a_percentage_or_a_price_is_no_size(number_format: str, words: str) -> None:
    text = refusal(formatted("E2", number_format, 0.46))
    assert "/width" in text and words in text


def test_a_sku_is_read_as_its_format_shows_it() -> None:
    assert one(formatted("A2", '"SKU-"000', 7)).sku == "SKU-007"


@pytest.mark.parametrize(
    ("sku", "words"),
    [(1234567890123456789, "15 digits"), (True, "truth value"), ("'0042", "apostrophe")],
)
def test_a_sku_that_a_workbook_spoiled_is_refused(sku: object, words: str) -> None:
    assert words in refusal(formatted("A2", "General", sku))


def test_long_skus_of_digits_that_are_texts_are_kept() -> None:
    assert one(formatted("A2", "@", "1234567890123456789")).sku == "1234567890123456789"
    assert one("sku,name\n1234567890123456789,Chair\n").sku == "1234567890123456789"


def test_merged_cells_count_for_each_of_their_rows() -> None:
    rows = [[f"A{n}", "Chair", "a.jpg", "Lamps" if n == 1 else None, 1, "m"] for n in range(1, 5)]
    found, notes = read(book(*rows, change=lambda sheet: sheet.merge_cells("D2:D4")))
    assert [product.category for product in found] == ["Lamps", "Lamps", "Lamps", ""]
    assert "merged cells (row 2): the value counts for each of the rows" in notes


def test_titles_over_several_columns_stay_one() -> None:
    rows = [["A1", "Chair", "a.jpg", "Lamps", 1, "m"]]
    found, notes = read(book(*rows, change=lambda sheet: sheet.merge_cells("D2:E2")))
    assert len(found) == 1 and "merged" not in notes


def test_a_formula_that_was_never_calculated_is_said() -> None:
    text = refusal(book(["A1", "Chair", "a.jpg", "lamps", "=40+6", "cm"]))
    assert "/width" in text and "never calculated" in text
    assert "/sku" in refusal(book(["=B2", "Chair", "a.jpg", "lamps", 1, "cm"]))


@pytest.mark.parametrize(
    ("cell", "columns"),
    [
        (b'<c r="AB7"><f>1+1</f><v></v></c>', {7: {27}}),
        (b'<c r="A7" s="1"><f t="shared" si="0"/><v/></c>', {7: {0}}),
        (b'<c r="A7"><f>A1</f></c>', {7: {0}}),
        (b'<c r="A7"><f>1+1</f><v>2</v></c>', {}),
        (b'<c r="A7" t="str"><f>""</f><v></v></c>', {}),
    ],
)
def test_formulas_without_a_value_are_found(cell: bytes, columns: dict[int, set[int]]) -> None:
    assert read_remarks(io.BytesIO(b"<row>" + cell + b"</row>")).uncalculated == columns
    far = b" " * 1_048_570 + cell  # over the end of a piece
    assert read_remarks(io.BytesIO(far)).uncalculated == columns


def test_hidden_rows_are_read_and_said() -> None:
    def hide(sheet: Worksheet) -> None:
        sheet.row_dimensions[3].hidden = True

    rows = [[f"A{n}", "Chair", "a.jpg", "lamps", 1, "m"] for n in range(1, 4)]
    found, notes = read(book(*rows, change=hide))
    assert len(found) == 3 and "1 row is hidden in the workbook, e.g. row 3" in notes


def test_a_header_in_the_middle_is_no_product() -> None:
    found, _ = read("sku,name,image_url\nA1,Chair,a.jpg\nSKU,Name,image_url\nA2,Chair,a.jpg\n")
    assert "3 " in str(found[1]) and "repeats the names of the columns" in str(found[1])


def test_units_below_the_header_are_asked_into_it() -> None:
    found, notes = read("sku,name,image_url,width,height\n,,,cm,cm\nA1,Chair,a.jpg,46,80\nA2,C,a.jpg,46mm,\n")
    assert "holds units and no product" in str(found[0])
    assert "Its unit is in row 2 only" in str(found[1]) and "Width (cm)" in str(found[1])
    assert sizes(found[2])[0] == 0.046 and "Row 2 holds units" in notes and "inches" not in notes


def test_formulas_of_texts_in_csv_are_texts() -> None:
    assert one('sku,name\n="0042",Chair\n').sku == "0042"


@pytest.mark.parametrize(
    ("cell", "typed"),
    [
        ("StÃ¼hle", "Stühle"),
        ("CafÃ©", "Café"),
        ("5â€³ pipe", "5″ pipe"),
        ("<b>Chair</b> &amp; Co", "Chair & Co"),
        ("Stühle", "Stühle"),
        ("Ãland", "Ãland"),
        ("A & B; C < D", "A & B; C < D"),
        ("PÂTÉ", "PÂTÉ"),
    ],
)
def test_texts_that_were_encoded_twice_are_recognised(cell: str, typed: str) -> None:
    assert typed_text(cell) == typed


def test_texts_that_were_encoded_twice_are_said() -> None:
    _, notes = read("sku,name,image_url\nA1,StÃ¼hle,a.jpg\nA2,Stühle,a.jpg\n")
    assert '1 row has texts that are encoded twice, or HTML: "StÃ¼hle" in row 2 instead of "Stühle"' in notes
