"""Retention: old records and unused files are removed, and nothing that anything refers to."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import CapturingLogger

from dam_connector.domain.ids import Sha256
from dam_connector.domain.run import RunKind, RunState
from dam_connector.ops.backup import make_backup, restore_backup
from dam_connector.ports import InboundWebhook
from dam_connector.store.blobs import FolderBlobs, open_blobs
from dam_connector.store.columns import metadata
from dam_connector.store.database import Database
from dam_connector.store.table_dump import addresses_in
from dam_connector.usecases import retention
from dam_connector.usecases.intake import add_product
from dam_connector.usecases.retention import Removed, remove_old, remove_unused_files, remove_when_due
from dam_connector.usecases.storage_owner import claim_storage, require_own_storage
from dam_connector.wiring import Services
from tests.contracts.test_dam_channel_provider_blobs import S3_ENVIRON, s3  # noqa: F401
from tests.contracts.test_migrations import fill
from tests.contracts.test_store import new_run
from tests.support import PhotoServer, TestClock, picture, product

DAY = 86_400
T = metadata.tables


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "sqlite" else str(request.getfixturevalue("migrated_postgres")())


@pytest.fixture(autouse=True)
def own_storage(services: Services) -> None:
    """Mark the storage, as the start of a service does."""
    require_own_storage(services)


def age(services: Services, sha256: str, days: float = 30) -> None:
    """Let a file be stored so many days ago."""
    path = Path(services.settings.effective_storage_url) / sha256[:2] / sha256[2:]
    at = (services.clock.now() - timedelta(days=days)).timestamp()
    os.utime(path, (at, at))


def old_blob(services: Services, data: bytes) -> Sha256:
    sha256 = services.blobs.put(data)
    age(services, sha256)
    return sha256


# Places in which the address of a file may be, by table: how it is written there.
PLACES: list[tuple[str, str, Callable[[str], Any]]] = [
    ("products", "sources", lambda sha: {"front": sha}),
    ("products", "facts", lambda sha: {"images": [{"url": f"held:{sha}"}], "inspiration_image": ""}),
    ("products", "facts", lambda sha: {"inspiration_image": f"held:{sha}"}),
    ("products", "facts", lambda sha: {"spin_images": [f"held:{sha}"]}),
    ("products", "facts", lambda sha: {"walk_images": [f"held:{sha}"]}),
    ("capture_photos", "sha256", str),
    ("version_files", "sha256", str),
    ("versions", "files", lambda sha: [{"name": "ä.glb", "sha256": sha, "bytes": 3}]),
    ("versions", "report", lambda sha: {"issues": [], "rows": [{"evidence": sha}]}),
    ("versions", "provenance", lambda sha: {"sources": {"front": {"sha256": sha}}}),
    ("decisions", "files", lambda sha: {"a.glb": sha}),
    ("library", "files", lambda sha: [[{"deep": [sha]}]]),
    ("runs", "work", lambda sha: {"raw_model": sha, "n": 1}),
    ("runs", "note", lambda sha: f"like ß{sha}"),
    ("tasks", "order", lambda sha: {"pictures": {"front": sha}}),
    ("tasks", "result", lambda sha: {"files": [sha, "b"]}),
    ("batch_rows", "cells", lambda sha: {"front": f"held:{sha}"}),
    ("batch_rows", "facts", lambda sha: {"swatches": [f"held:{sha}"]}),
    ("deliveries", "body", lambda sha: b'\xff{"front": "held:' + sha.encode() + b'"}'),
    ("notes", "value", lambda sha: {"sheet": sha}),
    ("rules_seen", "text", lambda sha: f'{{"background": "held:{sha}"}}'),
    ("channel_listings", "url", lambda sha: f"https://x.example/files/{sha}.glb?v=1"),
    ("runs", "input_hash", lambda sha: f"0a{sha}0"),  # hexadecimal digits on both sides
]


@pytest.mark.parametrize("number", range(len(PLACES)))
def test_a_file_that_a_record_names_stays(services: Services, number: int) -> None:
    table, column, written = PLACES[number]
    fill(services.db)
    named, unused = old_blob(services, b"named"), old_blob(services, b"unused")
    key = next(iter(T[table].primary_key))
    with services.db.write() as c:
        first = c.execute(sa.select(key)).scalars().first()
        c.execute(sa.update(T[table]).where(key == first).values({column: written(named)}))
    assert remove_unused_files(services, delete=False) == (1, len(b"unused"))
    assert services.blobs.has(unused)
    assert remove_unused_files(services, delete=True) == (1, len(b"unused"))
    assert services.blobs.has(named) and not services.blobs.has(unused)


def test_every_column_that_can_hold_an_address_is_read(services: Services) -> None:
    """So a table or column of a later release is covered too."""
    fill(services.db)
    kept = []
    with services.db.write() as c:
        for table in (t for t in metadata.sorted_tables if t.name not in ("audit", "leases")):
            for column in table.columns:
                long_enough = getattr(column.type, "length", None) is None or column.type.length >= 64
                is_text = isinstance(column.type, (sa.String, sa.Text)) and long_enough
                if column.foreign_keys or not (is_text or isinstance(column.type, (sa.JSON, sa.LargeBinary))):
                    continue
                key = next(iter(table.primary_key))
                first = c.execute(sa.select(key)).scalars().first()
                kept.append(old_blob(services, f"{table.name}.{column.name}".encode()))
                value: Any = kept[-1].encode() if isinstance(column.type, sa.LargeBinary) else kept[-1]
                c.execute(sa.update(table).where(key == first).values({column.key: value}))
    assert len(kept) > 40
    claim_storage(services)  # the note with its owner was overwritten
    assert remove_unused_files(services, delete=True) == (0, 0)
    assert all(services.blobs.has(sha) for sha in kept)


@pytest.mark.parametrize("database_url", [""])
def test_a_file_is_kept_for_days_after_it_was_stored_last(services: Services) -> None:
    young, again = services.blobs.put(b"young"), old_blob(services, b"stored again")
    age(services, young, 6.9)
    assert services.blobs.put(b"stored again") == again  # as somebody is about to name it
    assert remove_unused_files(services, delete=True) == (0, 0)
    age(services, young, 7.1)
    assert remove_unused_files(services, delete=True) == (1, 5)


@pytest.mark.parametrize("database_url", [""])
def test_a_file_that_is_stored_again_during_the_removal_stays(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256, find = old_blob(services, b"twice"), retention.referenced_blobs

    def find_and_store(db: Any) -> set[bytes]:
        found = find(db)
        services.blobs.put(b"twice")
        return found

    monkeypatch.setattr(retention, "referenced_blobs", find_and_store)
    assert remove_unused_files(services, delete=True) == (0, 0) and services.blobs.has(sha256)


@pytest.mark.parametrize("database_url", [""])
def test_only_blobs_are_touched(services: Services) -> None:
    """Other files in the folder stay; leftovers of writes that were killed go."""
    old_blob(services, b"x")
    root = Path(services.settings.effective_storage_url)
    mine, leftover = root / "ab" / "mine.txt", root / "ab" / ".new-abc"
    mine.parent.mkdir(exist_ok=True)
    for path in (mine, leftover):
        path.write_bytes(b"x")
        os.utime(path, (0, 0))
    assert remove_unused_files(services, delete=False) == (1, 1) and leftover.exists()
    assert remove_unused_files(services, delete=True) == (1, 1)
    assert mine.exists() and not leftover.exists()


@given(
    before=st.text("0123456789abcdefg ä\"'\\", max_size=70), after=st.text('0123456789abcdefg"', max_size=70)
)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_an_address_is_found_whatever_is_beside_it(before: str, after: str) -> None:
    address = bytes(range(200, 232))
    assert address in set(addresses_in((before + address.hex() + after).encode()))


def deliver(services: Services, key: str, state: str) -> str:
    body = InboundWebhook(headers={}, body=b"{}", received_at=services.clock.now())
    delivery_id, _ = services.inbox.add("main", key, body)
    if state != "received":
        services.inbox.finish(delivery_id, state)
    return delivery_id


def finished(services: Services, state: RunState, **changes: Any) -> str:
    """Add a run that came to an end with a checkpoint."""
    run_id = services.runs.add([new_run(**changes)])[0]
    run = services.runs.lease(run_id, "w", 10)
    services.runs.checkpoint(run, step="a", next_step="b", work={"x": 1}, timings={"a": 1.0})
    services.runs.finish(run, state)
    return run_id


def test_old_records_go_and_what_later_work_needs_stays(
    services: Services, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.rules.current()  # stores the rules, and says so in the audit log
    old = {state: deliver(services, state, state) for state in ("handled", "ignored", "failed", "received")}
    made = finished(services, RunState.DONE, sku="A", input_hash="a")
    failed = finished(services, RunState.FAILED, sku="B", input_hash="b")
    published = finished(services, RunState.DONE, kind=RunKind.PUBLISH, sku="A", input_hash="p")
    waiting = services.runs.add([new_run(sku="C", input_hash="c")])[0]
    services.history.add("in_review", sku="A")
    services.history.add("approved", sku="A", by="mira")
    services.history.add("approved", sku="A", by="")  # by a DAM's nameless reviewer
    services.audit.add("login", by="mira", subject="mira")
    clock.forward(91 * DAY)
    young = deliver(services, "young", "handled")
    assert remove_old(services, dry_run=True) == Removed(deliveries=3, runs=1, checkpoints=2)
    monkeypatch.setattr(retention, "log", log := CapturingLogger())
    assert remove_old(services) == Removed(deliveries=3, runs=1, checkpoints=2)
    (line,) = log.calls
    assert line.args == ("old_removed",) and line.kwargs["deliveries"] == 3 and line.kwargs["runs"] == 1
    assert services.inbox.get(old["received"]) and services.inbox.get(young)
    assert not any(services.inbox.get(old[state]) for state in ("handled", "ignored", "failed"))
    assert services.runs.get(published) is None and services.runs.get(waiting)
    assert services.runs.get(made).work == {} and services.runs.get(made).timings
    assert services.runs.get(failed).next_step == ""  # a retry begins anew
    assert services.runs.add([new_run(sku="A", input_hash="a")]) == []  # the same input is not made again
    clock.forward(700 * DAY)
    assert remove_old(services).history == 1
    assert [entry.by for entry in services.history.entries(sku="A")] == ["", "mira"]
    assert len(services.audit.page(limit=10)) == 4
    assert remove_old(services) == Removed()


@pytest.mark.parametrize("database_url", [""])
def test_with_0_days_everything_is_kept(services: Services, clock: TestClock) -> None:
    deliver(services, "a", "handled")
    finished(services, RunState.DONE)
    old_blob(services, b"x")
    services.history.add("sent", sku="A")
    names = ("keep_deliveries_days", "keep_runs_days", "keep_history_days", "keep_unused_files_days")
    kept = replace(services, settings=replace(services.settings, **dict.fromkeys(names, 0)))
    clock.forward(5000 * DAY)
    assert remove_old(kept) == Removed()


@pytest.mark.parametrize("database_url", [""])
def test_a_made_product_survives_the_removal_years_later(
    services: Services,
    clock: TestClock,
    photos: PhotoServer,
    drain: Callable[[], int],
) -> None:
    photos.files["a.jpg"] = picture()
    facts = product(images={"front": photos.url("a.jpg")})
    add_product(services, facts, by="mira")
    drain()
    before = {blob.sha256 for blob in services.blobs.list()}
    clock.forward(1000 * DAY)
    for sha256 in before:
        age(services, sha256, 900)
    removed = remove_old(services)
    assert removed.checkpoints >= 2
    files = [f for v in versions(services) for f in v.files]
    assert files and all(services.blobs.has(f.sha256) for f in files)
    assert all(services.blobs.has(sha) for sha in services.products.get("CH123").sources.values())
    assert services.runs.page(state="queued") == []
    photos.files["a.jpg"] = picture()
    add_product(services, facts, by="mira")  # the same facts and photos: nothing is made again
    assert services.runs.page(state="queued") == []


def versions(services: Services) -> list[Any]:
    with services.db.read() as c:
        ids = c.execute(sa.select(T["versions"].c.id)).scalars().all()
    return [services.assets.get(version_id) for version_id in ids]


@pytest.mark.parametrize("database_url", [""])
def test_the_job_runs_once_a_day(services: Services, clock: TestClock) -> None:
    assert remove_when_due(services) and not remove_when_due(services)
    clock.forward(DAY + 1)
    assert remove_when_due(services)


@pytest.mark.parametrize("database_url", [""])
def test_unused_objects_are_removed_and_backed_up_ones_come_back(
    services: Services,
    clock: TestClock,
    s3: str,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name, value in S3_ENVIRON.items():
        monkeypatch.setenv(name, value.format(s3=s3))
    at_s3 = replace(services, blobs=open_blobs("s3://bucket/retention"))
    claim_storage(at_s3)
    named, unused = at_s3.blobs.put(b"named object"), at_s3.blobs.put(b"unused object")
    services.notes.set("sheet", named)
    clock.moment = datetime.now(UTC) + timedelta(days=6)
    assert remove_unused_files(at_s3, delete=True) == (0, 0)
    clock.forward(2 * DAY)
    assert remove_unused_files(at_s3, delete=False) == (1, 13)
    assert remove_unused_files(at_s3, delete=True) == (1, 13)
    assert at_s3.blobs.has(named) and not at_s3.blobs.has(unused)
    assert make_backup(at_s3, tmp_path / "all.backup").files == 1
    restored, db = FolderBlobs(tmp_path / "files"), Database(f"sqlite:///{tmp_path}/restored.sqlite")
    restore_backup(tmp_path / "all.backup", db, restored)
    db.close()
    assert [blob.sha256 for blob in restored.list()] == [named]
