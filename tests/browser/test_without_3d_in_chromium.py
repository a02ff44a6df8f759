"""Without JavaScript or WebGL, reviewers see the renders of a model; shoppers have both themes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from dam_connector.store.users import UserRole
from dam_connector.wiring import Services
from tests.browser.conftest import needs_chromium, serious_violations
from tests.browser.sites import page_of_ann, shared_site
from tests.support import MODEL

pytestmark = needs_chromium
Site = tuple[Services, str]


@pytest.fixture(scope="module")
def chromium(browsers: Callable[..., Browser]) -> Browser:
    """A Chromium that has no WebGL, not even in software."""
    return browsers("--disable-gpu", "--disable-3d-apis")


@pytest.fixture(scope="module")
def site(queue_url: str, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A chair whose model waits for review."""
    folder = tmp_path_factory.mktemp("site")
    deliverables = [{**MODEL, "formats": ["glb"]}]
    with shared_site(queue_url, migrated_sqlite, folder, deliverables) as found:
        yield found


def address(services: Services) -> str:
    return f"/versions/{services.assets.of_product('CH123')[0].id}"


def logged_in(context: BrowserContext, services: Services) -> Page:
    link = services.users.add_login_link(services.users.add("bob", UserRole.REVIEWER))
    page = context.new_page()
    page.goto(f"/login/link/{link}")
    page.get_by_role("button", name="Log in with this link").click()
    return page


def assert_renders_are_shown(page: Page) -> None:
    expect(page.get_by_text("This browser shows no 3D")).to_be_visible()
    poster = page.locator("[data-pins] img[slot=poster]")
    expect(poster).to_be_visible()
    assert poster.evaluate("e => e.naturalWidth > 100 && e.getBoundingClientRect().width > 100")
    assert page.locator(".renders img").count() >= 3
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [1440, 390])
def test_without_javascript_the_renders_take_the_place_of_the_model(
    chromium: Browser, site: Site, width: int
) -> None:
    services, base_url = site
    size = {"width": width, "height": 900}
    context = chromium.new_context(base_url=base_url, java_script_enabled=False, viewport=size)
    page = logged_in(context, services)
    page.goto(address(services))
    assert_renders_are_shown(page)
    expect(page.locator("[data-photos] img").first).to_be_visible()
    for button in ("[data-show-render]", "[data-show-photo]", "[data-help]", "[data-theme-switch]"):
        assert not any(each.is_visible() for each in page.locator(button).all()), button
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    context.close()


def test_without_webgl_the_renders_take_the_place_of_the_model(chromium: Browser, site: Site) -> None:
    services, base_url = site
    with page_of_ann(chromium, services, base_url) as (page, _):
        page.goto(address(services))
        assert_renders_are_shown(page)
        page.locator("[data-show-render=front]").click()
        expect(page.locator("[data-render=front]")).to_be_visible()
        expect(page.locator("[data-pins] img[slot=poster]")).to_be_hidden()
        expect(page.locator("[data-place-pin]")).to_be_hidden()
        assert serious_violations(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_for_shoppers_has_both_themes(chromium: Browser, site: Site, scheme: str) -> None:
    _, base_url = site
    context = chromium.new_context(base_url=base_url, color_scheme=scheme)
    page = context.new_page()
    page.goto("/ar/NONE")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(32, 32, 32)" if scheme == "dark" else "rgb(255, 255, 255)")
    assert serious_violations(page) == []
    page.goto("/ar/NONE?embed")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    context.close()
