"""SKUs that occur twice, that differ in capitals alone, or that lost characters."""

from schemas.sheet_reader import read_sheet
from schemas.sheet_rows import read_row, survey_sheet

MAPPING = {"sku": "sku", "product_name": "name"}


def test_every_row_of_a_sku_is_bad_and_names_the_others() -> None:
    sheet = read_sheet(b"sku,name\nA1,one\nA2,two\nA1,three\nA1,four\n")
    facts = survey_sheet(sheet, MAPPING)
    found = [read_row(cells, MAPPING, facts) for _, cells in sheet.rows]
    assert [product is None for product, _ in found] == [True, False, True, True]
    for number in (0, 2, 3):
        [issue] = found[number][1]
        assert issue.code == "row.duplicate"
        assert issue.message == (
            "A1 is in the rows 2, 4, 5. Keep one of them, or give each product a SKU of its own."
        )


def test_skus_made_from_the_same_name_are_bad_too() -> None:
    sheet = read_sheet(b"name,photo\nOak Chair,a.jpg\noak chair,b.jpg\n")
    mapping = {"product_name": "name", "image_url": "photo"}
    facts = survey_sheet(sheet, mapping)
    assert all(read_row(cells, mapping, facts)[0] is None for _, cells in sheet.rows)


def test_skus_that_differ_in_capitals_and_lost_characters_are_noted() -> None:
    sheet = read_sheet(b"sku,name\nR002,one\nr002,two\n??-25,three\nR003,four\n")
    notes = survey_sheet(sheet, MAPPING).notes
    assert any("R002 (row 2) and r002 (row 3)" in note for note in notes)
    assert any("??-25 (row 4)" in note and "CSV UTF-8" in note for note in notes)
    assert not survey_sheet(read_sheet(b"sku,name\nR002,one\nR003,four\n"), MAPPING).notes
