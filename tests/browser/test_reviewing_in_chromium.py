"""Reviewing in a real browser: keys and forms on every page, the list and its filter, the page's shape."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dam_connector.domain.comment import PictureAnchor
from dam_connector.domain.issue import issue
from dam_connector.wiring import Services
from tests.browser.conftest import assert_no_console_messages, needs_chromium, press, serious_violations
from tests.browser.sites import page_of_ann, shared_site
from tests.support import rules_json

pytestmark = needs_chromium
# has every key that acts somewhere
SENTENCE = "Argh? A jacket, zip box 1234"
DESKTOP = {"width": 1280, "height": 720}
FIELDS = "textarea, input:not([type=hidden]):not([type=checkbox]):not([type=file]):not([type=range])"


@pytest.fixture(scope="module")
def opened(
    chromium: Browser, queue_url: str, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Services, Page, list[str]]]:
    deliverables = rules_json()["deliverables"][:2]
    with (
        shared_site(queue_url, migrated_sqlite, tmp_path_factory.mktemp("site"), deliverables) as (
            services,
            site,
        ),
        page_of_ann(chromium, services, site) as (page, messages),
    ):
        yield services, page, messages


@pytest.fixture
def services(opened: tuple[Services, Page, list[str]]) -> Services:
    return opened[0]


@pytest.fixture
def page(opened: tuple[Services, Page, list[str]]) -> Iterator[Page]:
    """The shared page; no request may be sent to change anything unless a test asks for it."""
    _, page, messages = opened
    messages.clear()
    yield page
    assert_no_console_messages(messages)


def states(services: Services) -> list[str]:
    return [v.state.value for v in services.assets.of_product("CH123")]


def version_page(page: Page, services: Services, number: int = 0) -> str:
    found = services.assets.page(state="in_review", oldest_first=True)[number]
    page.goto(f"/versions/{found.id}")
    return found.id


def addresses(services: Services) -> list[str]:
    version = services.assets.of_product("CH123")[0]
    product = services.products.get("CH123")
    return [
        f"/versions/{version.id}",
        "/review",
        "/gallery",
        f"/products/{product.id}",
        "/products",
        "/batches/new",
        "/runs",
        "/connections",
    ]


def test_a_sentence_in_any_field_of_any_page_is_only_typed(page: Page, services: Services) -> None:
    changes: list[str] = []
    page.on("request", lambda r: changes.append(r.url) if r.method != "GET" else None)
    before, typed = states(services), 0
    for address in addresses(services):
        page.goto(address)
        if address == "/gallery":
            press(page, "Control+a")
        here = page.url
        for field in page.locator(f"main :is({FIELDS})").all():
            kind = field.get_attribute("type")
            if kind in ("date", "datetime-local"):
                continue
            popup = field.locator("xpath=ancestor::details[1]")
            if popup.count() and popup.get_attribute("open") is None:
                popup.locator("summary").first.click()
            field.focus()
            page.keyboard.type(SENTENCE)
            assert SENTENCE in field.input_value() or kind == "number"
            typed += 1
            press(page, "Escape")
            assert page.url == here
    assert typed >= 12 and changes == [] and states(services) == before


@pytest.mark.parametrize("key", ["g", "r"])
def test_an_opened_form_takes_the_focus_and_keys_go_into_it(page: Page, services: Services, key: str) -> None:
    version_page(page, services)
    here = page.url
    press(page, key)
    page.keyboard.type("all black, and again better")
    if key == "g":
        expect(page.locator("details[open] textarea")).to_have_value("all black, and again better")
    press(page, "Escape")
    expect(page.locator("details[data-form][open]")).to_have_count(0)
    assert page.url == here and set(states(services)) == {"in_review"}


def test_a_rejection_needs_a_reason_and_is_undone_by_key(page: Page, services: Services) -> None:
    found = version_page(page, services)
    press(page, "r")
    press(page, "Control+Enter")
    assert services.assets.get(found).state == "in_review"
    press(page, "2")
    page.get_by_label("Note, if it helps").focus()
    page.keyboard.type("2 shades darker, and again")
    press(page, "Control+Enter")
    page.get_by_text("V1 rejected.").wait_for()
    decision = services.decisions.of_version(found)[0].decision
    assert (len(decision.reasons), decision.note) == (1, "2 shades darker, and again")
    press(page, "z")
    page.get_by_text("in review again").wait_for()
    assert services.assets.get(found).state == "in_review"


def test_a_key_held_down_decides_once(page: Page, services: Services) -> None:
    version_page(page, services)
    page.keyboard.down("a")
    page.get_by_text("V1 approved.").wait_for()
    page.keyboard.down("a")  # the browser repeats it on the next page
    page.wait_for_load_state("networkidle")
    assert sorted(states(services)) == ["approved", "in_review"]
    page.keyboard.up("a")
    press(page, "z")
    page.get_by_text("in review again").wait_for()


def test_enter_on_a_ticked_card_of_the_gallery_does_not_approve(page: Page, services: Services) -> None:
    page.goto("/gallery")
    page.locator(".tick input").first.check()
    press(page, "Enter")
    press(page, "r")
    page.get_by_label("Note").first.focus()
    page.wait_for_load_state("networkidle")
    assert set(states(services)) == {"in_review"}


def test_the_list_keeps_its_filter_and_place(page: Page, services: Services) -> None:
    page.goto("/review?deliverable=packshot")
    page.locator(".card").first.click()
    expect(page.locator(".place")).to_contain_text("1 of 1")
    press(page, "a")
    page.wait_for_url("**/review?deliverable=packshot*")
    press(page, "z")
    page.get_by_text("in review again").wait_for()
    press(page, "b")
    page.wait_for_url("**/review*")


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_the_page_of_a_version_fits_its_width_with_a_long_pointer(
    page: Page, services: Services, width: int
) -> None:
    found = services.assets.of_product("CH123")[0]
    pointer = "/meshes/0/primitives/0/extensions/" + "KHR_draco_mesh_compression" * 12
    finding = issue("conformance.error", "One `unbroken` pointer.", pointer=pointer)
    services.assets.set_report(found.id, replace(found.report, issues=(finding,)))
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"/versions/{found.id}")
    page.locator(".finding").wait_for()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1280, "height": 800})


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
def test_title_and_decision_are_in_the_first_screen_and_stay(
    page: Page, services: Services, size: tuple[int, int]
) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    version_page(page, services)
    assert page.locator("h1").bounding_box()["y"] < 200  # type: ignore[index]
    if size[0] < 640:  # a phone: the picture comes before its photo, and whole above the fixed bar
        title, picture, bar = (page.locator(each).bounding_box() for each in ("h1", "[data-pins]", ".decide"))
        photo = page.locator("[data-photos]").bounding_box()
        assert title and picture and photo and bar and title["y"] < picture["y"] < photo["y"]
        assert picture["y"] + picture["height"] <= bar["y"]
    for scrolled in (0, 600):
        page.evaluate("y => scrollTo(0, y)", scrolled)
        for name in ("Approve", "Reject"):
            box = page.locator(".decide [data-key]", has_text=name).bounding_box()
            assert box and box["y"] >= 0 and box["y"] + box["height"] <= size[1]
    page.set_viewport_size({"width": 1280, "height": 800})


def test_only_a_picture_with_alpha_has_a_checkerboard(page: Page) -> None:
    page.goto("/review")
    frames = {
        card.locator(".dim").first.inner_text().split(" · ")[1]: card.locator(".frame.checker").count()
        for card in page.locator(".card").all()
    }
    assert frames == {"packshot": 0, "cutout": 1}


def test_a_rectangle_is_pinned_found_again_and_resolved(page: Page, services: Services) -> None:
    found = version_page(page, services)
    press(page, "p")
    box = page.locator("[data-pins]").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.75, steps=3)
    page.mouse.up()
    expect(page.get_by_text("Pinned to this rectangle.")).to_be_visible()
    page.keyboard.type(SENTENCE)
    press(page, "Control+Enter")
    mark = page.locator("[data-pins] button.pin")
    expect(mark).to_have_text("1")
    anchor = services.comments.of_version(services.assets.get(found))[0].anchor
    assert anchor.width == pytest.approx(0.25, abs=0.02)
    drawn = mark.bounding_box()
    assert drawn and drawn["x"] == pytest.approx(box["x"] + box["width"] * 0.25, abs=6)
    mark.click()
    expect(page.locator(".comment")).to_be_focused()
    page.get_by_role("button", name="Resolve").click()
    expect(page.locator("[data-pins] button.pin")).to_have_count(0)
    press(page, "p")
    press(page, "Escape")
    expect(page.locator("[data-placing]")).to_have_count(0)
    assert set(states(services)) == {"in_review"}


def test_a_place_is_pinned_by_keys_alone(page: Page, services: Services) -> None:
    found = version_page(page, services)
    here = page.url
    press(page, "p")
    expect(page.get_by_label("Place of the comment")).to_be_focused()
    for key in ["ArrowLeft"] * 5 + ["ArrowUp"] * 10:
        press(page, key)
    expect(page.locator("[data-pin-text]")).to_have_text("40 % from the left, 30 % from the top")
    press(page, "Shift+ArrowRight")
    press(page, "Enter")
    expect(page.get_by_text("Pinned to this place.")).to_be_visible()
    page.keyboard.type(SENTENCE)
    press(page, "Control+Enter")
    expect(page.locator("[data-pins] button.pin")).to_have_count(1)
    press(page, "p")
    for key in ["Space"] + ["ArrowRight"] * 10 + ["ArrowDown"] * 5:
        press(page, key)
    press(page, "Enter")
    expect(page.get_by_text("Pinned to this rectangle.")).to_be_visible()
    press(page, "Escape")  # leaves the field; the place stays chosen
    press(page, "p")
    press(page, "ArrowLeft")
    press(page, "Escape")
    expect(page.get_by_label("Place of the comment")).to_be_hidden()
    assert page.url.split("#")[0] == here and set(states(services)) == {"in_review"}
    comment = next(c for c in services.comments.of_version(services.assets.get(found)) if c.is_open)
    assert comment.anchor == PictureAnchor(x=0.402, y=0.3) and comment.text == SENTENCE
    anchor = json.loads(page.locator("[data-pin-form] [name=anchor]").input_value())
    assert (anchor["x"], anchor["y"], anchor["width"], anchor["height"]) == (0.5, 0.5, 0.2, 0.1)
    page.get_by_role("button", name="Resolve").first.click()


def painted(page: Page, x: float, y: float) -> None:
    """Paint a dot on the mask at a place, in shares of what is seen of it."""
    box = page.locator("canvas[data-mask]").locator("xpath=..").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
    page.mouse.down()
    page.mouse.up()


def test_strokes_that_were_not_sent_are_asked_about_and_outlast_leaving(
    page: Page, services: Services
) -> None:
    version_page(page, services)
    press(page, "t")
    canvas = page.locator("canvas[data-mask]")
    expect(canvas).to_have_attribute("data-strokes", "0")
    painted(page, 0.3, 0.2)
    expect(canvas).to_have_attribute("data-strokes", "1")
    asked: list[str] = []
    page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.get_by_role("link", name="Gallery").click()
    page.wait_for_url("**/gallery**")
    assert asked == ["beforeunload"]
    page.go_back()
    expect(page.locator("[data-show-mask]")).to_contain_text("1 not sent")
    press(page, "t")
    expect(page.locator("[data-show-mask]")).not_to_contain_text("not sent")
    expect(canvas).to_have_attribute("data-strokes", "1")
    expect(page.locator("[data-touch-up-text]")).to_have_text("1 stroke")
    page.get_by_role("button", name="Undo stroke").click()
    expect(canvas).to_have_attribute("data-strokes", "0")
    page.get_by_role("link", name="Gallery").click()  # nothing is lost, so nobody is asked
    page.wait_for_url("**/gallery**")


PINCH = """(canvas, [x, y]) => {
  canvas.setPointerCapture = () => {};  // of fingers that no screen has
  const box = canvas.parentElement.getBoundingClientRect();
  const send = (type, pointerId, dx, dy) => canvas.dispatchEvent(new PointerEvent(type, {
    pointerId, pointerType: 'touch', button: 0, bubbles: true,
    clientX: box.left + box.width * x + dx, clientY: box.top + box.height * y + dy,
  }));
  send('pointerdown', 11, -20, 0);
  send('pointerdown', 12, 20, 0);
  send('pointermove', 11, -60, 0);
  send('pointermove', 12, 60, 0);
  for (const id of [11, 12]) { send('pointermove', id, id === 11 ? -60 : 60, 30); }
  for (const id of [11, 12]) send('pointerup', id, 0, 0);
}"""


def test_two_fingers_zoom_the_mask_on_a_phone_and_strokes_are_as_fine(page: Page, services: Services) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    version_page(page, services)
    page.locator("[data-show-mask]").click()
    canvas = page.locator("canvas[data-mask]")
    expect(canvas).to_have_attribute("data-strokes", "0")
    canvas.scroll_into_view_if_needed()
    painted(page, 0.5, 0.5)
    expect(canvas).to_have_attribute("data-strokes", "1")
    canvas.evaluate(PINCH, [0.25, 0.25])
    expect(canvas).to_have_attribute("data-zoom", "3.00")
    assert canvas.get_attribute("data-strokes") == "1"  # fingers that zoom paint nothing
    painted(page, 0.5, 0.5)
    expect(canvas).to_have_attribute("data-strokes", "2")
    whole, zoomed = json.loads(page.locator("[data-touch-up] [name=strokes]").input_value())
    assert abs(zoomed["radius"] - whole["radius"] / 3) < 0.002
    assert zoomed["points"][0][0] < whole["points"][0][0] - 0.1  # around the place between the fingers
    page.get_by_role("button", name="Whole mask").click()
    expect(canvas).to_have_attribute("data-zoom", "1.00")
    page.get_by_role("button", name="Zoom in").click()
    expect(canvas).to_have_attribute("data-zoom", "1.60")
    assert serious_violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for _ in range(2):
        page.get_by_role("button", name="Undo stroke").click()
    page.set_viewport_size(DESKTOP)


def test_messages_on_a_phone_never_lie_over_the_decision(page: Page, services: Services) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    version_page(page, services)
    page.get_by_role("button", name="Approve").click()
    message = page.locator(".messages")
    message.wait_for()
    bar = page.locator("[data-decide]")
    expect(bar).to_be_visible()
    page.wait_for_function("getComputedStyle(document.body).getPropertyValue('--decide') !== ''")
    told, decision = message.bounding_box(), bar.bounding_box()
    assert told and decision and told["y"] + told["height"] <= decision["y"]
    message.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    page.set_viewport_size(DESKTOP)


def test_a_stroke_on_the_mask_follows_at_once_and_makes_the_next_version(
    page: Page, services: Services
) -> None:
    found = version_page(page, services)
    press(page, "t")
    canvas = page.locator("canvas[data-mask]")
    expect(canvas).to_have_attribute("data-strokes", "0")
    expect(canvas).to_be_focused()
    middle = "c => [...c.getContext('2d').getImageData(c.width * 0.3, c.height * 0.2, 1, 1).data].slice(0, 3)"
    before = canvas.evaluate(middle)
    page.locator("[data-stops]").uncheck()
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.35, box["y"] + box["height"] * 0.25, steps=3)
    page.mouse.up()
    expect(canvas).to_have_attribute("data-strokes", "1")
    assert canvas.evaluate(middle) != before  # kept: the photo's own colour
    assert serious_violations(page) == []
    page.get_by_role("button", name="Undo stroke").click()
    expect(canvas).to_have_attribute("data-strokes", "0")
    canvas.focus()
    for key in (" ", "ArrowLeft", "a", "ArrowUp", " "):  # no key decides while somebody paints
        press(page, key)
    expect(page.locator("[data-touch-up-text]")).to_have_text("1 stroke")
    page.get_by_role("button", name="Make the next version with this mask").click()
    page.get_by_text("The next version is being made with this mask.").wait_for()
    version = services.assets.get(found)
    assert version is not None and version.masked_sha256 is not None
    (stroke,) = services.touch_ups.strokes(version.masked_sha256)
    assert stroke.keep and not stroke.stops_at_edges and stroke.points[0] == (0.35, 0.25)
    assert set(states(services)) == {"in_review"}
