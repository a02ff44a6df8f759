"""Seconds from the webhook of a new SKU until its first picture is in review, on a service that is idle.

`dam-connector up` with two make workers and the rules of one packshot, one lifestyle picture and one model.
Each product has photos of its own of 1600 px. The next one is sent when nothing has been open for some
seconds. The load of the machine is in the figures: on a busy one they say little.

    python -m benchmarks first_picture
"""

import json
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

import psutil
import requests
from standardwebhooks import Webhook

from benchmarks.bulk_throughput import SAMPLE_SKUS, SAMPLES, rules_of_one_each, write_photo
from benchmarks.server_process import free_port, running
from dam_connector.settings import Settings
from dam_connector.wiring import Services, build_services

QUIET_S = 3.0  # without open work, before the next product is sent
IDLE_S = 35.0  # the last product is sent after so long: the workers' processes have ended by then
TIMEOUT_S = 300.0
OPEN_STATES = ("queued", "running", "parked")


class _Photos(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Write nothing."""


def measure() -> dict[str, object]:
    """Return the seconds of six new SKUs. The first finds workers that have not made anything yet."""
    known = {e["product"]["sku"]: e["product"] for e in json.loads((SAMPLES / "catalog.json").read_text())}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "plugin.json").write_text(json.dumps(rules_of_one_each()))
        (folder / "photos").mkdir()
        photos = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Photos, directory=folder / "photos"))
        threading.Thread(target=photos.serve_forever, daemon=True).start()
        address, port = f"127.0.0.1:{photos.server_address[1]}", free_port()
        env = {
            "DAM_CONNECTOR_PLUGIN_JSON": str(folder / "plugin.json"),
            "DAM_CONNECTOR_ALLOW_HOSTS": address,
        }
        command = [sys.executable, "-m", "dam_connector.cli", "up", "--workers", "2"]
        command += ["--data-dir", str(folder / "data"), "--port", str(port)]
        load = psutil.getloadavg()[0]
        with running(command, port=port, path="/readyz", env=env):
            settings = Settings.from_env({}, data_dir=folder / "data", plugin_json=folder / "plugin.json")
            services = build_services(settings)
            seconds = []
            for number, sku in enumerate(SAMPLE_SKUS):
                _wait_until_idle(services, IDLE_S if number == len(SAMPLE_SKUS) - 1 else QUIET_S)
                product = known[sku] | {"sku": f"NEW{number}"}
                product["images"] = {
                    view: f"http://{address}/{write_photo(folder / 'photos', photo, number)}"
                    for view, photo in product["images"].items()
                }
                seconds.append(_first_picture_s(services, port, product))
            services.db.close()
        photos.shutdown()
    return {
        "load_before": round(load, 1),
        "load_after": round(psutil.getloadavg()[0], 1),
        "first_s": seconds[0],
        "median_s": round(median(seconds), 2),
        "most_s": max(seconds),
        "after_a_pause_s": seconds[-1],
        "goal_s": 3.0,
    }


def _first_picture_s(services: Services, port: int, product: dict[str, object]) -> float:
    """Send a product; return the seconds until one of its versions is in review."""
    now, sku = datetime.now(UTC), str(product["sku"])
    body = json.dumps({"type": "product.created", "timestamp": now.isoformat(), "data": product})
    secret = services.settings.secret("env/DAM_CONNECTOR_WEBHOOK_SECRET")
    headers = {
        "webhook-id": sku,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(sku, now, body),
        "content-type": "application/json",
    }
    started = time.perf_counter()
    address = f"http://127.0.0.1:{port}/webhooks/main"
    requests.post(address, data=body.encode(), headers=headers, timeout=30).raise_for_status()
    while not any(version.state == "in_review" for version in services.assets.of_product(sku)):
        assert time.perf_counter() - started < TIMEOUT_S, [r.error for r in services.runs.page()]
        time.sleep(0.02)
    return round(time.perf_counter() - started, 2)


def _wait_until_idle(services: Services, quiet_s: float) -> None:
    """Wait until no run has been open for so many seconds."""
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < quiet_s:
        if any(services.runs.counts(*OPEN_STATES).values()):
            quiet_since = time.monotonic()
        time.sleep(0.2)
