"""Measure the AR page on a slow line: `python -m pytest tests/browser/measure_ar_page.py -s`.

It is not part of the suite. It makes the sample chair at the default sizes, publishes it, and opens its
page in Chromium with an empty cache, at 1.6 Mbit/s and 150 ms. It prints the milliseconds until the poster
and the model are shown and until the last byte for that has come, and the kilobytes until then.
"""

import json
import statistics
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser

from dam_connector.domain.event import Decision, Verdict
from dam_connector.usecases import review
from dam_connector.wiring import Services
from tests.browser.conftest import WITH_3D, add_chair_and_flagged_product, served
from tests.support import PhotoServer

MBIT_S, LATENCY_MS, ROUNDS = 1.6, 150, 3
MODEL = {"name": "model", "kind": "model", "formats": ["glb", "web", "usdz"], "channels": ["viewer"]}
WATCH = """
window.times = {};
document.addEventListener("load", (event) => {
  if (event.target.matches?.("img.poster")) window.times.picture ??= performance.now();
  if (event.target.matches?.("model-viewer")) window.times.model ??= performance.now();
}, true);
"""


@pytest.fixture(scope="module")
def chromium(browsers: Callable[..., Browser]) -> Browser:
    """A Chromium that draws models."""
    return browsers(*WITH_3D)


def visit(browser: Browser, address: str) -> dict[str, float]:
    """Open the page once with an empty cache."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.add_init_script(WATCH)
    session, sizes, names = context.new_cdp_session(page), {}, {}
    session.send("Network.enable")
    session.on("Network.responseReceived", lambda e: names.update({e["requestId"]: e["response"]["url"]}))
    session.on("Network.loadingFinished", lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]}))
    rate = MBIT_S * 1e6 / 8
    limits = {"latency": LATENCY_MS, "downloadThroughput": rate, "uploadThroughput": rate}
    session.send("Network.emulateNetworkConditions", {"offline": False, **limits})
    page.goto(address, wait_until="commit")
    page.wait_for_function("() => window.times.model", timeout=60_000)
    times: dict[str, Any] = page.evaluate("window.times")
    ends = page.evaluate("performance.getEntriesByType('resource').map((each) => each.responseEnd)")
    context.close()
    for key, size in sizes.items():
        print(f"{size / 1e3:8.1f} kB  {names.get(key, '')[-70:]}")
    return {
        "first_picture_ms": round(times["picture"]),
        "last_byte_ms": round(max(end for end in ends if end <= times["model"])),
        "first_3d_ms": round(times["model"]),
        "kilobytes": round(sum(sizes.values()) / 1e3),
    }


def test_the_page_on_a_slow_line(
    chromium: Browser,
    services: Services,
    photos: PhotoServer,
    drain: Callable[[], int],
    write_rules: Callable[..., None],
) -> None:
    write_rules(deliverables=[MODEL])
    add_chair_and_flagged_product(services, photos)
    drain()
    version = services.assets.of_product("CH123")[0]
    review.decide(services, version, Decision(verdict=Verdict.APPROVED, by="bench"), source="page")
    services.clock.forward(60)  # type: ignore[attr-defined]
    services.queue.wake("finish_run", [r.id for r in services.runs.page(state="queued")])
    drain()
    for site in served(services):
        rounds = [visit(chromium, f"{site}/ar/CH123") for _ in range(ROUNDS)]
        medians = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
        print(json.dumps({"rounds": rounds, "medians": medians}, indent=1))
