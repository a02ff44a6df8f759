"""Texts of pages: sizes, lengths, and names of assets."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from dam_connector.domain.codec import to_plain
from dam_connector.domain.issue import CheckOutcome, Report, ReportRow, issue
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.product import Dimensions
from dam_connector.domain.report_text import profile_matrix
from dam_connector.domain.report_words import Fact, fact_lines, finding_measure, measured_text, place_text
from dam_connector.store.tables import versions
from dam_connector.usecases import intake
from dam_connector.web import formatting
from dam_connector.wiring import Services
from tests.support import PhotoServer, picture, product

Visitor = Callable[[str], FlaskClient]


@pytest.mark.parametrize(
    ("sides", "text"),
    [
        ((0.46, 0.852, 0.489), "46 × 85.2 × 48.9 cm"),
        ((3.2, 4.0, 3.5), "3.2 × 4 × 3.5 m"),
        ((4.0, 0.75, 0.9), "4 m × 75 cm × 90 cm"),
        ((0.4, None, 0.3), "40 cm × not known × 30 cm"),
        ((None, None, None), "not known"),
    ],
)
def test_a_size_names_its_unit_once_where_there_is_one(
    sides: tuple[float | None, float | None, float | None], text: str
) -> None:
    width, height, depth = sides
    assert formatting.box_size(Dimensions(width_m=width, height_m=height, depth_m=depth)) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (412, "412 B"), (1000, "1 kB"), (1_180_000, "1.18 MB")]
)
def test_a_small_body_is_not_called_empty(count: int, text: str) -> None:
    assert formatting.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-20, "20 s ago"),
        (-600, "10 min ago"),
        (-7200, "2 h ago"),
        (-5 * 86_400, "5 days ago"),
        (600, "in 10 min"),
        (7200, "in 2 h"),
        (9 * 86_400, "in 9 days"),
    ],
)
def test_times_are_relative_within_two_weeks(seconds: int, text: str) -> None:
    shown = formatting.ago(datetime.now(UTC) + timedelta(seconds=seconds + (0.4 if seconds > 0 else 0)))
    assert shown == text


def test_times_beyond_are_days_and_pages_show_them_by_one_helper() -> None:
    assert formatting.ago(datetime(2020, 3, 5, 12, tzinfo=UTC)) == "5 Mar 2020"
    assert formatting.ago(datetime(2199, 12, 31, tzinfo=UTC)) == "31 Dec 2199"
    folder = Path(formatting.__file__).parent / "templates"
    raw = [
        p.name for p in folder.glob("*.html") if re.search(r"exact_time|isoformat|strftime", p.read_text())
    ]
    assert raw == ["parts.html"]


def test_the_second_picture_of_a_deliverable_is_named_so_on_every_page(
    services: Services,
    photos: PhotoServer,
    drain: Callable[[], int],
    browser_like: Visitor,
    write_rules: Callable[..., None],
) -> None:
    write_rules(
        deliverables=[{"name": "packshot", "kind": "rendition", "count": 2, "size_px": 256}],
        naming={"default": "{sku}_{slot}_V{version}_{format:upper}"},
    )
    photos.files["front.jpg"] = picture()
    intake.add_product(services, product(images={"front": photos.url("front.jpg")}), by="test")
    drain()
    client = browser_like("admin")
    found = services.products.get("CH123")
    assert found and "packshot 2 V1" in client.get("/products").text
    page = client.get(f"/products/{found.id}").text
    assert "<strong>packshot 2</strong>" in page and "<li>packshot 2 " in page


def test_the_page_of_a_version_has_no_internal_names(
    services: Services, photos: PhotoServer, drain: Callable[[], int], browser_like: Visitor
) -> None:
    photos.files["front.jpg"] = picture()
    intake.add_product(services, product(images={"front": photos.url("front.jpg")}), by="test")
    drain()
    found = services.assets.of_product("CH123")[0]
    doubts = (
        issue("cutout.uncertain", "front: two ways disagree.", pointer="/images/front", measured="0.0"),
    )
    row = ReportRow(check="uvs", outcome=CheckOutcome.FAIL, detail="uv.overlap, uv.range")
    report = replace(found.report, issues=doubts, rows=(*found.report.rows, row))
    with services.db.write() as c:
        changed = sa.update(versions).where(versions.c.id == found.id)
        c.execute(changed.values(state="blocked", report=to_plain(report)))
    page = browser_like("admin").get(f"/versions/{found.id}").text
    assert page.index("It is approved only after an admin") < page.index('aria-label="Pictures"')
    text = re.sub(r"<[^>]+>", " ", page.partition("<main")[2])  # what people read, without attributes
    assert re.findall(r"\b[a-z0-9]+_[a-z0-9_]+\b", re.sub(r"\S+\.(jpg|webp|png)", "", text)) == []
    assert "/images/" not in text and "cutout.uncertain" not in text and "uv.overlap" not in text
    for words in (
        "front photo",
        "texture coordinates",
        "could not be separated",
        "Accept this error",
        "usable: 0 %",
        "px",
    ):
        assert words in text, words
    assert "1 failed" in text and "0 failed" not in text


@pytest.mark.parametrize(
    ("facts", "lines"),
    [
        ({"family": "hull, like the top"}, [("Shape", "from the outlines, like the top")]),
        ({"confidence": 0.01}, [("Probably good", "1 %")]),
        (
            {"confidence": 0.38, "spin_frames": 24},
            [("Score of the capture, by rules of thumb", "38 %"), ("Frames of the spin", "24")],
        ),
        (
            {"cutout_confidence": 0.43, "mask_corrected": "1 stroke by ada"},
            [
                ("Cut-out probably usable before it was corrected", "43 %"),
                ("Mask corrected", "1 stroke by ada"),
            ],
        ),
        ({"jpeg_de2000": 0.09}, [("JPEG: colour difference to the picture", "0.09 (CIEDE2000)")]),
        ({"cutout_net": "u2netp.onnx"}, [("Cut out with the net", "u2netp")]),
        ({"web_bytes": 207872}, [("Web model file", "208 kB")]),
        (
            {"scale": 1.72, "texture_px": 2048},
            [("Product enlarged", "1.72 ×"), ("Largest texture", "2,048 px")],
        ),
        ({"scale": 0.87}, [("Product reduced to", "0.87 ×")]),
        ({"photo_px": "1000 x 800"}, [("Size of the photo", "1000 × 800 px")]),
        ({"of_a_plugin": True}, [("Of a plugin", "yes")]),
        ({"odd": math.inf, "none": None}, [("Odd", "inf"), ("None", "")]),
    ],
)
def test_facts_have_names_and_units(facts: dict[str, Fact], lines: list[tuple[str, str]]) -> None:
    assert list(fact_lines(facts)) == lines


@pytest.mark.parametrize(
    ("measured", "text"),
    [
        ("", ""),
        ("colour 1.5", "colour differs by 1.5 (CIEDE2000)"),
        (
            "outline 99.3 %, proportions +0.6 %, colour 2.0, seen from 0° around and 90° above",
            "outline agrees to 99.3 %, proportions differ by +0.6 %, colour differs by 2.0 (CIEDE2000), "
            "seen from 0° around and 90° above",
        ),
        ("7.2 CIEDE2000", "colour difference 7.2 (CIEDE2000)"),
        ("CIEDE2000 7.2: it is #112233", "colour difference 7.2 (CIEDE2000): it is #112233"),
        ("SSIM 0.930 in the hero view", "alike to 0.930 of 1 (SSIM) in the hero view"),
        ("1.72 x", "1.72 ×"),
    ],
)
def test_measured_values_say_what_they_are(measured: str, text: str) -> None:
    assert measured_text(measured) == text


@pytest.mark.parametrize(
    ("code", "measured", "limit", "text"),
    [
        ("model.low_confidence", 0.0, 0.5, "Model probably good: 0 %; at least 50 % is wanted."),
        ("cutout.uncertain", "0.31", "", "Cut-out probably usable: 31 %."),
        ("geometry.not_watertight", 1200, 0, "Measured: 1,200 edges, limit: 0 edges."),
        ("geometry.floating", 1, "none near", "Measured: 1 part, limit: none near."),
        ("file.texture_size", "4096 px", "2048 px", "Measured: 4096 px, limit: 2048 px."),
        ("geometry.winding", "0.5 m3", "", "Measured: 0.5 m3."),
        ("uv.gutter", "", 2, ""),
    ],
)
def test_findings_give_values_with_units(code: IssueCode, measured: object, limit: object, text: str) -> None:
    assert finding_measure(issue(code, "It was found.", measured=measured, limit=limit)) == text


def test_the_confidence_of_a_capture_is_called_no_probability() -> None:
    found = issue("model.low_confidence", "Few.", pointer="/spin_images", measured=0.38, limit=0.5)
    text = finding_measure(found)
    assert text.startswith("Score of the capture") and "no probability: 38 %; at least 50 %" in text


@pytest.mark.parametrize(
    ("pointer", "text"),
    [
        ("", ""),
        ("/images/front", "front photo"),
        ("/images/2", "image #2"),
        ("/meshes/0/primitives/1/attributes/NORMAL", "mesh #0 primitive #1 attributes NORMAL"),
        ("/dimensions/width_m", "width"),
        ("/profiles/khronos-banner/triangles", "profile khronos-banner"),
        ("/files/CH1_V1_GLB.glb", "CH1_V1_GLB.glb"),
        ("/spin_images", "spin images"),
        ("/walk_images", "walk images"),
    ],
)
def test_places_are_words(pointer: str, text: str) -> None:
    assert place_text(pointer) == text


def test_required_profiles_are_counted_apart_from_the_others(app: Flask) -> None:
    rows = tuple(
        ReportRow(check="triangles", outcome=outcome, profile=name)
        for name, outcome in (
            ("a", CheckOutcome.PASS),
            ("b", CheckOutcome.PASS),
            ("c", CheckOutcome.FAIL),
            ("d", CheckOutcome.FAIL),
        )
    )
    for required, words in (
        (("a", "b"), "Profiles: 2 of 2 required met; 0 of 2 optional met"),
        (("a", "c", "d"), "Profiles: 1 of 3 required met; 1 of 1 optional met"),
        ((), "Profiles: 2 of 4 optional met"),
    ):
        version = SimpleNamespace(report=Report(rows=rows, held_to=required))
        matrix = app.jinja_env.get_template("report.html").module.matrix  # type: ignore[attr-defined]
        page = matrix(version, profile_matrix(rows))
        assert words in " ".join(str(page).split())
