"""Latency of a rollback, from the click until our own viewer serves the earlier version.

Measured with nothing else to do, and while a batch keeps every worker busy.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import requests

from benchmarks.bulk_throughput import write_sheet
from benchmarks.server_process import free_port, running
from dam_connector.settings import Settings
from dam_connector.wiring import Services, build_services

PRODUCTS = 12
ROWS = 120
SAMPLES = Path(__file__).parent.parent / "dam_connector" / "samples"
RULES: dict[str, Any] = {
    "name": "rollback",
    "version": "1.0.0",
    "connections": {
        "pim": {"main": {"adapter": "standard", "secrets": ["env/DAM_CONNECTOR_WEBHOOK_SECRET"]}},
        "dam": {"library": {"adapter": "library"}},
        "channel": {"viewer": {"adapter": "viewer"}},
    },
    "products": {"required": ["sku"]},
    "deliverables": [
        {"name": "packshot", "kind": "rendition", "size_px": 800, "formats": ["jpeg"], "channels": ["viewer"]}
    ],
}


def measure() -> dict[str, object]:
    """Return median and maximum in milliseconds of rollbacks, and of a first approval as the baseline."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "plugin.json").write_text(json.dumps(RULES))
        port = free_port()
        env = {
            "DAM_CONNECTOR_PLUGIN_JSON": f"{folder}/plugin.json",
            "DAM_CONNECTOR_DATA_DIR": f"{folder}/data",
            "DAM_CONNECTOR_UNDO_S": "0",
        }
        command = [sys.executable, "-m", "dam_connector.cli"]
        with running([*command, "up", "--port", str(port), "--workers", "2"], port=port, env=env):
            settings = Settings.from_env({**env, "DAM_CONNECTOR_PORT": str(port)})
            connector = _Connector(f"http://127.0.0.1:{port}", build_services(settings), _token(command, env))
            approved = connector.prepare()
            idle = [connector.rollback(sku, 1) for sku in connector.skus]
            sheet = write_sheet(Path(folder), ROWS)
            load = [
                *command,
                "import",
                str(sheet),
                "--name",
                "load",
                "--pictures",
                str(sheet.parent / "photos"),
                "--json",
            ]
            subprocess.run(load, env=_environ(env), check=True, stdout=subprocess.DEVNULL)
            time.sleep(5)
            busy = [connector.rollback(sku, 2) for sku in connector.skus]
    return {
        "approval_ms": _median_and_max_ms(approved),
        "rollback_idle_ms": _median_and_max_ms(idle),
        "rollback_while_a_batch_runs_ms": _median_and_max_ms(busy),
        "rollbacks": PRODUCTS,
    }


class _Connector:
    """A running connector, used through its API."""

    def __init__(self, url: str, services: Services, token: str) -> None:
        self._url, self._services, self._headers = url, services, {"Authorization": f"Bearer {token}"}
        self.skus = [f"RB{number}" for number in range(PRODUCTS)]

    def prepare(self) -> list[float]:
        """Approve two versions of each product in turn; return the seconds until each was live."""
        held = self._services.blobs.put((SAMPLES / "chair-front.jpg").read_bytes())
        took = []
        for color in ("red", "green"):
            for sku in self.skus:
                record = {"sku": sku, "name": "Chair", "color": color, "images": {"front": f"held:{held}"}}
                self._post("/products", record)
            for sku in self.skus:
                number = 1 if color == "red" else 2
                version = self._wait_for(sku, number)
                took.append(
                    self._timed(sku, number, f"/versions/{version}/decision", {"verdict": "approved"})
                )
        return took

    def rollback(self, sku: str, number: int) -> float:
        """Roll a product back to a version; return the seconds until it is live."""
        version = next(v for v in self._services.assets.of_product(sku) if v.number == number)
        return self._timed(sku, number, f"/versions/{version.id}/rollback", {})

    def _timed(self, sku: str, number: int, path: str, body: dict[str, Any]) -> float:
        """Return the seconds from a request until the viewer's stable address leads to this version."""
        started = time.perf_counter()
        self._post(path, body)
        while f"_V{number}_" not in requests.get(
            f"{self._url}/ar/{sku}/latest/packshot.jpg", allow_redirects=False, timeout=10
        ).headers.get("Location", ""):
            if time.perf_counter() - started > 60:
                raise TimeoutError(f"{sku} V{number} did not go live within 60 s")
            time.sleep(0.01)
        return time.perf_counter() - started

    def _post(self, path: str, body: dict[str, Any]) -> None:
        response = requests.post(f"{self._url}/api/v1{path}", json=body, headers=self._headers, timeout=30)
        response.raise_for_status()

    def _wait_for(self, sku: str, number: int) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = [
                v
                for v in self._services.assets.of_product(sku)
                if v.number == number and v.state == "in_review"
            ]
            if found:
                return str(found[0].id)
            time.sleep(0.05)
        raise TimeoutError(f"{sku} V{number} was not in review within 60 s")


def _environ(env: dict[str, str]) -> dict[str, str]:
    return {**os.environ, **env}


def _token(command: list[str], env: dict[str, str]) -> str:
    for args in (["user", "add", "ann", "--role", "admin", "--no-password"], ["token", "add", "ann"]):
        output = subprocess.run(
            [*command, *args], env=_environ(env), check=True, capture_output=True, text=True
        ).stdout
    return output.split()[-1]


def _median_and_max_ms(seconds: list[float]) -> dict[str, int]:
    return {"median": round(statistics.median(seconds) * 1000), "most": round(max(seconds) * 1000)}
