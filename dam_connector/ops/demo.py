"""The demo: the whole connector on a temporary data directory, fed by signed webhooks.

A small file server on loopback serves the photos of the sample catalog in place of a PIM. All other parts are
the real ones.
"""

import json
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import click
import requests
from rich.console import Console
from rich.live import Live
from rich.table import Table
from standardwebhooks import Webhook

from dam_connector.domain.product import Capture
from dam_connector.fakes.demo_provider import FAKE_TRIPO, with_fake_tripo
from dam_connector.ops.demo_states import BLOCKED_PRODUCT, show_states
from dam_connector.ops.supervisor import Supervisor
from dam_connector.settings import Settings
from dam_connector.store.users import UserRole
from dam_connector.wiring import Services, build_services

CONNECTION = "main"
TIMEOUT_S = 1200.0
POLL_INTERVAL_S = 1.0
WALK_LIBRARY = "pycolmap"
NO_WALK = (
    "The product whose photos are a walk around it is left out, since pycolmap is missing. "
    "To see it: pip install 'dam-connector[walk]'"
)
OPEN_STATES = ("queued", "running", "parked")


class _QuietFileHandler(SimpleHTTPRequestHandler):
    """A file server that writes no log."""

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing."""


@dataclass
class Demo:
    """One demonstration, from the first webhook to the last publication."""

    settings: Settings
    workers: int  # number of processes that make pictures and models
    headless: bool  # approve all versions and stop, instead of waiting for a person
    summary: dict[str, Any] = field(default_factory=dict)  # products, versions and totals at the end
    exit_code: int = 1
    _console: Console = field(default_factory=lambda: Console(stderr=True))
    _token: str = ""
    _started_s: float = 0.0
    _sent_at_s: dict[str, float] = field(default_factory=dict)  # by SKU, time.monotonic()
    _live_at_s: dict[str, float] = field(default_factory=dict)  # by SKU, time.monotonic()

    def run(self) -> int:
        """Run the demo; return the exit code of the process.

        With `headless` it is 0 when each product of the catalog ends as the catalog expects, live or flagged.
        """
        photos = ThreadingHTTPServer(
            ("127.0.0.1", 0),
            partial(_QuietFileHandler, directory=str(files("dam_connector").joinpath("samples"))),
        )
        threading.Thread(target=photos.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{photos.server_address[1]}"
        self.settings = replace(
            self.settings, allow_hosts=",".join(filter(None, [self.settings.allow_hosts, host]))
        )
        fake = None
        if self.settings.environ.get("DEMO_PROVIDER") == FAKE_TRIPO:
            self.settings, fake = with_fake_tripo(self.settings)
        supervisor = Supervisor(self.settings, self.workers)
        catalog_thread = threading.Thread(
            target=self._run_catalog, args=(supervisor, f"http://{host}"), daemon=True
        )
        supervisor.on_ready = catalog_thread.start
        self._started_s = time.monotonic()
        try:
            supervisor.run()
        finally:
            photos.shutdown()
            if fake:
                fake.stop()
        return self.exit_code if self.headless else 0

    def _run_catalog(self, supervisor: Supervisor, photos: str) -> None:
        """Send the catalog and watch its progress; in headless mode approve all versions and stop."""
        try:
            services = build_services(self.settings)
            user = services.users.add("demo", UserRole.ADMIN)
            self._token = services.users.add_token(user, "demo", days=1)
            catalog = makeable(
                json.loads(files("dam_connector").joinpath("samples/catalog.json").read_text())
            )
            if all(Capture.WALK.field_name not in entry["product"] for entry in catalog):
                self._console.print(NO_WALK)
            if not self.headless:  # people see a blocked product too
                catalog.append({"expect": "blocked", "product": BLOCKED_PRODUCT})
            for entry in catalog:
                self._send(entry["product"], photos)
            self._watch_progress(catalog)
            self._report(services, catalog)
        except requests.RequestException as error:
            self._console.print(f"[red]The demo stopped: {type(error).__name__}[/red]")
        finally:
            if self.headless:
                supervisor.stop()

    def _send(self, product: dict[str, Any], photos: str) -> None:
        """Send a product as a signed webhook. photos: the base URL of the photos."""
        now = datetime.now(UTC)
        data = with_addresses(product, photos)
        body = json.dumps({"type": "product.created", "timestamp": now.isoformat(), "data": data})
        secret, message = self.settings.secret("env/DAM_CONNECTOR_WEBHOOK_SECRET"), f"demo-{product['sku']}"
        headers = {
            "webhook-id": message,
            "webhook-timestamp": str(int(now.timestamp())),
            "content-type": "application/json",
            "webhook-signature": Webhook(secret).sign(message, now, body),
        }
        requests.post(
            f"{self._base_url}/webhooks/{CONNECTION}", data=body.encode(), headers=headers, timeout=10
        ).raise_for_status()
        self._sent_at_s[product["sku"]] = time.monotonic()

    @property
    def _base_url(self) -> str:
        return f"http://{self.settings.host}:{self.settings.port}"

    def _get(self, path: str, **query: str) -> Any:
        answer = requests.get(
            f"{self._base_url}/api/v1{path}",
            params=query,
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=30,
        )
        return answer.json() if answer.ok else {}

    def _watch_progress(self, catalog: list[dict[str, Any]]) -> None:
        """Show progress on the terminal until every product is settled, or for TIMEOUT_S at most."""
        deadline = time.monotonic() + TIMEOUT_S
        with Live(console=self._console, refresh_per_second=4, transient=self.headless) as live:
            while time.monotonic() < deadline:
                rows = [self._product_facts(entry["product"]["sku"]) for entry in catalog]
                live.update(_table(rows, time.monotonic() - self._started_s))
                if self.headless:
                    self._approve_waiting()
                if all(self._is_settled(entry, row) for entry, row in zip(catalog, rows, strict=True)):
                    return
                time.sleep(POLL_INTERVAL_S)

    def _product_facts(self, sku: str) -> dict[str, Any]:
        """Return a product's state, assets and runs from the API."""
        product = self._get(f"/products/{sku}")
        return {
            "sku": sku,
            "name": product.get("product", {}).get("name", ""),
            "flagged": product.get("flagged", False),
            "issues": product.get("issues", []),
            "assets": self._get("/assets", sku=sku) or [],
            "runs": self._get("/runs", sku=sku).get("items", []),
        }

    def _is_settled(self, entry: dict[str, Any], row: dict[str, Any]) -> bool:
        """Return True when nothing more will happen to a product without a person."""
        if any(r["state"] in OPEN_STATES for r in row["runs"]):
            return False
        if entry["expect"] == "flagged":
            return bool(row["flagged"])
        states = [a["versions"][0]["state"] for a in row["assets"]]
        expected = "published" if self.headless else "in_review"
        done = bool(states) and all(state in (expected, "published", "blocked") for state in states)
        if done:
            self._live_at_s.setdefault(row["sku"], time.monotonic())
        return done

    def _approve_waiting(self) -> None:
        for version in self._get("/versions", state="in_review", limit="200").get("items", []):
            requests.post(
                f"{self._base_url}/api/v1/versions/{version['id']}/decision",
                json={"verdict": "approved"},
                timeout=30,
                headers={
                    "Authorization": f"Bearer {self._token}",
                    "Idempotency-Key": f"demo-{version['id']}",
                },
            )

    def _report(self, services: Services, catalog: list[dict[str, Any]]) -> None:
        """Store the summary and the exit code; print the addresses to open unless headless."""
        self.summary = self._summarize(catalog)
        self.exit_code = int(not self.summary["ok"])
        if self.headless:
            return
        show_states(services, visitors_sku=catalog[0]["product"]["sku"])
        secret = services.users.add_login_link(services.users.add("demo", UserRole.ADMIN))
        link = f"{self._base_url}/login/link/{secret}?welcome=1"  # shows the keys, until they are dismissed
        waiting = len(self._get("/versions", state="in_review", limit="200").get("items", []))
        self._console.print(
            f"\n{waiting} versions wait for review. Open this link, which works once, and approve them:"
            f"\n  [bold]{link}[/bold]",
            soft_wrap=True,  # a link that is broken into two lines cannot be opened
        )
        self._console.print(
            f"Review queue  {self._base_url}/review\n"
            f"AR page       {self._base_url}/ar/CH123 (live once the model is approved)\n"
            f"API           {self._base_url}/api/docs"
        )
        self._console.print("Ctrl-C stops everything.")

    def _summarize(self, catalog: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the state, versions, files, issues and seconds of each product, and the totals."""
        products = []
        for entry in catalog:
            sku = entry["product"]["sku"]
            row = self._product_facts(sku)
            versions = [
                v for a in row["assets"] for v in (self._get(f"/versions/{x['id']}") for x in a["versions"])
            ]
            published = {(v["deliverable"], v["slot"]) for v in versions if v["state"] == "published"}
            state = (
                "live"
                if row["assets"] and len(published) == len(row["assets"])
                else "flagged"
                if row["flagged"]
                else "open"
            )
            seconds = (
                round(self._live_at_s[sku] - self._sent_at_s[sku], 1) if sku in self._live_at_s else None
            )
            products.append(
                {
                    "sku": sku,
                    "state": state,
                    "expected": entry["expect"],
                    "seconds": seconds,
                    "issues": row["issues"],
                    "versions": [
                        {
                            "deliverable": v["deliverable"],
                            "slot": v["slot"],
                            "number": v["number"],
                            "state": v["state"],
                            "generator": v["provenance"].get("generator", ""),
                            "issues": v["report"]["issues"],
                            "files": [{k: f[k] for k in ("name", "bytes", "sha256")} for f in v["files"]],
                        }
                        for v in versions
                    ],
                }
            )
        flat = [f for p in products for v in p["versions"] for f in v["files"]]
        totals = {
            "products": len(products),
            "live": sum(p["state"] == "live" for p in products),
            "flagged": sum(p["state"] == "flagged" for p in products),
            "versions": sum(len(p["versions"]) for p in products),
            "files": len(flat),
            "bytes": sum(f["bytes"] for f in flat),
            "seconds": round(time.monotonic() - min(self._sent_at_s.values()), 1),
        }
        return {
            "ok": all(p["state"] == p["expected"] for p in products),
            "totals": totals,
            "products": products,
        }


def makeable(catalog: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries of which all can be made here: a walk needs a library that is an extra."""
    if find_spec(WALK_LIBRARY) is not None:
        return catalog
    return [entry for entry in catalog if Capture.WALK.field_name not in entry["product"]]


def with_addresses(product: dict[str, Any], photos: str) -> dict[str, Any]:
    """Return a product of the catalog with the addresses of its photos.

    Args:
        product: Its photos are files in the folder of the samples; a spin or a walk is a folder there.
        photos: The base URL of that folder.
    """
    images = {view: f"{photos}/{name}" for view, name in product["images"].items()}
    folders = {kind.field_name: product[kind.field_name] for kind in Capture if kind.field_name in product}
    captured = {
        field_name: [f"{photos}/{folder}/{name}" for name in sorted(_sample_names(folder))]
        for field_name, folder in folders.items()
    }
    return {**product, "images": images, **captured}


def _sample_names(folder: str) -> list[str]:
    return [each.name for each in files("dam_connector").joinpath("samples", folder).iterdir()]


def _table(rows: list[dict[str, Any]], seconds: float) -> Table:
    """Return the progress of all products as a table for the terminal."""
    table = Table(title=f"{seconds:.0f} s", title_justify="left", box=None, padding=(0, 2))
    for heading in ("SKU", "Product", "Assets", "Now"):
        table.add_column(heading)
    for row in rows:
        assets = "  ".join(_asset_text(asset) for asset in row["assets"])
        working = [r for r in row["runs"] if r["state"] in OPEN_STATES]
        now = ", ".join(f"{r['deliverable']}: {r['step'].replace('_', ' ') or 'queued'}" for r in working[:2])
        if row["flagged"]:
            now = (
                "[red]flagged: "
                + next((i["message"] for i in row["issues"] if i["severity"] == "error"), "")
                + "[/red]"
            )
        table.add_row(row["sku"], row["name"], assets, now)
    return table


def print_summary(summary: dict[str, Any]) -> None:
    """Print the summary as JSON on standard output."""
    click.echo(json.dumps(summary, indent=2))


def _asset_text(asset: dict[str, Any]) -> str:
    """Return an asset and its state, e.g. `lifestyle 2 V1 in review`."""
    slot = f" {asset['slot']}" if asset["slot"] > 1 else ""
    state = asset["versions"][0]["state"].replace("_", " ")
    return f"{asset['deliverable']}{slot} V{asset['latest']} {state}"
