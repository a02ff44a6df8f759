"""What was answered with success holds, whatever fails or comes late; nobody sees what nobody approved."""

import errno
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dam_connector.adapters.folder import FolderChannel
from dam_connector.app import create_app
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.listing import Listing
from dam_connector.domain.row_request import RequestType, RowRequest
from dam_connector.domain.run import RunKind, RunState
from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import StateConflict, StorageUnavailable, Unavailable
from dam_connector.store.users import UserRole
from dam_connector.usecases import intake, maintenance, publish, review
from dam_connector.usecases.dam_sync.inbound import sync_from_dam
from dam_connector.usecases.reconciliation import reconcile, repair
from dam_connector.wiring import Services
from tests.pipeline.helpers import PACKSHOT, Drain, chair, live, made, newest, send, states
from tests.support import PhotoServer, TestClock, product
from worker import pipeline
from worker.runner import MAX_ATTEMPTS, advance
from worker.work import Work

APPROVED = Decision(verdict=Verdict.APPROVED, by="ann")
Rules = Callable[..., None]


def work(services: Services, drain: Drain, *, rounds: int = 12) -> None:
    """Let minutes pass until nothing is open."""
    for _ in range(rounds):
        drain()
        services.clock.forward(60)  # type: ignore[attr-defined]
        maintenance.sweep(services, "me")
    drain()


def approve(services: Services, version: Version) -> None:
    review.decide(services, version, APPROVED, source="page")


def with_two_channels(shop: Services, write_rules: Rules) -> None:
    rules = json.loads(shop.settings.plugin_json.read_text())
    rules["connections"]["channel"]["feed"] = {"adapter": "memory"}
    rules["deliverables"] = [{**PACKSHOT, "channels": ["shop", "feed"]}]
    write_rules(**rules)


def in_channel(services: Services, name: str) -> list[str]:
    files = services.channel(name).files_by_sku.get("CH123", {})  # type: ignore[attr-defined]
    return [n.split("_")[-2] for n in files if n.endswith(".jpg")]


@pytest.fixture
def half_published(shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules) -> Version:
    """A second version, approved, which is live in `shop` while `feed` is away and has the first one."""
    with_two_channels(shop, write_rules)
    approve(shop, made(shop, photos, drain))
    work(shop, drain, rounds=1)
    second = made(shop, photos, drain, color="green")
    approve(shop, second)
    shop.channel("feed").fail_with = Unavailable("feed", "publish", "away")  # type: ignore[attr-defined]
    drain()
    assert in_channel(shop, "shop") == ["V2"] and in_channel(shop, "feed") == ["V1"]
    return second


def is_public(services: Services, version: Version) -> bool:
    return services.assets.find_file(version.files[0].sha256, public=True) is not None


def test_an_undone_approval_is_taken_back_where_it_was_live_already(
    shop: Services, half_published: Version, drain: Drain
) -> None:
    review.undo(shop, half_published, by="ann")
    work(shop, drain)
    assert in_channel(shop, "shop") == in_channel(shop, "feed") == ["V1"]
    assert states(shop) == ["V2 in_review", "V1 published"] and not is_public(shop, half_published)
    assert not [r for r in shop.runs.page() if r.state is RunState.FAILED]


def test_a_version_that_a_channel_never_took_can_be_taken_off_the_others(
    shop: Services, half_published: Version, drain: Drain
) -> None:
    feed = shop.channel("feed")
    for _ in range(2 * MAX_ATTEMPTS):  # it is tried for days
        feed.fail_with = Unavailable("feed", "publish", "away")  # type: ignore[attr-defined]
        work(shop, drain, rounds=1)
        shop.clock.forward(600)  # type: ignore[attr-defined]
    feed.fail_with = None  # type: ignore[attr-defined]
    assert [r.kind for r in shop.runs.page(state="parked")] == [RunKind.PUBLISH]
    publish.withdraw(shop, half_published, by="ann", reason="wrong colour")
    work(shop, drain)
    assert in_channel(shop, "shop") == in_channel(shop, "feed") == ["V1"]
    assert states(shop) == ["V2 withdrawn", "V1 published"] and not is_public(shop, half_published)


def test_a_late_withdrawal_does_not_take_off_what_was_rolled_back_to_meanwhile(
    shop: Services, photos: PhotoServer, drain: Drain
) -> None:
    first = made(shop, photos, drain)
    approve(shop, first)
    drain()
    publish.withdraw(shop, first, by="ann")
    (late,) = [r for r in shop.runs.page() if r.kind is RunKind.WITHDRAW]
    publish.rollback(shop, shop.assets.get(first.id), by="ann")  # type: ignore[arg-type]
    (earlier,) = [r for r in shop.runs.page(state="queued") if r.kind is RunKind.PUBLISH]
    advance(shop, earlier.id)
    advance(shop, late.id)
    drain()
    assert live(shop) == ["packshotV1"] and states(shop) == ["V1 published"]


def test_an_older_publication_that_resumes_late_overrules_no_newer_approval(
    shop: Services, photos: PhotoServer, drain: Drain
) -> None:
    first = made(shop, photos, drain)
    approve(shop, first)
    (older,) = [r for r in shop.runs.page(state="queued") if r.kind is RunKind.PUBLISH]
    shop.runs.lease(older.id, "a worker that dies", 20)
    second = made(shop, photos, drain, color="green")
    approve(shop, second)
    drain()
    work(shop, drain)
    assert shop.runs.get(older.id).state is RunState.DONE  # type: ignore[union-attr]
    assert live(shop) == ["packshotV2"] and states(shop) == ["V2 published", "V1 superseded"]


def test_an_undo_after_the_next_version_came_puts_no_second_one_in_review(
    shop: Services, photos: PhotoServer, drain: Drain
) -> None:
    first = made(shop, photos, drain)
    review.decide(shop, first, Decision(verdict=Verdict.REJECTED, by="ann"), source="page")
    made(shop, photos, drain, color="green")
    review.undo(shop, first, by="ann")
    assert states(shop) == ["V2 in_review", "V1 superseded"]


def test_of_two_rejections_that_are_undone_only_the_newer_version_is_in_review(
    shop: Services, photos: PhotoServer, drain: Drain
) -> None:
    rejected = Decision(verdict=Verdict.REJECTED, by="ann")
    first = made(shop, photos, drain)
    review.decide(shop, first, rejected, source="page")
    second = made(shop, photos, drain, color="green")
    review.decide(shop, second, rejected, source="page")
    for version in (first, second):
        review.undo(shop, version, by="ann")
    assert states(shop) == ["V2 in_review", "V1 superseded"]


def lose_the_answer(shop: Services, name: str) -> None:
    """Let a channel take the next listing, and its answer be lost."""
    channel = shop.channel(name)
    sync = channel.sync

    def taken(listing: Listing, blobs: Any) -> str:
        channel.sync = sync  # type: ignore[method-assign]
        sync(listing, blobs)
        raise Unavailable(name, "publish", "the answer was lost")

    channel.sync = taken  # type: ignore[method-assign]


@pytest.mark.parametrize("action", ["undo", "withdraw"])
def test_what_a_channel_took_without_an_answer_is_taken_back(
    shop: Services, photos: PhotoServer, drain: Drain, action: str
) -> None:
    first = made(shop, photos, drain)
    lose_the_answer(shop, "shop")
    approve(shop, first)
    drain()
    assert live(shop) == ["packshotV1"] and states(shop) == ["V1 approved"]
    if action == "undo":
        review.undo(shop, first, by="ann")
    else:
        publish.withdraw(shop, first, by="ann")
    work(shop, drain)
    assert live(shop) == [] and not is_public(shop, first)
    assert shop.runs.page(state="failed") == []


def test_a_channel_that_may_not_have_the_last_listing_is_found_by_reconcile(
    shop: Services, photos: PhotoServer, drain: Drain
) -> None:
    approve(shop, made(shop, photos, drain))
    drain()
    shop.channel_listings.doubt("shop", "CH123")
    (found,) = [d for d in reconcile(shop) if d.port == "channel"]
    assert (found.where, found.detail) == ("shop", "it is not known to have the last listing")
    repair(shop, found)
    assert [d for d in reconcile(shop) if d.port == "channel"] == []


@pytest.mark.parametrize("change", ["deliverable removed", "no longer asked for"])
def test_a_withdrawal_counts_whatever_the_rules_and_sheets_ask_for_now(
    shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules, change: str
) -> None:
    first = made(shop, photos, drain)
    approve(shop, first)
    drain()
    if change == "deliverable removed":
        rules = json.loads(shop.settings.plugin_json.read_text())
        rules["deliverables"] = [{**PACKSHOT, "name": "another"}]
        write_rules(**rules)
    else:
        record = shop.products.get("CH123")
        facts = replace(record.product, request=RowRequest(types=(RequestType.MODEL,)))  # type: ignore[union-attr]
        shop.products.upsert(facts, connection="main", ref="CH123", source_time=shop.clock.now())
    publish.withdraw(shop, first, by="ann")
    work(shop, drain)
    assert live(shop) == [] and states(shop)[-1] == "V1 withdrawn"
    assert not [r for r in shop.runs.page() if r.kind is RunKind.WITHDRAW and r.state is not RunState.DONE]


def test_a_pending_rollback_that_is_withdrawn_or_undone_brings_nothing_back(
    shop: Services, photos: PhotoServer, drain: Drain
) -> None:
    first = made(shop, photos, drain)
    approve(shop, first)
    drain()
    second = made(shop, photos, drain, color="green")
    approve(shop, second)
    drain()
    publish.withdraw(shop, second, by="ann")
    drain()
    for take_back in (publish.withdraw, review.undo):
        shop.channel("shop").fail_with = Unavailable("shop", "publish", "away")  # type: ignore[attr-defined]
        publish.rollback(shop, second, by="ann")
        drain()
        take_back(shop, second, by="ann")
        work(shop, drain)
        assert live(shop) == [] and states(shop) == ["V2 withdrawn", "V1 superseded"]
        assert not is_public(shop, first) and not is_public(shop, second)
    publish.rollback(shop, second, by="ann")  # its approval still counts
    work(shop, drain, rounds=2)
    assert live(shop) == ["packshotV2"]


def test_an_embargo_takes_back_what_is_live_in_some_channels_only(
    shop: Services, half_published: Version, drain: Drain
) -> None:
    record = shop.products.get("CH123")
    embargoed = replace(record.product, live_from=shop.clock.now() + timedelta(days=3))  # type: ignore[union-attr]
    shop.products.upsert(embargoed, connection="main", ref="CH123", source_time=shop.clock.now())
    work(shop, drain)
    assert in_channel(shop, "shop") == in_channel(shop, "feed") == ["V1"]
    assert not is_public(shop, half_published) and states(shop) == ["V2 approved", "V1 published"]
    shop.clock.forward(3 * 86_400)  # type: ignore[attr-defined]
    work(shop, drain)
    assert in_channel(shop, "shop") == in_channel(shop, "feed") == ["V2"]


def test_a_publication_follows_the_channels_of_the_rules_in_force(
    shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules
) -> None:
    with_two_channels(shop, write_rules)
    first = made(shop, photos, drain)
    day = shop.clock.now() + timedelta(hours=1)
    review.decide(shop, first, APPROVED, source="page", go_live_at=day)
    rules = json.loads(shop.settings.plugin_json.read_text())
    del rules["connections"]["channel"]["feed"]
    rules["deliverables"] = [{**PACKSHOT, "channels": ["shop"]}]
    write_rules(**rules)
    shop.clock.forward(3700)  # type: ignore[attr-defined]
    work(shop, drain)
    assert states(shop) == ["V1 published"] and in_channel(shop, "shop") == ["V1"]
    assert [p.channel for p in shop.publications.of_product("CH123")] == ["shop"]


def test_files_of_an_interrupted_export_are_removed_when_something_else_is_wanted(
    shop: Services,
    photos: PhotoServer,
    drain: Drain,
    write_rules: Rules,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tree = tmp_path / "tree"
    rules = json.loads(shop.settings.plugin_json.read_text())
    rules["connections"]["channel"]["export"] = {"adapter": "folder", "path": str(tree)}
    rules["deliverables"] = [{**PACKSHOT, "formats": ["jpeg", "webp"], "channels": ["export"]}]
    write_rules(**rules)
    first = made(shop, photos, drain)
    write, written = FolderChannel._write, 0

    def full_disk(self: FolderChannel, path: str, data: bytes, mime: str) -> None:
        nonlocal written
        written += 1
        if written > 2:  # the index, one file, and then
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, path, data, mime)

    with monkeypatch.context() as patch:
        patch.setattr(FolderChannel, "_write", full_disk)
        approve(shop, first)
        drain()
    assert len([p for p in tree.rglob("*") if p.suffix in (".jpg", ".webp")]) == 1
    review.undo(shop, first, by="ann")
    work(shop, drain)
    assert [p for p in tree.rglob("*") if p.is_file()] == []


def test_a_receiver_that_drops_ids_it_has_seen_ends_with_the_last_listing(
    shop: Services, photos: PhotoServer, drain: Drain
) -> None:
    sent: list[Listing] = []
    channel = shop.channel("shop")
    sync = channel.sync

    def recorded(listing: Listing, blobs: Any) -> str:
        sent.append(listing)
        return sync(listing, blobs)

    channel.sync = recorded  # type: ignore[method-assign]
    first = made(shop, photos, drain)
    approve(shop, first)
    drain()
    approve(shop, made(shop, photos, drain, color="green"))
    drain()
    publish.rollback(shop, shop.assets.get(first.id), by="ann")  # type: ignore[arg-type]
    drain()
    assert [listing.sequence for listing in sent] == [1, 2, 3]
    assert sent[0].placements[0].approved.version.id == sent[2].placements[0].approved.version.id == first.id


def test_a_channel_that_has_the_listing_is_not_sent_it_again_while_another_is_tried(
    shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules
) -> None:
    with_two_channels(shop, write_rules)
    calls = 0
    channel = shop.channel("shop")
    sync = channel.sync

    def counted(listing: Listing, blobs: Any) -> str:
        nonlocal calls
        calls += 1
        return sync(listing, blobs)

    channel.sync = counted  # type: ignore[method-assign]
    first = made(shop, photos, drain)
    approve(shop, first)
    assert shop.locks.lease(_lock_name(shop, "feed CH123"), "a process that was killed", 20)
    drain()
    for _ in range(19):
        shop.clock.forward(1)  # type: ignore[attr-defined]
        maintenance.sweep(shop, "me")
        drain()
    assert calls == 1 and states(shop) == ["V1 approved"]
    work(shop, drain, rounds=2)
    assert calls == 1 and states(shop) == ["V1 published"] and in_channel(shop, "feed") == ["V1"]


def _lock_name(services: Services, resource: str) -> str:
    """The name under which the table of leases has a lock."""
    with services.locks.lock(resource), services.db.read() as c:
        return str(c.execute(sa.text("SELECT name FROM leases WHERE name LIKE 'turn:%'")).scalar_one())


def test_files_leave_the_folder_of_the_former_category(
    shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    rules = json.loads(shop.settings.plugin_json.read_text())
    rules["connections"]["channel"]["export"] = {"adapter": "folder", "path": str(tree)}
    rules["deliverables"] = [{**PACKSHOT, "channels": ["export"]}]
    rules["naming"]["folder"] = "{category}/{sku}"
    write_rules(**rules)
    for category in ("chairs", "stools"):
        shop.clock.forward(5)  # type: ignore[attr-defined]
        send(shop, chair(photos, category=category), message=category, kind="product.updated")
        drain()
        if newest(shop).state is VersionState.IN_REVIEW:
            approve(shop, newest(shop))
        else:
            publish.withdraw(shop, newest(shop), by="ann")
        drain()
    assert not [p for p in tree.rglob("*") if p.is_file() and "chairs" in p.parts]


@pytest.mark.parametrize(
    "fault",
    [
        sa.exc.OperationalError("UPDATE", {}, Exception("server closed the connection unexpectedly")),
        OSError(errno.ENOSPC, "No space left on device"),
        StorageUnavailable("database", "write", "database is locked"),
    ],
    ids=["connection", "disk full", "locked"],
)
def test_a_fault_that_passes_fails_no_run_however_long_it_lasts(
    shop: Services, photos: PhotoServer, drain: Drain, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    first = made(shop, photos, drain)
    tries = 0

    def broken(work: Work, services: Services) -> Work:
        nonlocal tries
        tries += 1
        if tries <= 2 * MAX_ATTEMPTS:
            if isinstance(fault, sa.exc.SQLAlchemyError):
                with services.db.read():
                    raise fault
            raise fault
        return work

    steps = {**pipeline.PIPELINES, RunKind.PUBLISH: (broken, *pipeline.PUBLISH)}
    monkeypatch.setattr(pipeline, "PIPELINES", steps)
    approve(shop, first)
    work(shop, drain, rounds=2 * MAX_ATTEMPTS + 2)
    assert tries > 2 * MAX_ATTEMPTS and states(shop) == ["V1 published"]


def test_a_worker_whose_lease_was_taken_over_writes_nothing_more(
    shop: Services, photos: PhotoServer, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(shop, photos, drain)
    approve(shop, first)
    (run,) = [r for r in shop.runs.page(state="queued") if r.kind is RunKind.PUBLISH]

    def slow(work: Work, services: Services) -> Work:
        services.history.add("in time", sku="CH123", version_id=first.id)
        services.clock.forward(60)  # type: ignore[attr-defined]  # longer than its lease
        assert services.runs.lease(run.id, "another worker", 20)
        for write in (
            lambda: services.history.add("late", sku="CH123", version_id=first.id),
            lambda: services.publications.set(first, "shop", "", asked_at=services.clock.now()),
            lambda: services.assets.set_dam_ref(first.id, "shelf", "late"),
        ):
            with pytest.raises(StateConflict, match="taken over"):
                write()
        return work

    monkeypatch.setattr(pipeline, "PIPELINES", {**pipeline.PIPELINES, RunKind.PUBLISH: (slow,)})
    advance(shop, run.id)
    events = {h.event for h in shop.history.entries(version_id=first.id)}
    assert "in time" in events and "late" not in events
    assert shop.runs.get(run.id).state is RunState.RUNNING  # type: ignore[union-attr]
    assert shop.publications.of_product("CH123") == []


def test_a_deletion_that_arrives_before_the_news_of_the_creation_counts(
    services: Services, photos: PhotoServer, drain: Drain
) -> None:
    send(services, {"sku": "CH123"}, message="msg_2", kind="product.deleted", age_s=10)
    drain()
    send(services, chair(photos), message="msg_1", kind="product.created", age_s=20)
    drain()
    assert services.products.get("CH123") is None
    send(services, chair(photos), message="msg_3", kind="product.created")  # it is created once more
    drain()
    assert services.products.get("CH123").deleted is False  # type: ignore[union-attr]


def test_a_deletion_of_nothing_does_not_claim_to_have_deleted(services: Services, drain: Drain) -> None:
    send(services, {"sku": "NONE"}, kind="product.deleted")
    drain()
    (delivery,) = services.inbox.page()
    assert "not known here" in delivery.summary


def test_a_decision_in_the_dam_before_the_version_was_in_review_is_heard(
    shop: Services, photos: PhotoServer, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    dam, push = shop.dam("shelf"), shop.dam("shelf").push

    def pushed_and_decided(request: Any, blobs: Any) -> str:
        ref = push(request, blobs)
        shop.assets.set_dam_ref(request.version.id, "shelf", ref)
        dam.decide(ref, APPROVED)  # type: ignore[attr-defined]
        assert "not yet in review" in sync_from_dam(shop, "shelf", ref)
        return ref

    monkeypatch.setattr(dam, "push", pushed_and_decided)
    made(shop, photos, drain)
    work(shop, drain, rounds=2)
    assert states(shop) == ["V1 published"]


def test_a_database_that_is_away_is_503_with_a_time_to_try_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = services.users.add_token(services.users.add("ann", UserRole.ADMIN), "test")
    client = create_app(services).test_client()
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/api/v1/products", headers=headers).status_code == 200

    def away(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("SELECT", {}, Exception("terminating connection"))

    monkeypatch.setattr(services.db._reader, "connect", away)
    answer = client.get("/api/v1/products", headers=headers)
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "5"
    assert "terminating connection" in answer.json["error"]["message"]


def test_half_stored_batches_take_no_name_and_are_deleted(services: Services, clock: TestClock) -> None:
    services.batches.store("autumn", "ann", ("sku",), [])
    assert services.batches.get("autumn") is None and services.batches.page() == []
    begun = services.batches.begin(services.batches.store("autumn", "ann", ("sku",), []))
    assert services.batches.get("autumn").id == begun.id  # type: ignore[union-attr]
    with pytest.raises(StateConflict):
        services.batches.store("autumn", "bob", ("sku",), [])
    clock.forward(timedelta(days=2).total_seconds())
    assert maintenance.delete_expired(services) == 1
    assert [b.id for b in services.batches.page()] == [begun.id]


def test_what_a_transaction_wakes_leaves_after_its_commit_and_not_without_it(services: Services) -> None:
    sent: list[Any] = []
    services.queue._inner.wake = lambda job, ids: sent.append(job) or True  # type: ignore[attr-defined]
    with services.transaction():
        services.queue.wake("advance_run", ["run_1"])
        services.notes.set("kept", 1)
        with pytest.raises(StateConflict), services.transaction():
            services.queue.wake("finish_run", ["run_2"])
            services.notes.set("undone", 1)
            raise StateConflict("the inner block is undone")
        assert sent == [] and services.notes.get("kept") == 1
    assert sent == ["advance_run"]
    assert services.notes.get("kept") == 1 and services.notes.get("undone") is None
    with pytest.raises(ValueError, match="all"), services.transaction():
        services.queue.wake("finish_run", ["run_3"])
        services.notes.set("lost", 1)
        raise ValueError("all of it is undone")
    assert sent == ["advance_run"] and services.notes.get("lost") is None
    assert intake.add_product(services, product("X1", images={}), by="ann").planned == 0


def test_rules_that_change_during_a_transaction_stop_nobody(services: Services, write_rules: Rules) -> None:
    before = services.rules.current()
    loaded: list[str] = []
    loader = threading.Thread(target=lambda: loaded.append(services.rules.current().name), daemon=True)
    with services.transaction():
        rules = json.loads(services.settings.plugin_json.read_text())
        services.settings.plugin_json.write_text(json.dumps({**rules, "name": "changed meanwhile"}))
        loader.start()  # it stores the new rules, and so waits for this transaction
        loader.join(0.5)
        assert services.rules.current() is before
    loader.join(20)
    assert loaded == ["changed meanwhile"] and services.rules.current().name == "changed meanwhile"
