"""Numbers and lengths: each is read as its column writes it, or refused as doubtful; none is guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.numbers_and_units import (
    METRES_PER_UNIT,
    AmbiguousNumber,
    NotANumber,
    NumberCell,
    decimal_mark,
    plain_number,
    read_length,
    read_number,
    unit_name,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("46", 46),
        ("46,5", 46.5),
        ("46.5", 46.5),
        ("1 046.5", 1046.5),
        ("1\u00a0046,5", 1046.5),
        ("1'046.5", 1046.5),
        ("1’250", 1250),
        ("1,046.5", 1046.5),
        ("1.250,5", 1250.5),
        ("1.234.567", None),
        ("1.250.000,5", None),
        ("0,455", 0.455),
        ("0.455", 0.455),
        (",5", 0.5),
        (".5", 0.5),
        ("80,1255", 80.1255),
        ("1234,567", 1234.567),
        ("12.5e1", 125),
        ("18 1/2", 18.5),
        ("18½", 18.5),
        ("½", 0.5),
        ("-3", -3),
    ],
)
def test_a_number_that_can_only_be_one_is_read_as_it(text: str, value: float | None) -> None:
    if value is None:
        with pytest.raises(NotANumber, match="too large"):
            read_number(text)
    else:
        assert read_number(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["80,125", "1.800", "12,000", "1,250"])
def test_a_number_that_can_be_two_is_refused_without_its_column(text: str) -> None:
    with pytest.raises(AmbiguousNumber) as refused:
        read_number(text)
    assert {float(r) for r in refused.value.readings} == {
        read_number(text, "."),
        read_number(text, ","),
    }


@pytest.mark.parametrize(
    "text",
    ["", "tall", "46 x 85", "40-45", "ca. 46", "1,2,3", "1.2,3.4", "1_000", "²", "nan", "1e999", "1 25"],
)
def test_a_text_that_is_no_number_is_none(text: str) -> None:
    with pytest.raises(NotANumber):
        read_length(text, unit="cm")


@pytest.mark.parametrize(
    ("text", "metres"),
    [
        ("46", 0.46),
        ("46 cm", 0.46),
        ("46cm", 0.46),
        ("460 MM", 0.46),
        ("1,5 m", 1.5),
        ('18"', 0.4572),
        ("18”", 0.4572),
        ("18''", 0.4572),
        ("18 in.", 0.4572),
        ("18 Zoll", 0.4572),
        ("1/2 in", 0.0127),
        ('18 1/2"', 0.4699),
        ("18-1/2 inches", 0.4699),
        ("18½ inch", 0.4699),
        ("3' 2\"", 0.9652),
        ("3'2''", 0.9652),
        ("3′ 2″", 0.9652),
        ("3 ft 2 in", 0.9652),
        ("3' 2 1/2\"", 0.9779),
        ("3'", 0.9144),
        ("3 feet", 0.9144),
        ("1'250", 12.5),
        ("46 CENTIMETER", 0.46),
    ],
)
def test_a_length_is_read_with_the_unit_in_its_cell(text: str, metres: float) -> None:
    assert read_length(text, unit="cm") == pytest.approx(metres, abs=1e-6)


@pytest.mark.parametrize("text", ["46 kg", "46 px", "3' 14\"", "46 cm 2", "cm", "46 cm x 85 cm"])
def test_a_length_with_something_else_in_it_is_refused(text: str) -> None:
    with pytest.raises(NotANumber):
        read_length(text, unit="cm")


def test_the_column_shows_its_decimal_mark() -> None:
    assert decimal_mark(["0,455", "80,125", "1.250,5"]) == ","
    assert decimal_mark(["1,250", "46.5 cm"]) == "."
    assert decimal_mark(["1.234.567"]) == ","
    assert decimal_mark(["80,125", "600", ""]) == ""
    assert decimal_mark(["75,5", "75.5"]) == ""
    assert decimal_mark([NumberCell("80.5"), "75,5"]) == ","  # a workbook's number shows nothing


def test_a_number_of_a_workbook_is_never_ambiguous() -> None:
    assert read_length(NumberCell("80.125"), ",", "mm") == 0.080125


def test_units_are_known_by_many_names() -> None:
    assert {unit_name(u) for u in ("CM", "inch", "Zoll", "″", "ft.", "MILLIMETER", "mètres")} == {
        "cm",
        "in",
        "ft",
        "mm",
        "m",
    }
    assert unit_name("cubit") == unit_name("") == ""


VALUES = st.decimals(0, 999_999, places=3).map(float)


def _written(value: float, decimal: str, group: str, places: int) -> str:
    text = f"{value:,.{places}f}"
    return text.replace(",", "G").replace(".", decimal).replace("G", group)


@given(
    st.lists(VALUES, min_size=1, max_size=6),
    st.sampled_from([(",", "."), (".", ","), (",", " "), (".", "'"), (",", ""), (".", "")]),
    st.integers(0, 3),
)
def test_a_column_reads_back_exactly_or_is_refused(
    values: list[float], style: tuple[str, str], places: int
) -> None:
    cells = [_written(value, *style, places) for value in values]
    mark = decimal_mark(cells)
    assert mark in ("", style[0])
    for value, cell in zip(values, cells, strict=True):
        try:
            assert read_number(cell, mark) == pytest.approx(round(value, places), rel=1e-9)
        except AmbiguousNumber:
            assert mark == ""


@given(VALUES.filter(bool), st.sampled_from(sorted(METRES_PER_UNIT)))
def test_numbers_we_write_are_read_whatever_the_column_shows(value: float, unit: str) -> None:
    for mark in ("", ".", ","):
        text = plain_number(value)
        assert read_length(text, mark, unit) == pytest.approx(float(text) * METRES_PER_UNIT[unit], abs=1e-6)


@given(st.text("0123456789.,'\" /-cmintf½”", max_size=14))
def test_any_text_is_a_number_above_nothing_or_refused(text: str) -> None:
    try:
        assert abs(read_length(text, unit="m")) <= 1e6
    except NotANumber:
        pass
