"""Latency of pages with 1,000 and with 100,000 versions in the store, with every filter of the gallery."""

import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from dam_connector.app import create_app
from dam_connector.domain.codec import to_plain
from dam_connector.domain.ids import Sha256, Sku, new_id
from dam_connector.domain.issue import Report, issue
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.product import Product
from dam_connector.domain.search_tags import version_search_tags
from dam_connector.domain.version import Role, VersionFile
from dam_connector.settings import Settings, ensure_secrets
from dam_connector.store import batch_tables, tables
from dam_connector.store.users import UserRole
from dam_connector.wiring import Services, build_services

SIZES = (1_000, 100_000)
ROUNDS = 12
CATEGORIES = ("furniture", "lighting", "kitchen", "decor", "audio", "packaging")
DELIVERABLES = (("packshot", "image"), ("lifestyle", "image"), ("model", "model"))
STATES = (
    ("in_review",) * 5 + ("published",) * 8 + ("approved", "rejected", "blocked", "superseded", "superseded")
)
WORDS = ("Oak", "Pine", "Steel", "Modern", "Classic", "Round", "Tall", "Banded", "Woven", "Enamel")
CODES: tuple[IssueCode, ...] = (
    "rendition.enlarged",
    "model.single_view",
    "model.part_lost",
    "likeness.proportions",
)
PAGES = (
    *(
        "/gallery",
        "/gallery?category=kitchen",
        "/gallery?deliverable=model&state=in_review",
        "/gallery?text=oak",
        "/gallery?text=oak+chair+7",
    ),
    *(
        "/gallery?code=model.part_lost",
        "/gallery?state=blocked&category=audio",
        "/gallery?batch=bat_b&deliverable=packshot",
        "/gallery?channel=viewer",
    ),
    *(
        "/gallery?text=sku-00077",
        "/gallery?category=decor&deliverable=lifestyle&state=published&text=tall",
        "/review",
        "/products",
        "/runs",
    ),
)


def measure() -> dict[str, Any]:
    """Return p50 and p95 in milliseconds at each size, measured alternately, and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        clients = {size: _client(Path(folder) / str(size), size) for size in SIZES}
        times: dict[int, dict[str, list[float]]] = {size: {page: [] for page in PAGES} for size in SIZES}
        for _ in range(ROUNDS + 1):
            for page in PAGES:
                for size, client in clients.items():
                    started = time.perf_counter()
                    assert client.get(page).status_code == 200, page
                    times[size][page].append((time.perf_counter() - started) * 1000)
    small, large = (_percentiles(times[size]) for size in SIZES)
    ratios = {f"{p}_ratio": round(large[f"{p}_ms"] / small[f"{p}_ms"], 2) for p in ("p50", "p95")}
    return {str(SIZES[0]): small, str(SIZES[1]): large, **ratios}


def _client(folder: Path, size: int) -> FlaskClient:
    """Return a client, signed in as admin, of a store with this number of versions."""
    services = build_services(ensure_secrets(Settings.from_env({}, data_dir=folder)))
    services.db.migrate()
    fill(services, size)
    client = create_app(services).test_client()
    user = services.users.add("bench", UserRole.ADMIN)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {services.users.add_token(user, 'bench', 1)}"
    return client


def _percentiles(times: dict[str, list[float]]) -> dict[str, Any]:
    ranked = sorted(t for page_times in times.values() for t in page_times[1:])  # the first fills caches
    medians = {
        page: round(sorted(page_times[1:])[len(page_times) // 2], 1) for page, page_times in times.items()
    }
    return {
        "p50_ms": round(ranked[len(ranked) // 2], 1),
        "p95_ms": round(ranked[int(len(ranked) * 0.95)], 1),
        "pages_p50_ms": medians,
    }


def fill(services: Services, size: int) -> None:
    """Store this number of versions with files, reports and tags; a tenth of the products is in a batch."""
    rng = random.Random(7)
    with services.db.write() as c:
        batch = {"id": "bat_b", "name": "autumn", "owner": "bench", "state": "done", "columns": ["sku"]}
        now = services.clock.now()
        c.execute(sa.insert(batch_tables.batches), {**batch, "created_at": now, "touched_at": now})
    rows = _rows(services, size, rng)
    while chunk := [row for _, row in zip(range(5_000), rows, strict=False)]:
        with services.db.write() as c:
            for table in (
                tables.products,
                tables.assets,
                tables.runs,
                tables.versions,
                tables.version_files,
                tables.version_tags,
                tables.publications,
            ):
                values = [value for row in chunk for value in row.get(table.name, ())]
                if values:
                    c.execute(sa.insert(table), values)


def _rows(services: Services, size: int, rng: random.Random) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Yield the rows of each version, by table."""
    now = services.clock.now()
    for n in range(size):
        deliverable, kind = DELIVERABLES[n % 3]
        number, at = n // 3, now - timedelta(seconds=size - n)
        sku, category, state = f"SKU-{number:05d}", CATEGORIES[number % 6], rng.choice(STATES)
        product = Product(sku=Sku(sku), name=f"{WORDS[number % 10]} Chair {number}", category=category)
        codes = [code for k, code in enumerate(CODES) if rng.random() < 0.3 / (k + 1) ** 2]
        version_id, asset_id, run_id = new_id("ver", at), new_id("ast", at), new_id("run", at)
        files = [_file(f"{sku}_{deliverable}_{k}.webp", k) for k in range(6)]
        report = Report(
            issues=tuple(issue(code, "as it is") for code in codes),
            facts={"width_px": 1600, "confidence": 0.8},
        )
        row: dict[str, list[dict[str, Any]]] = {
            "assets": [
                {"id": asset_id, "sku": sku, "deliverable": deliverable, "slot": 1, "kind": kind, "latest": 1}
            ],
            "runs": [_run(run_id, sku, deliverable, kind, at)],
            "versions": [
                {
                    **{
                        "id": version_id,
                        "asset_id": asset_id,
                        "number": 1,
                        "run_id": run_id,
                        "state": state,
                        "created_at": at,
                    },
                    **{
                        "files": to_plain(files),
                        "report": to_plain(report),
                        "provenance": {"generator": "local"},
                        "rules_fingerprint": "r",
                    },
                }
            ],
            "version_files": [
                {"version_id": version_id, "name": f.name, "sha256": f.sha256, "mime": f.mime} for f in files
            ],
            "version_tags": [
                {"version_id": version_id, "tag": tag} for tag in _tags(product, deliverable, codes, number)
            ],
        }
        if n % 3 == 0:
            row["products"] = [_product(product, at)]
        if state == "published":
            row["publications"] = [
                {"asset_id": asset_id, "channel": "viewer", "version_id": version_id, "url": "", "at": at}
            ]
        yield row


def _tags(product: Product, deliverable: str, codes: Sequence[str], number: int) -> tuple[str, ...]:
    batches = ["bat_b"] if number % 10 == 0 else []
    return version_search_tags(
        sku=product.sku,
        name=product.name,
        category=product.category,
        deliverable=deliverable,
        codes=codes,
        batches=batches,
    )


def _file(name: str, k: int) -> VersionFile:
    role = Role.PREVIEW if k == 0 else Role.PRIMARY
    return VersionFile(
        name=name,
        format="webp",
        role=role,
        view="hero",
        mime="image/webp",
        sha256=Sha256(f"{hash(name) & (2**255):064x}"),
        bytes=90_000,
    )


def _run(run_id: str, sku: str, deliverable: str, kind: str, at: Any) -> dict[str, Any]:
    identity = {
        "id": run_id,
        "kind": kind,
        "sku": sku,
        "deliverable": deliverable,
        "slot": 1,
        "input_hash": run_id,
        "rules_fingerprint": "r",
    }
    return {
        **identity,
        "state": "done",
        "work": {},
        "timings": {"make": 1.0},
        "created_at": at,
        "finished_at": at,
    }


def _product(product: Product, at: Any) -> dict[str, Any]:
    facts = {
        "id": new_id("prd", at),
        "sku": product.sku,
        "name": product.name,
        "category": product.category,
        "facts": to_plain(product),
    }
    return {**facts, "sources": {}, "issues": [], "connection": "", "source_time": at, "updated_at": at}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
