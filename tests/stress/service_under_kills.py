"""The service as processes that are killed, a reviewer of its API, and a shop that drops ids it has seen."""

import json
import random
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import requests

from dam_connector.settings import SECRETS_FILE, Settings
from dam_connector.store.users import UserRole
from dam_connector.wiring import Services, build_services
from tests.contracts.pim_servers import FakePim
from tests.processes import children, free_port, until
from tests.support import SECRET, PhotoServer, event_body, picture, record, rules_json, signed

PARTS = ("web", "make", "intake", "sweeper", "queue", "supervisor", "all", "database")
LOCKED_S = 2.0
PATIENCE_S = 90  # in which a request must be answered for good, whatever dies meanwhile
OPEN_RUNS = ("queued", "running", "parked")


@dataclass
class Shop:
    """A receiver of listings that keeps the last one of each product, and drops ids that it has seen."""

    listings: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    repeats: int = 0

    def take(self, method: str, path: str, query: object, headers: Mapping[str, str], body: Any) -> Any:
        message = {name.lower(): value for name, value in headers.items()}["webhook-id"]
        if message in self.seen:
            self.repeats += 1
        else:
            self.seen.add(message)
            self.listings[body["data"]["sku"]] = body["data"]
        return 204, b"", {}

    def versions(self, sku: str) -> list[int]:
        """Return the numbers of a product's versions that the shop shows."""
        return [asset["version"] for asset in self.listings.get(sku, {}).get("assets", [])]


class ServiceUnderKills:
    """`dam-connector up`, killed and started again, and the people and systems around it."""

    def __init__(
        self,
        start: Callable[..., subprocess.Popen[str]],
        folder: Path,
        photos: PhotoServer,
        chance: random.Random,
        environ: Mapping[str, str],
    ) -> None:
        self.shop, self.chance, self.photos = Shop(), chance, photos
        self._server = FakePim(self.shop.take)
        self._start, self._data, self._port = start, folder / "d", free_port()
        self._process: subprocess.Popen[str] | None = None
        self._write_settings(folder, environ)
        self.services = self._open()
        reviewer = self.services.users.add("ann", UserRole.REVIEWER)
        self._token = self.services.users.add_token(reviewer, "stress")
        self._count = 0
        self.colours: dict[str, str] = {}  # the newest facts that were accepted, by SKU
        self.words: dict[str, list[tuple[str, str]]] = {}  # answered requests and their versions, by SKU
        self.kills: dict[str, int] = {}
        self.begin()

    def _write_settings(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._data.mkdir(mode=0o700)
        hook = {"adapter": "webhook", "url": f"{self._server.url}/hooks", "secret": "env/HOOK_SECRET"}
        packshot = {"name": "packshot", "kind": "rendition", "size_px": 64, "formats": ["jpeg"]}
        main = {"adapter": "standard", "secrets": ["env/HOOK_SECRET"]}
        rules = rules_json(
            connections={
                "pim": {"main": main},
                "dam": {"library": {"adapter": "library"}},
                "channel": {"shop": hook},
            },
            deliverables=[{**packshot, "channels": ["shop"]}],
        )
        (folder / "plugin.json").write_text(json.dumps(rules))
        settings = {
            "HOOK_SECRET": SECRET,
            "DAM_CONNECTOR_ALLOW_HOSTS": f"{self.photos.host},{self._server.host}",
            "DAM_CONNECTOR_PLUGIN_JSON": str(folder / "plugin.json"),
            **environ,
        }
        (self._data / SECRETS_FILE).write_text("".join(f"{k}={v}\n" for k, v in settings.items()))

    def _open(self) -> Services:
        services = build_services(Settings.from_env({}, data_dir=self._data))
        services.db.migrate()
        return services

    def begin(self) -> None:
        """Start the service."""
        self._process = self._start("up", "--port", str(self._port), "--workers", "1")

    def stop(self) -> None:
        """End everything that was started here."""
        if self._process:
            self._process.terminate()
            self._process.wait(60)
        self._server.stop()
        self.services.db.close()

    def kill(self, part: str) -> None:
        """Kill a part with all that it forked; start the service again if its supervisor is among them.

        Of the database, all connections are ended, or it is locked for a while.
        """
        assert self._process
        self.kills[part] = self.kills.get(part, 0) + 1
        if part == "database":
            self._disturb_database()
            return
        victims = [p for name, p in children(self._data).items() if name.startswith(part) or part == "all"]
        if part in ("supervisor", "all"):
            victims.insert(0, psutil.Process(self._process.pid))
        for victim in victims:
            forked = victim.children(recursive=True) if part != "supervisor" else []
            for each in [victim, *forked]:
                each.kill()
        if part in ("supervisor", "all"):
            self._process.communicate()
            self.begin()

    def _disturb_database(self) -> None:
        if self.services.db.is_sqlite:
            with self.services.db.write():
                time.sleep(LOCKED_S)
            return
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        ours = "datname = current_database() AND pid <> pg_backend_pid()"
        with self.services.db.write() as connection:
            connection.exec_driver_sql(f"{ended} WHERE {ours}")

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Make a request again and again, until its answer is final."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = requests.request(
                    method, f"http://127.0.0.1:{self._port}{path}", timeout=20, **options
                )
                if answer.status_code < 500 and "Retry-After" not in answer.headers:
                    return answer
            except requests.RequestException:
                pass
            assert time.monotonic() < deadline, f"{method} {path} got no final answer"
            time.sleep(0.2)

    def change(self, sku: str) -> None:
        """Send a change of a product's facts, and its repeat sometimes."""
        self._count += 1
        colour = f"colour {self._count}"
        self.photos.files.setdefault(f"{sku}.jpg", picture())
        now = datetime.now(UTC) + timedelta(milliseconds=self._count)
        body = event_body(
            record(sku, color=colour, images={"front": self.photos.url(f"{sku}.jpg")}),
            kind="product.updated",
            at=now,
        )
        for _ in range(self.chance.choice([1, 1, 2])):
            headers = signed(body, at=now, message=f"m{self._count}")
            assert self._request("POST", "/webhooks/main", data=body, headers=headers).status_code == 202
        self.colours[sku] = colour

    def review(self) -> None:
        """Decide about a version in review, or withdraw a live one; remember the answer."""
        name = self.chance.choice(["approve", "approve", "approve", "reject", "withdraw"])
        state = "published" if name == "withdraw" else "in_review"
        found = self._ask("GET", f"/api/v1/versions?state={state}").json()["items"]
        if not found:
            return
        version, self._count = self.chance.choice(found), self._count + 1
        path = f"/api/v1/versions/{version['id']}"
        if name == "withdraw":
            answer = self._ask("POST", f"{path}/withdraw", {"reason": "x"})
        else:
            reasons = ["colour"] if name == "reject" else []
            verdict = "approved" if name == "approve" else "rejected"
            answer = self._ask("POST", f"{path}/decision", {"verdict": verdict, "reasons": reasons})
        if answer.status_code < 300 and name != "reject":
            self.words.setdefault(version["sku"], []).append((name, version["id"]))
        assert answer.status_code in (200, 202, 409), answer.text

    def _ask(self, method: str, path: str, body: Any = None) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._token}"}
        if method != "GET":
            headers["Idempotency-Key"] = f"k{self._count}"
        return self._request(method, path, json=body, headers=headers)

    def settle(self) -> None:
        """Wait until nothing is open."""
        until(lambda: self.services.inbox.counts("received")["received"] == 0)
        deadline = time.monotonic() + 240
        while any(self.services.runs.counts(*OPEN_RUNS).values()):
            assert time.monotonic() < deadline, [
                r for s in OPEN_RUNS for r in self.services.runs.page(state=s)
            ]
            time.sleep(0.3)

    def check(self) -> None:
        """Assert that every answered promise is kept, and that the shop shows what is live, and no more."""
        s = self.services
        assert [r.error for r in s.runs.page(state="failed")] == []
        for sku, colour in self.colours.items():
            stored = s.products.get(sku)
            assert stored and stored.product.color == colour
            versions = s.assets.of_product(sku)
            numbers = sorted(v.number for v in versions)
            assert numbers == sorted(set(numbers)) and numbers
            live = [v for v in versions if v.state.value == "published"]
            states = [(v.number, v.id, v.state.value) for v in versions]
            assert [v.id for v in live] == self._wanted(sku), (sku, self.words.get(sku), states)
            assert self.shop.versions(sku) == [v.number for v in live], sku
            for version in versions:
                if not version.files:  # newer facts came before its run had sealed it
                    assert version.state.value in ("draft", "superseded"), states
                    continue
                is_public = s.assets.find_file(version.files[0].sha256, public=True) is not None
                assert is_public <= bool(live)
                assert all(s.blobs.has(f.sha256) for f in version.files)

    def _wanted(self, sku: str) -> list[str]:
        """Return the version that is to be live by the reviewer's memory: the last that was approved.

        A withdrawal takes its own version off, and brings no earlier one back.
        """
        words = self.words.get(sku, [])
        last = next((version for name, version in reversed(words) if name == "approve"), None)
        return [last] if last and ("withdraw", last) not in words else []
