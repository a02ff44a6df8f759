"""Pictures of the pages for docs/images: `python -m benchmarks.page_pictures docs/images` (Chromium).

The demo runs on a data directory of its own until all its versions wait for review. The pictures show a model
in review, the gallery, and the AR page of the same model once it is approved and live.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Page, sync_playwright

from benchmarks.server_process import free_port
from dam_connector.settings import Settings
from dam_connector.store.users import UserRole
from dam_connector.wiring import build_services
from tests.browser.conftest import ARGS, CHROMIUM, WITH_3D

SKU = "SB512"  # of the sample catalog
TIMEOUT_S = 600.0


def main() -> None:
    """Run the demo, and write the pictures into the folder of the first argument."""
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="pages-") as data:
        port = free_port()
        command = str(Path(sys.executable).with_name("dam-connector"))
        demo = subprocess.Popen([command, "demo", "--data-dir", data, "--port", str(port)])
        try:
            take_pictures(Settings.from_env(data_dir=Path(data)), f"http://127.0.0.1:{port}", folder)
        finally:
            demo.terminate()
            demo.wait(30)


def take_pictures(settings: Settings, address: str, folder: Path) -> None:
    """Wait for the demo at an address, log in, and write the pictures."""
    wait_for_page(f"{address}/healthz")
    services = build_services(settings)
    user = services.users.add("demo", UserRole.ADMIN)
    headers = {"Authorization": f"Bearer {services.users.add_token(user, 'pictures', days=1)}"}
    version = wait_for_model(address, headers)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=[*ARGS, *WITH_3D])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{address}/login/link/{services.users.add_login_link(user)}")
        page.get_by_role("button").first.click()
        save(page, f"{address}/versions/{version}", folder / "review.jpg")
        save(page, f"{address}/gallery", folder / "gallery.jpg")
        requests.post(
            f"{address}/api/v1/versions/{version}/decision",
            json={"verdict": "approved"},
            headers=headers,
            timeout=30,
        ).raise_for_status()
        wait_for_page(f"{address}/ar/{SKU}")
        save(page, f"{address}/ar/{SKU}", folder / "ar.jpg")
        browser.close()


def wait_for_page(url: str) -> None:
    """Wait until an address answers 200."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            if requests.get(url, timeout=30).ok:
                return
        except (requests.ConnectionError, requests.Timeout):
            pass
        time.sleep(0.5)
    raise SystemExit(f"{url} did not answer within {TIMEOUT_S:.0f} s")


def wait_for_model(address: str, headers: dict[str, str]) -> str:
    """Return the id of the model that waits for review, once nothing more is being made."""

    def items(path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = requests.get(f"{address}{path}", headers=headers, timeout=30).json()[
            "items"
        ]
        return found

    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        models = items(f"/api/v1/versions?sku={SKU}&deliverable=model&state=in_review")
        is_making = any(items(f"/api/v1/runs?state={state}") for state in ("queued", "running", "parked"))
        if models and not is_making:
            return str(models[0]["id"])
        time.sleep(1)
    raise SystemExit(f"no model of {SKU} came into review within {TIMEOUT_S:.0f} s")


def save(page: Page, url: str, path: Path) -> None:
    """Open a page, wait until its pictures and its model are drawn, and write it as a JPEG."""
    page.goto(url, wait_until="networkidle", timeout=120_000)
    if page.locator("model-viewer").count():
        # a function: an expression would be evaluated in the page, which its security policy forbids
        page.wait_for_function("() => document.querySelector('model-viewer').loaded", timeout=120_000)
        page.wait_for_timeout(3000)  # the camera comes to rest
    page.screenshot(path=path, quality=84, type="jpeg")


if __name__ == "__main__":
    main()
