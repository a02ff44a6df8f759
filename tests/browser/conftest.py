"""Chromium, and pages in it that fail on any word on the console."""

import shutil
import threading
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from werkzeug.serving import make_server

from dam_connector.app import create_app
from dam_connector.wiring import Services

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
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
expect.set_options(timeout=20_000)  # what is looked for comes at once, but not on every machine
SLOW_GRAPHICS = (
    "GPU stall due to ReadPixels",
    "rAF timed out in updateSource",
)  # said where pixels are drawn without a graphics card


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser
        browser.close()


def served(services: Services) -> Iterator[str]:
    """The application's address on loopback."""
    server = make_server("127.0.0.1", 0, create_app(services), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def listening(chromium: Browser, site: str, link: str) -> Iterator[Page]:
    """A page of somebody who came in by a one-time link."""
    context = chromium.new_context(
        base_url=site, viewport={"width": 1280, "height": 800}, reduced_motion="reduce"
    )
    found = context.new_page()
    said: list[str] = []
    found.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    found.on("pageerror", lambda e: said.append(str(e)))
    found.goto(link)
    found.get_by_role("button", name="Log in with this link").click()
    found.wait_for_url("**/review")
    yield found
    context.close()
    assert [s for s in said if not any(known in s for known in SLOW_GRAPHICS)] == []
