"""File names by pattern: each is read back to the fields it was made from; SKUs that are safe in names."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dam_connector.domain import name_pattern_syntax
from dam_connector.domain.sku_tokens import is_safe_sku, sku_of_token, sku_problem, sku_token
from dam_connector.errors import ConfigError
from schemas.rules_loader import load_rules
from tests.support import rules_json

SAFE_SKU = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._+-]{0,20}[A-Za-z0-9])?", fullmatch=True).filter(
    is_safe_sku
)


PATTERN = "{sku}_{name:pascal}_V{version}_{format:upper}"


def test_the_name_that_everybody_expects() -> None:
    values = {"sku": "CH123", "name": "Modern Dining Chair", "version": 1, "format": "glb"}
    assert name_pattern_syntax.build_name(PATTERN, values) == "CH123_ModernDiningChair_V1_GLB"


@settings(derandomize=True, deadline=None)
@given(
    sku=SAFE_SKU,
    name=st.text(max_size=40),
    version=st.integers(1, 9999),
    format=st.sampled_from(["glb", "usdz", "jpeg", "webp", "png"]),
)
def test_parse_undoes_build_for_any_product(sku: str, name: str, version: int, format: str) -> None:
    values = {"sku": sku, "name": name, "version": version, "format": format}
    built = name_pattern_syntax.build_name(PATTERN, values)
    assert name_pattern_syntax.parse_name(PATTERN, built) == name_pattern_syntax.canonical_fields(
        PATTERN, values
    )
    assert name_pattern_syntax.canonical_fields(PATTERN, values)["sku"] == sku
    assert re.fullmatch(r"[A-Za-z0-9._+-]{1,200}", built) and not built.startswith(".")


@pytest.mark.parametrize(
    "pattern",
    [
        "{sku}_{name:slug}_v{version}.{format:lower}",
        "{sku}_{slot}_{version}",
        "{sku:lower}_{color:pascal}_V{version}",
    ],
)
def test_parse_undoes_build_for_other_patterns(pattern: str) -> None:
    values = {
        "sku": "AB-1",
        "name": "Größe Vase",
        "version": 3,
        "format": "png",
        "category": "Home & Garden",
        "slot": 2,
        "color": "dark green",
    }
    assert name_pattern_syntax.parse_name(
        pattern, name_pattern_syntax.build_name(pattern, values)
    ) == name_pattern_syntax.canonical_fields(pattern, values)


@pytest.mark.parametrize(
    "pattern",
    [
        "{sku}-{name:slug}-v{version}",
        "{sku:lower}_{color:snake}_V{version}",
        "{sku}{version}",
        "{name}_{sku}_{version}",
    ],
)
def test_patterns_whose_names_cannot_be_read_back_are_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read back"):
        load_rules(json.dumps(rules_json(naming={"default": pattern})))


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("{skuu}", "unknown field"),
        ("{sku:camel}", "unknown filter"),
        ("{sku}/x", "not safe"),
        ("{sku", "expected"),
    ],
)
def test_bad_patterns_say_why(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        name_pattern_syntax.pattern_parts(pattern)


def test_folders_do_not_climb() -> None:
    assert (
        name_pattern_syntax.build_folder("{category:slug}/{sku}", {"category": "../../etc", "sku": "A1"})
        == "etc/A1"
    )
    assert name_pattern_syntax.build_folder("{name}/{sku}", {"name": "..", "sku": "con"}) == "x/_con"


@pytest.mark.parametrize("sku", ["CH123", "a", "A-1.b+c_9", "9" * 64])
def test_safe_skus(sku: str) -> None:
    assert is_safe_sku(sku)


@pytest.mark.parametrize(
    "sku", ["", "../x", "a/b", "a\\b", "a b", "-a", ".a", "a..b", "a\n", "ä", "9" * 65, "a."]
)
def test_unsafe_skus(sku: str) -> None:
    assert not is_safe_sku(sku)


SKUS = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Cf", "Zl", "Zp")), min_size=1, max_size=30
).filter(lambda sku: not sku_problem(sku))


@pytest.mark.parametrize(
    ("sku", "token"),
    [
        ("CH123", "CH123"),
        ("A/1", "A~2F1"),
        ("A 1", "A~201"),
        ("B&B", "B~26B"),
        ("Ä-1", "~C3~84-1"),
        ("A~1", "A~7E1"),
        ("-A_", "~2DA~5F"),
        ("椅1", "~E6~A4~851"),
    ],
)
def test_a_sku_has_one_token_and_is_read_back(sku: str, token: str) -> None:
    assert sku_token(sku) == token and sku_of_token(token) == sku and not sku_problem(sku)


@given(st.lists(SKUS, min_size=2, max_size=2, unique=True))
def test_tokens_of_different_skus_differ_and_are_safe(skus: list[str]) -> None:
    tokens = [sku_token(sku) for sku in skus]
    assert tokens[0] != tokens[1] and [sku_of_token(token) for token in tokens] == skus
    assert all(re.fullmatch(r"[A-Za-z0-9~][A-Za-z0-9._+~-]*", token) for token in tokens)
    assert not any(token.endswith((".", "-", " ")) for token in tokens)


@pytest.mark.parametrize("sku", ["", " a", "a\tb", "../a", ".a", "/a", "a..b", "9" * 65, "ä" * 30])
def test_a_sku_that_no_name_can_hold_is_refused(sku: str) -> None:
    assert sku_problem(sku)


@settings(derandomize=True, deadline=None)
@given(sku=SKUS, name=st.text(max_size=300), version=st.integers(1, 9999))
def test_any_sku_and_any_length_of_name_can_be_read_back(sku: str, name: str, version: int) -> None:
    values = {"sku": sku, "name": name, "version": version, "format": "glb"}
    built = name_pattern_syntax.build_name(PATTERN, values)
    fields = name_pattern_syntax.parse_name(PATTERN, built)
    assert len(built) <= name_pattern_syntax.MAX_NAME_BYTES and built.endswith(f"_V{version}_GLB")
    assert fields == name_pattern_syntax.canonical_fields(PATTERN, values)
    assert fields is not None and sku_of_token(fields["sku"]) == sku


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Smørrebrød", "Smorrebrod"),
        ("Łódź lamp", "LodzLamp"),
        ("Œuvre", "Oeuvre"),
        ("Đông", "Dong"),
        ("椅子", "YiZi"),
        ("Стул", "Stul"),
        ("كرسي", "Krsy"),
        ("Größe", "Grosse"),
    ],
)
def test_names_in_any_script_are_written_in_ascii(name: str, words: str) -> None:
    assert name_pattern_syntax.build_name("{name:pascal}", {"name": name}) == words


def test_a_long_name_leaves_version_and_format() -> None:
    values = {"sku": "A1", "name": "word " * 80, "version": 12, "format": "glb"}
    built = name_pattern_syntax.build_name(PATTERN, values)
    assert len(built) == name_pattern_syntax.MAX_NAME_BYTES - 1 and built.endswith("_V12_GLB")
