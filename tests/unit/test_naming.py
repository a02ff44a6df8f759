"""File names by pattern: each is read back to the fields it was made from; SKUs that are safe in names."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dam_connector.domain import name_pattern_syntax
from dam_connector.domain.channel_names import channel_names
from dam_connector.domain.completeness import product_issues
from dam_connector.domain.file_names import file_stem
from dam_connector.domain.ids import AssetId, RunId, Sku, VersionId
from dam_connector.domain.issue import Issue, Report
from dam_connector.domain.rules import NamingRules
from dam_connector.domain.sku_tokens import is_safe_sku, sku_of_token, sku_problem, sku_token
from dam_connector.domain.trade_codes import gtin, is_gtin
from dam_connector.domain.version import Asset, Role, Version, VersionState
from dam_connector.errors import ConfigError
from schemas.rules_loader import load_rules
from tests.support import MODEL, file_of, product, rules_json

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


GTIN = "4006381333931"
TRADE = (
    "{gtin:014}_{brand:pascal}_{attributes.season:slug}_{view_code}_{slot:02}_{sku}_V{version:03}"
    "_{format:upper}"
)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(
    sku=SAFE_SKU,
    brand=st.text(max_size=40),
    season=st.text(max_size=300),
    number=st.integers(1, 2000),
    gtin=st.sampled_from(["", GTIN, "96385074"]),
)
def test_names_with_the_trade_s_fields_are_read_back(
    sku: str, brand: str, season: str, number: int, gtin: str
) -> None:
    values = {"sku": sku, "brand": brand, "attributes.season": season, "version": number, "slot": number}
    values |= {"gtin": gtin, "view_code": "A1C0", "format": "jpeg"}
    built = name_pattern_syntax.build_name(TRADE, values)
    assert name_pattern_syntax.parse_name(TRADE, built) == name_pattern_syntax.canonical_fields(TRADE, values)
    assert len(built) <= 200 and built.endswith(f"_{sku}_V{number:03}_JPEG")


def test_a_pattern_with_the_trade_s_fields() -> None:
    rules = load_rules(json.dumps(rules_json(naming={"default": TRADE})))
    record = product("CH1", brand="Ångström & Co", attributes={"EAN": "4006381 333931", "season": "Été 26"})
    packshot = replace(rules.deliverables[0], name="packshot", views=("left",))
    assert file_stem("jpeg", record, packshot, 2, 7, rules) == (
        "04006381333931_AngstromCo_ete-26_A2C0_02_CH1_V007_JPEG"
    )


@pytest.mark.parametrize(
    ("text", "good"),
    [(GTIN, True), ("4006381333932", False), ("96385074", True), ("036000291452", True), ("²", False)],
)
def test_a_gtin_has_a_check_digit(text: str, good: bool) -> None:
    assert is_gtin(text) is good and (gtin(product(attributes={"gtin": text})) == text) is good


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Smørrebrød", "Smorrebrod"),
        ("Łódź", "Lodz"),
        ("Стул", "Stul"),
        ("椅子", "YiZi"),
        ("Größe №3", "Grosse"),
    ],
)
def test_letters_are_written_in_ascii_instead_of_dropped(name: str, kept: str) -> None:
    values = {"sku": "A", "name": name, "version": 1, "format": "glb"}
    assert kept.lower() in name_pattern_syntax.build_name(PATTERN, values).lower()


@pytest.mark.parametrize("name", ["x" * 5000, "Ы" * 300, "椅" * 400])
def test_a_long_title_is_shortened_so_that_version_and_format_stay(name: str) -> None:
    values = {"sku": "9" * 64, "name": name, "version": 12, "format": "usdz"}
    built = name_pattern_syntax.build_name(PATTERN, values)
    assert built.endswith("_V12_USDZ") and len(built) <= 200
    assert name_pattern_syntax.parse_name(PATTERN, built) == name_pattern_syntax.canonical_fields(
        PATTERN, values
    )


def made(deliverable: str, *files: str, slot: int = 1, kind: str = "image") -> Version:
    return Version(
        **{"id": VersionId(deliverable), "run_id": RunId(""), "rules_fingerprint": "", "provenance": {}},
        asset=Asset(id=AssetId(deliverable), sku=Sku("CH1"), deliverable=deliverable, slot=slot, kind=kind),
        number=3,
        state=VersionState.APPROVED,
        files=tuple(file_of(b"", f"own-{deliverable}.{e}", {"jpg": "jpeg"}.get(e, e)) for e in files),
        report=Report(),
        created_at=datetime(2026, 11, 20, tzinfo=UTC),
    )


def named(preset: str, versions: list[Version], **naming: object) -> list[list[str]]:
    shelf = {"shelf": {"adapter": "folder", "path": "out"}}
    pictures = [
        {"name": name, "kind": "rendition", "formats": ["jpeg"], "views": [view], "channels": ["shelf"]}
        for name, view in (("packshot", "front"), ("side", "left"), ("room", "front"), ("swatch", "detail"))
    ]
    naming = {"default": "{sku}_{deliverable}_V{version}_{format}", "channels": {"shelf": preset}, **naming}
    rules = load_rules(
        json.dumps(
            rules_json(
                connections={**rules_json()["connections"], "channel": shelf},
                deliverables=[*pictures, {**MODEL, "channels": ["shelf"]}],
                naming=naming,
            )
        )
    )
    record = product("CH1", attributes={"ean": GTIN})
    return [list(names.values()) for names in channel_names("shelf", record, versions, rules)]


def test_gs1_names_of_pictures() -> None:
    versions = [made("packshot", "jpg", "webp"), made("side", "jpg"), made("room", "jpg")]
    assert named("gs1", [*versions, made("model", "glb", kind="model")], codes={"room": "A0R0"}) == [
        ["04006381333931_A1C0.jpg", "04006381333931_A1C0.webp"],
        ["04006381333931_A2C0.jpg"],
        ["04006381333931_A0R0.jpg"],
        ["own-model.glb"],
    ]
    # a name is not given twice
    assert named("gs1", versions)[2] == ["own-room.jpg"]


def test_amazon_names_of_pictures() -> None:
    versions = [made("swatch", "jpg"), made("packshot", "jpg"), made("side", "jpg"), made("room", "jpg")]
    assert named("amazon", versions, codes={"swatch": "SWCH"}) == [
        [f"{GTIN}.SWCH.jpg"],
        [f"{GTIN}.MAIN.jpg"],
        [f"{GTIN}.PT01.jpg"],
        [f"{GTIN}.PT02.jpg"],
    ]
    assert named("amazon", versions, codes={"room": "MAIN"})[3] == [f"{GTIN}.MAIN.jpg"]


def test_a_channel_with_own_names_gets_neither_previews_nor_sizes_without_a_name() -> None:
    version = made("packshot", "jpg")
    size = replace(version.files[0], name="own_400.jpg", role=Role.SIZE, view="400")
    preview = replace(version.files[0], name="own_preview.webp", role=Role.PREVIEW, view="front")
    version = replace(version, files=(*version.files, size, preview))
    assert named("gs1", [version]) == [["04006381333931_A1C0.jpg"]]
    assert named("amazon", [version]) == [[f"{GTIN}.MAIN.jpg"]]
    assert named("{sku}_{deliverable}", [version]) == [["CH1_packshot.jpg", "CH1_packshot_400.jpg"]]


@pytest.mark.issue("product.gtin_wrong")
def test_a_wrong_gtin_is_a_warning_of_its_product() -> None:
    def found(attributes: dict[str, str]) -> list[Issue]:
        rules = load_rules(json.dumps(rules_json())).products
        issues = product_issues(product(attributes=attributes), rules)
        return [issue for issue in issues if issue.code != "product.field_missing"]

    for attributes in ({}, {"ean": ""}, {"ean": GTIN}, {"ean": "1", "GTIN": GTIN}):
        assert found(attributes) == []
    for wrong in ("4006381333930", "400638133393", "4.00638E+12", "x"):
        (issue,) = found({"EAN": wrong})
        assert (issue.code, issue.severity, issue.measured) == ("product.gtin_wrong", "warning", wrong)
        assert issue.pointer == "/attributes/EAN"


def test_a_file_without_a_needed_value_keeps_its_name() -> None:
    rules = load_rules(json.dumps(rules_json()))
    rules = replace(rules, naming=NamingRules(channels={"viewer": "gs1"}))
    found = channel_names("viewer", product(attributes={"ean": "1"}), [made("packshot", "jpg")], rules)
    assert found == [{"own-packshot.jpg": "own-packshot.jpg"}]


@pytest.mark.parametrize(
    ("channels", "said"),
    [
        ({"viewr": "gs1"}, "there is no channel of this name; known: viewer"),
        ({"viewer": "gs1"}, "names without {version} are for folder and storage only"),
        ({"viewer": "{sku}_{nope}_{version}"}, "unknown field {nope}"),
        ({"viewer": "GS1"}, 'did you mean "gs1"? Presets: gs1, amazon'),
        ({"viewer": "gs2"}, 'did you mean "gs1"?'),
        ({"viewer": "Amazn"}, 'did you mean "amazon"?'),
        ({"viewer": "picture"}, "'picture' is no preset, and has no field in braces"),
    ],
)
def test_mistakes_in_the_names_of_a_channel(channels: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_rules(json.dumps(rules_json(naming={"channels": channels})))
