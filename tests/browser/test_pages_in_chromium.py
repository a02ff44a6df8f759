"""Every page that can be read opens in a real browser, fits its width, and leaves the console empty."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

import worker.jobs
from dam_connector.store.users import UserRole
from tests.browser.conftest import (
    add_chair_and_flagged_product,
    assert_no_console_messages,
    logged_in_page,
    needs_chromium,
    press,
    served,
)
from tests.conftest import drain_queues, open_services
from tests.support import PhotoServer, TestClock, rules_json

pytestmark = needs_chromium
ADDRESSES = [
    "/review",
    "/review?state=blocked",
    "/products",
    "/products?flagged=1",
    "/runs",
    "/deliveries",
    "/rules",
    "/api/docs",
    "/gallery",
    "/gallery?category=none",
    "/batches",
    "/batches/new",
]
IN_THE_MENU = set(ADDRESSES) - {"/batches/new"}


@pytest.fixture(scope="module")
def shared_page(
    chromium: Browser, queue_url: str, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Page, list[str]]]:
    """A page of one site for all tests of this file, which only read, and the words on its console."""
    photos = PhotoServer()
    photos.start()
    with open_services(
        tmp_path_factory.mktemp("site"),
        clock=TestClock(),
        queue_url=queue_url,
        allow_hosts=photos.host,
        migrated_sqlite=migrated_sqlite,
    ) as services:
        services.settings.plugin_json.write_text(
            json.dumps(rules_json(deliverables=rules_json()["deliverables"][:1]))
        )
        add_chair_and_flagged_product(services, photos)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(worker.jobs, "services", lambda: services)
            drain_queues(queue_url)
        link = "/login/link/" + services.users.add_login_link(services.users.add("ann", UserRole.ADMIN))
        for site in served(services):
            with logged_in_page(chromium, site, link) as opened:
                yield opened
    photos.stop()


@pytest.fixture
def page(shared_page: tuple[Page, list[str]]) -> Iterator[Page]:
    """The shared page; nothing may appear on its console during the test."""
    found, messages = shared_page
    messages.clear()
    yield found
    assert_no_console_messages(messages)


@pytest.mark.parametrize("width", [1440, 1024, 768])
def test_all_links_of_the_navigation_are_seen_but_on_phones(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/needs")
    hidden = """() => {
        const box = document.querySelector(".bar nav").getBoundingClientRect();
        return [...document.querySelectorAll(".bar nav a:not(.phone)")].filter((link) => {
            const { left, right, bottom } = link.getBoundingClientRect();
            return left < box.left - 1 || right > box.right + 1 || bottom > box.bottom + 1;
        }).map((link) => link.textContent);
    }"""
    assert page.evaluate(hidden) == []


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("width", [1280, 360])
def test_every_page_opens_quietly_and_fits_its_width(page: Page, address: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(address, wait_until="networkidle")
    if address == "/api/docs":
        page.locator(".opblock").first.wait_for()
    else:  # Swagger UI scrolls by itself
        page.locator("main h1").first.wait_for()
        assert page.locator("main h1").count() == 1
        for each in (width, 1024) if width > 1024 else (width,):
            page.set_viewport_size({"width": each, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= each
    assert page.locator("main#main").count() == 1
    assert page.locator("[aria-current]").count() >= 1 or address not in IN_THE_MENU


@pytest.mark.parametrize("address", [*ADDRESSES, "/needs", "/account", "/help"])
def test_a_question_mark_lists_the_keys_of_every_page(page: Page, address: str) -> None:
    page.goto(address)
    press(page, "?")
    expect(page.locator("dialog[open]")).to_contain_text("show this list")
    has_cards = page.locator("[data-grid]").count() > 0
    assert ("from card to card" in page.locator("dialog[open]").inner_text()) >= has_cards
    press(page, "Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_relative_times_go_on_while_a_page_is_open(chromium: Browser, page: Page) -> None:
    page.goto("/runs")
    context = chromium.new_context(storage_state=page.context.storage_state())
    other = context.new_page()
    other.clock.install()
    other.goto(page.url)
    add = """(offset) => {
        const time = document.createElement("time");
        time.id = `at${offset}`;
        time.dateTime = new Date(Date.now() + offset * 1000).toISOString();
        document.querySelector("main").append(time);
    }"""
    for offset in (0, 600, -40 * 86_400):
        other.evaluate(add, offset)
    other.evaluate("document.getElementById('at-3456000').textContent = '5 Mar 2026'")
    other.clock.fast_forward(45_000)
    expect(other.locator("#at0")).to_have_text(re.compile(r"^4\d s ago$"))
    other.clock.fast_forward(180_000)
    expect(other.locator("#at0")).to_have_text("4 min ago")
    expect(other.locator("#at600")).to_have_text("in 6 min")
    expect(other.locator("#at-3456000")).to_have_text("5 Mar 2026")
    context.close()


@pytest.mark.parametrize("width", [1440, 1024])
def test_tables_of_documents_are_read_without_moving_them(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for name in ("bulk.md", "configuration.md"):
        page.goto(f"/help/{name}")
        tables = page.locator(".document .scroll")
        assert tables.count() >= 2
        for table in tables.all():
            assert table.evaluate("(box) => box.scrollWidth <= box.clientWidth"), table.inner_text()[:80]
    broken = """() => [...document.querySelectorAll(".document td:first-child > code:only-child")]
        .filter((code) => code.getClientRects().length > 1 && /^[A-Z0-9_]+$/.test(code.textContent))
        .map((code) => code.textContent)"""
    assert page.evaluate(broken) == []  # no name of a variable


def test_a_page_with_a_secret_is_not_asked_for_twice_and_errors_stay(
    page: Page, shared_page: tuple[Page, list[str]]
) -> None:
    page.goto("/account")
    page.get_by_label("What it is for").fill("nightly import")
    page.get_by_role("button", name="Make a token").click()
    page.get_by_label("Token").wait_for()
    page.reload()  # a POST that is sent again would make another token
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Revoke").click()
    page.goto("/guests")
    page.get_by_label("Name of the guest").fill("Blue")
    page.get_by_label("Which one").fill("nothing of this name")
    page.clock.install()
    page.get_by_role("button", name="Create the link").click()
    message = page.locator(".message.error")
    expect(message).to_contain_text("there is no category")
    page.clock.fast_forward(60_000)
    expect(message).to_be_visible()
    message.get_by_role("button", name="Close the message").click()
    expect(message).to_have_count(0)
    (status,) = shared_page[1]
    assert "422" in status
    shared_page[1].clear()


def top(page: Page, selector: str) -> float:
    """Return the distance of an element from the top of the page."""
    return float(
        page.locator(selector).first.evaluate("(e) => e.getBoundingClientRect().top + window.scrollY")
    )


def test_a_phone_shows_facts_before_pictures_and_folds_the_rest(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/products")
    page.get_by_role("link", name="CH123").first.click()
    page.locator("#facts").wait_for()
    assert top(page, "#facts") < top(page, ".grid.large") < top(page, "aside")
    page.set_viewport_size({"width": 1440, "height": 844})
    box = page.locator(".first").bounding_box()
    assert box is not None and box["x"] > 900  # beside the pictures

    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/gallery?text=CH123")
    words = page.get_by_label("Words")
    expect(words).to_be_hidden()
    assert top(page, ".grid .card") < 200
    page.get_by_text("Filters: “CH123”").click()
    expect(words).to_have_value("CH123")


@pytest.mark.parametrize(("width", "rows"), [(360, 2), (390, 2), (1024, 1), (1440, 1)])
def test_the_actions_of_the_gallery_take_few_rows(page: Page, width: int, rows: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.goto("/gallery")
    page.locator(".tick input").first.check()
    rows_shown = """(bar) => {
        const shown = [...bar.querySelectorAll("button, summary, [data-count]")]
            .filter((part) => part.offsetParent && !part.closest("fieldset"));
        const middles = shown.map((part) => part.getBoundingClientRect()).map((box) => box.top + box.bottom);
        return new Set(middles.map((place) => Math.round(place / 2))).size;
    }"""
    bar = page.locator("[data-actions]")
    expect(bar).to_be_visible()
    assert bar.evaluate(rows_shown) == rows
    rest = bar.get_by_role("button", name="Download")
    if width < 641:
        expect(rest).to_be_hidden()
        bar.get_by_text("More", exact=True).click()
    expect(rest).to_be_visible()


def test_the_api_is_read_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/api/docs")
    path = page.locator("[data-path='/api/v1/batches/template']")
    block = page.locator(".opblock").filter(has=path)
    block.locator(".opblock-summary-control").click()
    for cell in (".parameters-col_description", ".response-col_description"):
        found = block.locator(f"tbody td{cell}").first
        found.wait_for()
        box = found.bounding_box()
        assert box is not None and box["width"] > 250, cell
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
