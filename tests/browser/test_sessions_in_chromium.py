"""Whole sessions: a reviewer by keyboard alone, an art director and a guest on a phone, stages one by one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from dam_connector.domain.guest_link import GuestScope
from dam_connector.domain.version import Version, VersionState
from dam_connector.store.users import UserRole
from dam_connector.usecases import comments, guests, intake
from dam_connector.wiring import Services
from tests.browser.conftest import assert_no_console_messages, needs_chromium, press, send, serious_violations
from tests.browser.sites import shared_site
from tests.support import PhotoServer, picture, product, rules_json

pytestmark = needs_chromium
PHONE = {"width": 390, "height": 844}
COUNT = 30  # versions of a reviewer's session
STAGES = {
    "seating": [{"name": "3D artist", "people": ["ann"]}, {"name": "brand", "people": ["eve"]}],
    "art": [{"name": "art director", "people": ["dora"]}],
    "glass": [{"name": "client", "people": ["nobody"]}],
}
PRODUCTS = {
    "CHAIR": "seating",
    "BENCH": "seating",
    "ART1": "art",
    "ART2": "art",
    "ART3": "art",
    "VASE": "glass",
}


def add_products(services: Services, photos: PhotoServer) -> None:
    """Add stools for a long session, and products that only the people of a stage are asked about."""
    photos.files["front.jpg"] = picture()
    images = {"front": photos.url("front.jpg")}
    for number in range(COUNT):
        intake.add_product(services, product(f"S{number:02}", name=f"Stool {number}", images=images), by="t")
    for sku, category in PRODUCTS.items():
        intake.add_product(services, product(sku, name="Piece", category=category, images=images), by="t")


@pytest.fixture(scope="module")
def opened(
    queue_url: str, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Services, str]]:
    deliverables = [{**rules_json()["deliverables"][0], "formats": ["jpeg"]}]
    folder, more = tmp_path_factory.mktemp("site"), {"review": {"stages": STAGES}}
    with shared_site(
        queue_url, migrated_sqlite, folder, deliverables, add_products=add_products, **more
    ) as found:
        yield found


@pytest.fixture
def services(opened: tuple[Services, str]) -> Services:
    return opened[0]


@pytest.fixture
def site(opened: tuple[Services, str]) -> str:
    return opened[1]


@contextmanager
def visit(chromium: Browser, site: str, *, phone: bool = False) -> Iterator[Page]:
    """A page of somebody who is not logged in yet; its console must stay empty."""
    more = {"viewport": PHONE, "has_touch": True, "is_mobile": True} if phone else {}
    context = chromium.new_context(base_url=site, reduced_motion="reduce", **more)  # type: ignore[arg-type]
    page, messages = context.new_page(), []
    page.on("console", lambda m: messages.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: messages.append(str(e)))
    yield page
    context.close()
    assert_no_console_messages(messages)


def login_link(services: Services, name: str, role: UserRole = UserRole.REVIEWER) -> str:
    return "/login/link/" + services.users.add_login_link(services.users.add(name, role))


def newest(services: Services, sku: str) -> Version:
    return services.assets.of_product(sku)[0]


def states(services: Services) -> dict[str, VersionState]:
    """The states of the stools' versions, by SKU."""
    skus = [f"S{number:02}" for number in range(COUNT)]
    return {sku: newest(services, sku).state for sku in skus}


def sku_of(page: Page) -> str:
    return page.locator(".title p").first.inner_text().split(" · ")[0]


def next_item(page: Page, *keys: str) -> None:
    """Press keys that decide, and wait for the page of the next version."""
    before = page.url
    send(page, *keys)
    assert page.url != before


def test_a_reviewer_works_through_thirty_items_by_keyboard_alone(
    chromium: Browser, site: str, services: Services
) -> None:
    rejected, noted = {3, 11, 17, 23, 29}, {11, 23}
    with visit(chromium, site) as page:
        page.goto(login_link(services, "kim"))
        press(page, "Enter")
        page.wait_for_url("**/review")
        expect(page.locator("[data-grid] .card")).to_have_count(COUNT)
        press(page, "j", "Enter")
        page.wait_for_url("**/versions/**")
        expect(page.locator(".place")).to_contain_text(f"1 of {COUNT}")
        decided = []
        for number in range(COUNT - 1):
            decided.append(sku_of(page))
            if number == 5:
                a_place_gets_a_comment(page)
            if number == 7:
                a_decision_is_taken_back(page, decided[-1])
            if number == 9:
                the_next_version_is_ordered(page)
            if number in noted:
                press(page, "r", "2", *["Tab"] * len(services.rules.current().review.reasons))
                expect(page.get_by_label("Note, if it helps")).to_be_focused()
                page.keyboard.type("2 shades darker, a zip, and again")
                next_item(page, "Control+Enter")
            elif number in rejected:
                next_item(page, "r", "1", "3", "Control+Enter")
            else:
                next_item(page, "a")
        decided.append(sku_of(page))
        press(page, "r", "1", "Control+Enter")
        page.wait_for_url("**/review#*")
        expect(page.get_by_text("Nothing waits for you.")).to_be_visible()
    found = states(services)
    assert sorted(decided) == sorted(found)
    expected = {sku: "rejected" if i in rejected else "approved" for i, sku in enumerate(decided)}
    assert {sku: state.value for sku, state in found.items()} == expected
    notes = {decided[i]: "2 shades darker, a zip, and again" for i in noted}
    for sku in decided:
        decision = services.decisions.current(newest(services, sku).id)
        assert decision and decision.note == notes.get(sku, "")


def a_place_gets_a_comment(page: Page) -> None:
    press(page, "p", "ArrowUp", "ArrowUp", "Enter")
    page.keyboard.type("a scratch here, zip 12")
    send(page, "Control+Enter")
    expect(page.locator(".comment")).to_contain_text("50 % from the left and 46 % from the top")
    press(page, "Escape")


def a_decision_is_taken_back(page: Page, sku: str) -> None:
    next_item(page, "a")
    next_item(page, "z")
    expect(page.get_by_text("in review again")).to_be_visible()
    assert sku_of(page) == sku


def the_next_version_is_ordered(page: Page) -> None:
    press(page, "g")
    page.keyboard.type("brighter, and a bit larger")
    send(page, "Control+Enter")
    expect(page.locator(".message")).to_be_visible()


def fits_a_phone(page: Page) -> None:
    """Nothing is wider than the screen, and no key is named where there is no keyboard."""
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert [kbd for kbd in page.locator("kbd").all() if kbd.is_visible()] == []


def shows_title_picture_and_decision_at_once(page: Page) -> None:
    fits_a_phone(page)
    for place in (page.locator("h1"), page.locator("[data-pins]"), *page.locator(".decide [data-key]").all()):
        box = place.bounding_box()
        assert box and box["y"] >= 0, place
        if place != page.locator("[data-pins]"):
            assert box["y"] + min(box["height"], 200) <= PHONE["height"], place


def pin_by_tap(page: Page, text: str) -> None:
    page.locator("[data-place-pin]").tap()
    frame = page.locator("[data-pins]")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    expect(page.get_by_text("Pinned to this place.")).to_be_visible()
    page.locator("[data-pin-form] textarea").fill(text)
    page.locator("[data-pin-form] [data-send]").tap()
    expect(page.locator(".comment", has_text=text)).to_contain_text(
        "50 % from the left and 50 % from the top"
    )


def reject_by_tap(page: Page, note: str) -> None:
    page.locator(".decide [data-key=r]").tap()
    page.get_by_label("colour").tap()
    page.get_by_label("Note, if it helps").fill(note)
    page.locator(".decide [data-reasons] [data-send]").tap()


def test_an_art_director_decides_on_a_phone(chromium: Browser, site: str, services: Services) -> None:
    with visit(chromium, site, phone=True) as page:
        page.goto(login_link(services, "dora") + "?welcome=1")
        page.get_by_role("button", name="Log in with this link").tap()
        page.wait_for_url("**/review")
        guide = page.get_by_label("Your first review")
        expect(guide).to_contain_text("Open a card")
        fits_a_phone(page)
        guide.get_by_role("button", name="Got it").tap()
        expect(guide).to_have_count(0)
        page.reload()
        expect(guide).to_have_count(0)
        page.locator(".card", has_text="ART1").tap()
        page.wait_for_url("**/versions/**")
        shows_title_picture_and_decision_at_once(page)
        pin_by_tap(page, "less shine here")
        assert serious_violations(page) == []
        page.get_by_role("button", name="Approve").tap()
        page.get_by_text("ART1 packshot V1 approved").wait_for()
        expect(page.locator(".title p").first).to_contain_text("ART2")
        fits_a_phone(page)
        page.locator(".message [data-undo]").tap()
        page.get_by_text("in review again").wait_for()
        assert newest(services, "ART1").state == "in_review"
        page.get_by_role("button", name="Approve").tap()
        page.get_by_text("ART1 packshot V1 approved").wait_for()
        reject_by_tap(page, "2 shades darker")
        page.get_by_text("ART2 packshot V1 rejected").wait_for()
        expect(page.locator(".title p").first).to_contain_text("ART3")
        page.locator("[data-back]").tap()
        page.wait_for_url("**/review*")
    assert [newest(services, sku).state for sku in ("ART1", "ART2", "ART3")] == [
        "approved",
        "rejected",
        "in_review",
    ]
    decision = services.decisions.current(newest(services, "ART2").id)
    assert decision and (decision.by, decision.note, decision.reasons) == (
        "dora",
        "2 shades darker",
        ("colour",),
    )


def guest_link(services: Services, name: str, sku: str, **more: object) -> str:
    _, secret = guests.create(
        services,
        name=name,
        scope=GuestScope.SKU,
        value=sku,
        days=1,
        by="eve",
        **{"may_decide": True, **more},  # type: ignore[arg-type]
    )
    return f"/guest/{secret}"


def open_review(page: Page, link: str, sku: str) -> None:
    page.goto(link)
    page.get_by_role("button", name="Open the review").tap()
    page.locator(".card").first.wait_for()
    fits_a_phone(page)
    page.locator(".card", has_text="packshot").tap()
    page.wait_for_url("**/guest/versions/**")
    assert sku_of(page) == sku


def test_a_guest_comments_and_decides_on_a_phone(chromium: Browser, site: str, services: Services) -> None:
    with visit(chromium, site, phone=True) as page:
        open_review(page, guest_link(services, "Blue", "VASE", stage="client"), "VASE")
        shows_title_picture_and_decision_at_once(page)
        pin_by_tap(page, "warmer here, please")
        (asked,) = services.comments.of_version(newest(services, "VASE"))
        comments.add(services, newest(services, "VASE"), text="like this?", by="dora", parent_id=asked.id)
        page.reload()
        page.locator("summary", has_text="Reply").tap()
        page.get_by_label("Reply to Blue").fill("yes, exactly")
        page.locator(".comment [data-send]").tap()
        expect(page.locator(".reply")).to_have_count(2)
        field = page.get_by_label("Your comment")
        field.fill("x" * 2001)
        page.locator("[data-pin-form] [data-send]").tap()
        assert "At most 2,000 characters fit" in field.evaluate("f => f.validationMessage")
        field.fill("")
        assert serious_violations(page) == []
        reject_by_tap(page, "too cold")
        page.get_by_text("VASE V1 rejected").wait_for()
        fits_a_phone(page)
        expect(page.locator(".state")).to_have_text("rejected")
    version = newest(services, "VASE")
    texts = [(c.by, c.text) for c in services.comments.of_version(version)]
    assert texts == [
        ("Blue (guest)", "warmer here, please"),
        ("dora", "like this?"),
        ("Blue (guest)", "yes, exactly"),
    ]
    decision = services.decisions.current(version.id)
    assert decision and (decision.by, decision.note) == ("Blue (guest)", "too cold")


def approve_as(page: Page, sku: str, stage: str) -> None:
    page.goto("/review")
    page.locator(".card", has_text=sku).click()
    page.get_by_role("button", name=f"Approve as {stage}").click()
    page.get_by_text(f"{sku} packshot V1 approved").wait_for()


def test_a_version_with_stages_needs_each_of_them(chromium: Browser, site: str, services: Services) -> None:
    chair = newest(services, "CHAIR")
    with visit(chromium, site) as ann, visit(chromium, site) as eve:
        for page, name in ((ann, "ann"), (eve, "eve")):
            page.goto(login_link(services, name))
            page.get_by_role("button", name="Log in with this link").click()
            page.wait_for_url("**/review")
        expect(eve.locator(".card", has_text="CHAIR")).to_have_count(0)  # it waits for another stage
        eve.goto(f"/versions/{chair.id}")
        expect(eve.get_by_text("This version waits for 3D artist: ann.")).to_be_visible()
        eve.keyboard.press("a")
        approve_as(ann, "CHAIR", "3D artist")
        expect(ann.get_by_text("brand is asked now")).to_be_visible()
        assert newest(services, "CHAIR").state == "in_review"
        ann.goto(f"/versions/{chair.id}")
        expect(ann.get_by_role("button", name="Approve")).to_have_count(0)
        approve_as(eve, "CHAIR", "brand")
        assert newest(services, "CHAIR").state == "approved"
        eve.goto(f"/versions/{chair.id}")
        expect(eve.locator(".stages li")).to_contain_text(["approved by ann", "approved by eve"])
        a_guest_is_the_last_stage(chromium, site, services, ann)


def a_guest_is_the_last_stage(chromium: Browser, site: str, services: Services, ann: Page) -> None:
    with visit(chromium, site, phone=True) as guest:
        open_review(guest, guest_link(services, "Client", "BENCH", stage="brand"), "BENCH")
        expect(guest.get_by_role("button", name="Approve")).to_have_count(0)
        expect(guest.get_by_text("3D artist decides about this version first.")).to_be_visible()
        approve_as(ann, "BENCH", "3D artist")
        guest.reload()
        guest.get_by_role("button", name="Approve").tap()
        guest.get_by_text("BENCH V1 approved").wait_for()
    assert newest(services, "BENCH").state == "approved"
    assert [
        (d.stage, d.decision.by) for d in services.decisions.of_version(newest(services, "BENCH").id)
    ] == [
        ("brand", "Client (guest)"),
        ("3D artist", "ann"),
    ]
