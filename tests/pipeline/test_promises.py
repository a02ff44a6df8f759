"""What was answered with success holds, whatever fails or comes late; nobody sees what nobody approved."""

import errno
import json
import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from dam_connector.app import create_app
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.retry_policy import RUN_RETRIES
from dam_connector.domain.run import RunKind, RunState
from dam_connector.domain.version import Version
from dam_connector.errors import StateConflict, StorageUnavailable, Unavailable
from dam_connector.store.users import UserRole
from dam_connector.usecases import intake, maintenance, publish, review
from dam_connector.usecases.dam_sync.inbound import sync_from_dam
from dam_connector.wiring import Services
from tests.pipeline.helpers import (
    APPROVED,
    Drain,
    Rules,
    approve,
    chair,
    in_channel,
    is_public,
    live,
    made,
    send,
    states,
    work,
)
from tests.support import PhotoServer, TestClock, product
from worker import pipeline
from worker.runner import advance
from worker.work import Work


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
    for _ in range(2 * RUN_RETRIES.max_attempts):  # it is tried for days
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
        if tries <= 2 * RUN_RETRIES.max_attempts:
            if isinstance(fault, sa.exc.SQLAlchemyError):
                with services.db.read():
                    raise fault
            raise fault
        return work

    steps = {**pipeline.PIPELINES, RunKind.PUBLISH: (broken, *pipeline.PUBLISH)}
    monkeypatch.setattr(pipeline, "PIPELINES", steps)
    approve(shop, first)
    work(shop, drain, rounds=2 * RUN_RETRIES.max_attempts + 2)
    assert tries > 2 * RUN_RETRIES.max_attempts and states(shop) == ["V1 published"]


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
            lambda: services.publications.set(first, "shop", ""),
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
