"""Chromium, and pages in it that fail on any word on the console."""

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug.serving import make_server

from dam_connector.app import create_app
from dam_connector.usecases import intake
from dam_connector.wiring import Services
from tests.support import ROOT, SAMPLES, PhotoServer, product

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)
needs_chromium = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; apt-get install chromium"),
]
ARGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
WITHOUT_3D = ("--disable-gpu",)  # takes a third less of the processor on pages that show no model
WITH_3D = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
expect.set_options(timeout=20_000)  # what is looked for comes at once, but not on every machine
SLOW_GRAPHICS = (
    "GPU stall due to ReadPixels",
    "rAF timed out in updateSource",
)  # said where pixels are drawn without a graphics card
KNOWN_MESSAGES = (*SLOW_GRAPHICS, "RGBELoader has been deprecated")  # model-viewer 4.4 about any .hdr file


def started(*more: str) -> Iterator[Browser]:
    """A Chromium with more arguments than ARGS."""
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=[*ARGS, *more])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def browsers() -> Iterator[Callable[..., Browser]]:
    """Gives the Chromium that has some arguments more than ARGS; starting one takes 1.4 CPU-seconds."""
    with sync_playwright() as p:
        running: dict[tuple[str, ...], Browser] = {}

        def of(*more: str) -> Browser:
            if more not in running or not running[more].is_connected():
                running[more] = p.chromium.launch(executable_path=CHROMIUM, args=[*ARGS, *more])
            return running[more]

        yield of
        for browser in running.values():
            browser.close()


@pytest.fixture(scope="module")
def chromium(browsers: Callable[..., Browser]) -> Browser:
    """A Chromium without WebGL. Modules that look at models take another."""
    return browsers(*WITHOUT_3D)


def served(services: Services) -> Iterator[str]:
    """The application's address on loopback."""
    server = make_server("127.0.0.1", 0, create_app(services), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@contextmanager
def logged_in_page(chromium: Browser, site: str, link: str) -> Iterator[tuple[Page, list[str]]]:
    """A page of somebody who came in by a one-time link, and the words on its console."""
    context = chromium.new_context(
        base_url=site, viewport={"width": 1280, "height": 800}, reduced_motion="reduce"
    )
    page = context.new_page()
    messages: list[str] = []
    page.on("console", lambda m: messages.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: messages.append(str(e)))
    page.goto(link)
    page.get_by_role("button", name="Log in with this link").click()
    page.wait_for_url("**/review")
    yield page, messages
    context.close()


def press(page: Page, *keys: str) -> None:
    """Press keys on a page that has loaded: its text is there a moment before its keys work."""
    page.wait_for_load_state("load")
    for key in keys:
        page.keyboard.press(key)


def send(page: Page, *keys: str) -> None:
    """Press keys that send a form, and wait until the page that answers it has loaded."""
    with page.expect_event("load"):
        press(page, *keys)


def assert_no_console_messages(messages: list[str]) -> None:
    assert [m for m in messages if not any(known in m for known in KNOWN_MESSAGES)] == []


def quiet_page(chromium: Browser, site: str, link: str) -> Iterator[Page]:
    """A page of somebody who came in by a one-time link; at the end, its console must be empty."""
    with logged_in_page(chromium, site, link) as (page, messages):
        yield page
    assert_no_console_messages(messages)


def add_chair_and_flagged_product(services: Services, photos: PhotoServer) -> None:
    for view in ("front", "right"):
        photos.files[f"{view}.jpg"] = (SAMPLES / f"chair-{view}.jpg").read_bytes()
    images = {view: photos.url(f"{view}.jpg") for view in ("front", "right")}
    size = {"width": 46, "height": 85.2, "depth": 48.9, "unit": "cm"}
    intake.add_product(services, product(images=images, dimensions=size), by="test")
    intake.add_product(services, product("FLAG1", category="furniture", dimensions=None), by="test")


def model_is_shown(page: Page, selector: str) -> bool:
    page.wait_for_function("s => document.querySelector(s)?.loaded === true", arg=selector, timeout=30_000)
    return bool(page.evaluate("s => document.querySelector(s).getDimensions().y", selector) > 0.8)


def serious_violations(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """Return the rules of axe, all or the given, that a page breaks with a serious or critical impact."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    violations = page.evaluate("o => axe.run(document, o).then(r => r.violations)", options)
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:150]} {v['nodes'][0]['failureSummary'][:200]}"
        for v in violations
        if v["impact"] in ("serious", "critical")
    ]
