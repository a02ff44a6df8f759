"""A reviewer's way in a real browser: one-time link, queue, version with its turning model, decision by key,
AR page.

The console of each page must stay empty.
"""

import json
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from dam_connector.store.users import UserRole
from dam_connector.wiring import Services
from tests.browser.conftest import (
    WITH_3D,
    add_chair_and_flagged_product,
    model_is_shown,
    needs_chromium,
    press,
    quiet_page,
    serious_violations,
    served,
)
from tests.support import MODEL, PhotoServer, rules_json

pytestmark = needs_chromium
SIZES_ARE_INSIDE = """() => [...document.querySelectorAll(".size")].every((label) => {
    const { left, right, width } = label.getBoundingClientRect();
    return width > 0 && left >= 0 && right <= innerWidth;
})"""
LINES_ARE_DRAWN = """() => [...document.querySelectorAll("svg.lines line")].every(({ x1, y1, x2, y2 }) =>
  Math.hypot(x1.baseVal.value - x2.baseVal.value, y1.baseVal.value - y2.baseVal.value) > 1)"""
MODEL_WITH_WEB = {**MODEL, "formats": ["glb", "web", "usdz"]}


@pytest.fixture(scope="module")
def chromium(browsers: Callable[..., Browser]) -> Browser:
    """A Chromium that draws models."""
    return browsers(*WITH_3D)


@pytest.fixture
def deliverables() -> list[dict]:
    """What is made for the chair: a packshot, unless a test asks for the model too."""
    return rules_json()["deliverables"][:1]


@pytest.fixture
def site(
    services: Services,
    photos: PhotoServer,
    drain: Callable[[], int],
    write_rules: Callable,
    deliverables: list[dict],
) -> Iterator[str]:
    """The application on loopback with a chair in review and a flagged product."""
    write_rules(deliverables=deliverables)
    add_chair_and_flagged_product(services, photos)
    drain()
    yield from served(services)


@pytest.fixture
def page(chromium: Browser, site: str, services: Services) -> Iterator[Page]:
    """A reviewer's."""
    yield from quiet_page(
        chromium,
        site,
        "/login/link/" + services.users.add_login_link(services.users.add("ann", UserRole.ADMIN)),
    )


@pytest.mark.parametrize(
    "deliverables", [[rules_json()["deliverables"][0], MODEL_WITH_WEB]], ids=["with model"]
)
def test_from_the_queue_to_the_ar_page(
    chromium: Browser,
    site: str,
    page: Page,
    services: Services,
    photos: PhotoServer,
    drain: Callable[[], int],
    write_rules: Callable[..., None],
    eventually: Callable[..., None],
) -> None:
    expect(page.locator(".card")).to_have_count(2)
    page.locator(".card", has_text="model").click()
    page.wait_for_url("**/versions/**")
    assert model_is_shown(page, "model-viewer")
    page.get_by_role("button", name="right", exact=True).first.click()
    expect(page.locator("[data-view=right]")).to_be_visible()
    expect(page.locator("[data-view=front]")).to_be_hidden()
    page.locator("[data-show-render=hero]").click()
    expect(page.locator("[data-render=hero]")).to_be_visible()
    expect(page.locator("model-viewer")).to_be_hidden()
    page.locator("[data-show-model]").click()
    photo_model_and_difference_by_one_key(page)
    tools_of_the_model_show_it(page)
    two_clicks_measure_and_the_surface_changes(page)
    a_pin_on_the_model_keeps_its_camera(page)
    assert serious_violations(page) == []
    press(page, "?")
    expect(page.locator("dialog[open]")).to_be_visible()
    press(page, "Escape")
    press(page, "a")
    page.get_by_text("approved").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("in review again").wait_for()
    press(page, "a")
    page.get_by_text("approved").wait_for()
    press(page, "r")
    press(page, "2")
    expect(page.locator("[name=reasons]").nth(1)).to_be_checked()
    press(page, "Control+Enter")
    page.wait_for_url("**/review*")
    services.clock.forward(60)  # type: ignore[attr-defined]
    services.queue.wake("finish_run", [r.id for r in services.runs.page(state="queued")])
    drain()
    write_rules(deliverables=[rules_json()["deliverables"][0], MODEL_WITH_WEB], viewer={"count": True})
    the_ar_page_shows_the_web_model(page)
    eventually(lambda: [(c.views, c.ar_starts) for c in services.ar_counts.of("CH123")] == [(1, 1)])
    a_shop_on_another_origin_shows_it(chromium, site, photos)
    the_ar_page_needs_no_javascript(chromium, site)
    a_missing_product_speaks_to_shoppers(chromium, site)


def photo_model_and_difference_by_one_key(page: Page) -> None:
    compared = page.locator("[data-compared]")
    for name in ("Photo", "Model", "Difference"):
        press(page, "d")
        expect(compared).to_have_attribute("aria-label", f"{name}, right")
        expect(compared).to_be_visible()
    page.locator("[data-show-photo=front]").click()
    expect(compared).to_have_attribute("aria-label", "Difference, front")
    page.locator("[data-show-photo=right]").click()
    press(page, "d")
    expect(compared).to_be_hidden()
    expect(page.locator("model-viewer")).to_be_visible()


def tools_of_the_model_show_it(page: Page) -> None:
    model = page.locator("model-viewer")
    for key, tool in (("m", "measure"), ("x", "box")):
        press(page, "d")
        expect(model).to_be_hidden()
        press(page, key)
        expect(model).to_be_visible()
        expect(page.locator(f"[data-tool={tool}]")).to_have_attribute("aria-pressed", "true")
        press(page, "d", key)  # it is on already, and seen by nobody
        expect(model).to_be_visible()
        press(page, key)
        expect(page.locator(f"[data-tool={tool}]")).to_have_attribute("aria-pressed", "false")
    press(page, "d")
    page.get_by_label("Surface").select_option("clay")
    expect(model).to_be_visible()
    page.get_by_label("Surface").select_option("")


def two_clicks_measure_and_the_surface_changes(page: Page) -> None:
    viewer = page.locator("model-viewer")
    press(page, "x")
    expect(page.locator(".length")).to_have_text(["460 mm", "852 mm", "489 mm"])
    expect(page.locator(".lines line")).to_have_count(12)
    press(page, "x")
    expect(page.locator(".length")).to_have_count(0)
    press(page, "m")
    box = viewer.bounding_box()
    assert box
    for share in (0.47, 0.53):  # on the seat
        page.mouse.click(box["x"] + box["width"] * share, box["y"] + box["height"] * 0.5)
    expect(page.locator("[data-measured]")).to_have_text(re.compile(r"^\d+ mm$"))
    press(page, "m")
    for kind in ("clay", "wireframe", "uv", ""):
        page.locator("select[data-surface]").select_option(kind)
        expect(viewer).to_have_attribute("data-surface", kind)
    page.locator("h1").click()


def a_pin_on_the_model_keeps_its_camera(page: Page) -> None:
    press(page, "p")
    page.locator("model-viewer").click()
    expect(page.get_by_text("Pinned to the model, with this view.")).to_be_visible()
    page.keyboard.type("a scratch, @ann")
    press(page, "Control+Enter")
    expect(page.locator(".comment")).to_contain_text("cm above the ground")
    assert model_is_shown(page, "model-viewer")
    expect(page.locator("model-viewer .pin")).to_have_text("1")
    kept = json.loads(page.locator(".comment").get_attribute("data-anchor") or "")["orbit"][0]
    page.locator("model-viewer").evaluate(
        "(viewer, a) => viewer.cameraOrbit = `${a}deg 60deg auto`", kept + 90
    )
    page.locator("[data-show-pin]").click()
    page.wait_for_function(
        "a => Math.abs(document.querySelector('model-viewer').getCameraOrbit().theta * 57.3 - a) < 2",
        arg=kept,
    )
    page.get_by_role("link", name="Mentions 1").wait_for()
    press(page, "p")
    for key in ["ArrowLeft"] * 25 + ["Enter"]:  # beside the model
        press(page, key)
    expect(page.get_by_text("The model is not there.")).to_be_visible()
    for key in ["ArrowRight"] * 25 + ["Enter"]:
        press(page, key)
    expect(page.get_by_text("Pinned to the model, with this view.")).to_be_visible()
    assert "point" in json.loads(page.locator("[data-pin-form] [name=anchor]").input_value())
    page.locator("body").click(position={"x": 5, "y": 300})


def the_sizes_fit_a_phone(page: Page) -> None:
    before = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Show size").click()
    page.wait_for_function(SIZES_ARE_INSIDE)
    page.get_by_role("button", name="Hide size").click()
    assert before
    page.set_viewport_size(before)


def the_ar_page_shows_the_web_model(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/ar/CH123", wait_until="commit")
    page.locator("img.poster").wait_for()
    assert model_is_shown(page, "#model")
    expect(page.get_by_role("heading", name="Modern Dining Chair")).to_be_visible()
    page.get_by_role("button", name="Show size").click()
    expect(page.locator(".size", has_text="Height 33.5 in")).to_be_visible()
    expect(page.locator("svg.lines line")).to_have_count(9)  # of each size, and a mark at its ends
    page.wait_for_function(LINES_ARE_DRAWN)
    page.get_by_role("button", name="Show in cm").click()
    expect(page.locator(".size", has_text="Height 85.2 cm")).to_be_visible()
    expect(page.locator(".measures")).to_contain_text("Width 46 cm")
    page.get_by_role("button", name="Show in inches").click()
    expect(page.locator(".size", has_text="Height 33.5 in")).to_be_visible()
    assert serious_violations(page) == []
    page.get_by_role("button", name="Hide size").click()
    expect(page.locator("svg.lines")).to_be_hidden()
    the_sizes_fit_a_phone(page)
    page.evaluate("document.querySelector('button.ar').click()")  # hidden where there is no AR
    page.wait_for_function("() => document.querySelector('.qr img').naturalWidth > 0")
    assert json.loads(page.locator("script[type='application/ld+json']").text_content())["sku"] == "CH123"
    expect(page.locator("#pictures")).to_be_hidden()
    models = [address for address in asked if ".glb" in address]
    assert models and all("web" in address for address in models)
    assert any("draco_decoder.wasm" in address for address in asked)
    assert all(address.startswith(page.url.split("/ar/")[0]) for address in asked if address[:4] == "http")
    script = page.request.get(page.locator("#model").get_attribute("data-script") or "")
    assert "immutable" in script.headers["cache-control"] and script.headers["content-encoding"] in (
        "br",
        "gzip",
    )


def a_shop_on_another_origin_shows_it(chromium: Browser, site: str, photos: PhotoServer) -> None:
    script = f'<script src="{site}/embed/dam-viewer.js" async></script>'
    frame = f'<iframe src="{site}/ar/CH123?embed"></iframe>'
    photos.files["shop.html"] = f'{script}<dam-viewer sku="CH123"></dam-viewer>{frame}'.encode()
    photos.headers["shop.html"] = {"Content-Type": "text/html"}
    page = chromium.new_context().new_page()
    page.goto(photos.url("shop.html"))
    for place in ("dam-viewer iframe", "body > iframe"):
        expect(page.frame_locator(place).locator("model-viewer")).to_be_visible()
        poster = page.frame_locator(place).locator("img.poster")  # hidden once the model is shown
        expect(poster).to_have_js_property("complete", True)
        assert poster.evaluate("i => i.naturalWidth > 0")
        expect(page.frame_locator(place).locator(".qr")).to_have_count(0)
    box = page.locator("dam-viewer").bounding_box()
    assert box and box["width"] == box["height"] > 300
    page.context.close()


def the_ar_page_needs_no_javascript(chromium: Browser, site: str) -> None:
    context = chromium.new_context(base_url=site, java_script_enabled=False, locale="de-DE")
    page = context.new_page()
    page.goto("/ar/CH123")
    assert page.locator("img.poster").evaluate("i => i.complete && i.naturalWidth > 0")
    expect(page.locator("#pictures img")).to_have_count(5)
    expect(page.locator(".measures")).to_contain_text("Höhe 85,2 cm")
    expect(page.get_by_text("Die 3D-Ansicht funktioniert in diesem Browser nicht")).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)  # none that does nothing
    context.close()


def a_missing_product_speaks_to_shoppers(chromium: Browser, site: str) -> None:
    context = chromium.new_context(base_url=site, locale="ja-JP")
    page = context.new_page()
    answer = page.goto("/ar/NOT-HERE")
    assert answer and answer.status == 404
    expect(page.get_by_role("heading")).to_have_text("この商品は現在3Dで表示できません")
    context.close()


def test_product_and_theme(page: Page, services: Services) -> None:
    page.goto(f"/products/{services.products.get('FLAG1').id}")
    expect(page.get_by_text("The size is missing").first).to_be_visible()
    body = page.locator("body")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("[data-theme-switch]").click()
    expect(body).not_to_have_css("background-color", before)
    page.reload()
    expect(body).not_to_have_css("background-color", before)


def test_it_works_without_javascript(chromium: Browser, site: str, services: Services) -> None:
    context = chromium.new_context(base_url=site, java_script_enabled=False)
    page = context.new_page()
    page.goto("/login/link/" + services.users.add_login_link(services.users.add("bob", UserRole.REVIEWER)))
    page.get_by_role("button", name="Log in with this link").click()
    page.locator(".card", has_text="packshot").click()
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("approved").first).to_be_visible()  # a click does not wait for the next page
    context.close()
