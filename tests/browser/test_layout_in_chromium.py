"""The layout of pages with long findings: nothing covers a picture, runs over a text or leaves its box."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Page, expect

from dam_connector.domain.codec import to_plain
from dam_connector.domain.issue import issue
from dam_connector.store.tables import versions
from dam_connector.wiring import Services
from tests.browser.conftest import assert_no_console_messages, needs_chromium
from tests.browser.sites import page_of_ann, shared_site
from tests.support import rules_json

pytestmark = needs_chromium
WIDTHS = [1280, 390]


@pytest.fixture(scope="module")
def opened(
    chromium: Browser, queue_url: str, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Services, Page, list[str]]]:
    """A site with two versions that have long findings."""
    folder = tmp_path_factory.mktemp("site")
    with (
        shared_site(queue_url, migrated_sqlite, folder, rules_json()["deliverables"][:2]) as (services, site),
        page_of_ann(chromium, services, site) as (page, messages),
    ):
        found = (issue("model.views_disagree", "236 %"), issue("rendition.enlarged", "2 x"))
        for version in services.assets.of_product("CH123"):
            with services.db.write() as c:
                report = to_plain(replace(version.report, issues=found))
                c.execute(sa.update(versions).where(versions.c.id == version.id).values(report=report))
        yield services, page, messages


@pytest.fixture(params=WIDTHS)
def page(request: pytest.FixtureRequest, opened: tuple[Services, Page, list[str]]) -> Iterator[Page]:
    _, page, messages = opened
    messages.clear()
    page.set_viewport_size({"width": request.param, "height": 844})
    yield page
    assert_no_console_messages(messages)


def ids(opened: tuple[Services, Page, list[str]]) -> list[str]:
    return [version.id for version in opened[0].assets.of_product("CH123")]


def test_findings_of_compared_versions_stay_in_their_columns(
    page: Page, opened: tuple[Services, Page, list[str]]
) -> None:
    page.goto("/compare?" + "&".join(f"v={each}" for each in ids(opened)))
    too_wide = """() => [...document.querySelectorAll(".list td")]
        .filter((cell) => cell.scrollWidth > cell.clientWidth)
        .map((cell) => cell.textContent)"""
    assert page.evaluate(too_wide) == []


@pytest.mark.parametrize("address", ["/gallery", "/review", "product"])
def test_a_mark_covers_no_picture_and_is_read_whole(
    page: Page, opened: tuple[Services, Page, list[str]], address: str
) -> None:
    record = opened[0].products.get("CH123")
    assert record
    page.goto(f"/products/{record.id}" if address == "product" else address)
    expect(page.locator(".card .doubt").first).to_be_visible()
    marks = """() => [...document.querySelectorAll(".card:has(.doubt)")].map((card) => {
        const [mark, frame, box] = [card.querySelector(".doubt"), card.querySelector(".frame"), card]
            .map((each) => each.getBoundingClientRect());
        return mark.top >= frame.bottom && mark.left >= box.left && mark.right <= box.right;
    })"""
    assert set(page.evaluate(marks)) == {True}


def test_the_question_of_a_rejection_lies_in_its_box(page: Page) -> None:
    page.goto("/gallery")
    page.locator(".tick input").first.check()
    page.locator("[data-reasons] > summary").click()
    legend, box = (page.locator(f"[data-reasons] {each}").bounding_box() for each in ("legend", "fieldset"))
    assert legend and box and legend["y"] >= box["y"] + 8
    first = page.locator("[data-reasons] .check").first.bounding_box()
    assert first and first["y"] >= legend["y"] + legend["height"]


def test_a_phone_is_told_nothing_of_keys(page: Page, opened: tuple[Services, Page, list[str]]) -> None:
    page.goto(f"/versions/{ids(opened)[0]}")
    page.locator("[data-reasons] > summary").click()
    expect(page.locator("[data-reasons] legend")).to_contain_text("At least one reason")
    is_phone = (page.viewport_size or {})["width"] < 640
    expect(page.get_by_text("keys 1 to")).to_be_visible(visible=not is_phone)


def test_the_question_about_cancelling_a_batch_is_read_whole(
    page: Page, opened: tuple[Services, Page, list[str]], tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("sku,name\n,Nameless\n", encoding="utf-8")
    page.goto("/batches/new")
    page.locator("[name=file]").set_input_files(sheet)
    width = (page.viewport_size or {})["width"]
    page.locator("[name=name]").fill(f"Autumn {width}")
    page.get_by_role("button", name="Check the rows").click()
    page.get_by_role("button", name="Keep the bad rows").click()
    page.get_by_text("Cancel the batch …").click()
    box = page.locator(".menu[open] form").bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= width
