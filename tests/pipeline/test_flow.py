"""The flow from the webhook to the live version, on real parts in one process."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis import Redis

from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.issue import Waiver
from dam_connector.domain.run import RunState
from dam_connector.domain.version import VersionState
from dam_connector.errors import DeliveryError, RateLimited, StateConflict, Unavailable
from dam_connector.queue import RqQueue
from dam_connector.usecases import intake, maintenance, retries, review
from dam_connector.usecases.dam_sync.inbound import poll_dams
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, chair, send, versions
from tests.support import (
    MODEL,
    SAMPLES,
    PhotoServer,
    TestClock,
    event_body,
    inbound,
    picture,
    record,
    rules_json,
    signed,
)

APPROVED = Decision(verdict=Verdict.APPROVED, by="ann")


def test_from_webhook_to_live(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable
) -> None:
    write_rules(deliverables=[rules_json()["deliverables"][0], MODEL])
    send(services, chair(photos))
    drain()
    made = versions(services)
    assert {d: v.state for d, v in made.items()} == {
        "packshot": VersionState.IN_REVIEW,
        "model": VersionState.IN_REVIEW,
    }
    assert {f.name for f in made["model"].files if f.role not in ("preview", "evidence")} == {
        "CH123_ModernDiningChair_V1_GLB.glb",
        "CH123_ModernDiningChair_V1_USDZ.usdz",
    }
    assert not made["model"].report.errors()
    assert made["model"].dam_ref and made["model"].provenance["generator"] == "local"
    for version in made.values():
        review.decide(services, version, APPROVED, source="page")
    drain()
    assert {v.state for v in versions(services).values()} == {VersionState.PUBLISHED}
    assert services.publications.of_version(made["model"].id)[0].url.endswith("/ar/CH123")
    assert services.adapter_context.library.get_state(made["model"].dam_ref) == "published"


def test_50_equal_webhooks_at_once_make_one_run_a_deliverable_and_one_version(
    services: Services, photos: PhotoServer, drain: Drain
) -> None:
    data = chair(photos)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: send(services, data, message=f"msg_{n % 5}"), range(50)))
    assert len({a[0] for a in answers}) == 5 and sum(a[1] for a in answers) == 5
    drain()
    assert sorted(r.deliverable for r in services.runs.page()) == ["cutout", "packshot"]
    assert [v.number for v in services.assets.of_product("CH123")] == [1, 1]


def test_the_same_again_makes_nothing_and_a_moved_picture_neither(
    services: Services, photos: PhotoServer, drain: Drain
) -> None:
    send(services, chair(photos))
    drain()
    photos.files["moved.jpg"] = photos.files["front.jpg"]
    send(services, chair(photos, images={"front": photos.url("moved.jpg")}), message="msg_2")
    drain()
    assert len(services.runs.page()) == 2


def test_new_facts_make_the_next_version_and_supersede_the_one_in_review(
    services: Services, photos: PhotoServer, drain: Drain
) -> None:
    send(services, chair(photos))
    drain()
    services.clock.forward(5)
    send(services, chair(photos, color="green"), message="msg_2", kind="product.updated")
    drain()
    states = {(v.asset.deliverable, v.number): v.state for v in services.assets.of_product("CH123")}
    assert states == {
        ("packshot", 1): VersionState.SUPERSEDED,
        ("packshot", 2): VersionState.IN_REVIEW,
        ("cutout", 1): VersionState.SUPERSEDED,
        ("cutout", 2): VersionState.IN_REVIEW,
    }


def test_a_late_older_delivery_changes_nothing(services: Services, photos: PhotoServer, drain: Drain) -> None:
    send(services, chair(photos, name="New Name"))
    send(services, chair(photos, name="Old Name"), message="msg_2", age_s=60)
    drain()
    assert services.products.get("CH123").product.name == "New Name"
    assert len(services.runs.page()) == 2


def test_newer_facts_that_arrive_while_pictures_are_fetched_have_the_last_word(
    services: Services, photos: PhotoServer, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, newer = services.http.get, chair(photos, color="blue")

    def slow(url: str, **options: object) -> object:
        monkeypatch.setattr(type(services.http), "get", lambda self, *a, **k: fetch(*a, **k))
        services.clock.forward(1)
        delivery, _ = send(services, newer, message="msg_2")
        intake.handle_delivery(services, delivery)
        return fetch(url, **options)

    first, _ = send(services, chair(photos))
    monkeypatch.setattr(type(services.http), "get", lambda self, url, **k: slow(url, **k))
    intake.handle_delivery(services, first)
    drain()
    made = [services.runs.get(v.run_id) for v in services.assets.of_product("CH123")]
    assert len(made) == 2 and services.products.get("CH123").product.color == "blue"
    assert {r.state for r in services.runs.page()} == {RunState.DONE}  # none was planned of older facts


def test_a_deleted_product_is_marked(services: Services, photos: PhotoServer, drain: Drain) -> None:
    send(services, chair(photos))
    drain()
    services.clock.forward(1)
    send(services, {"sku": "CH123"}, kind="product.deleted", message="msg_2")
    drain()
    assert services.products.get("CH123").deleted and services.products.page() == []


@pytest.mark.issue("source.unreachable")
def test_a_picture_server_that_is_away_is_asked_again_and_in_the_end_flagged(
    services: Services, photos: PhotoServer, clock: TestClock, drain: Drain
) -> None:
    photos.statuses["front.jpg"] = 503
    delivery, _ = send(services, chair(photos))
    drain()
    assert services.inbox.get(delivery).state == "received"
    photos.statuses.clear()
    clock.forward(30)
    maintenance.sweep(services, "me")
    drain()
    assert set(versions(services)) == {"packshot", "cutout"}
    photos.statuses["front.jpg"] = 503
    services.clock.forward(5)
    delivery, _ = send(services, chair(photos, sku="X1"), message="msg_2")
    drain()
    for _ in range(8):
        clock.forward(10_000)
        maintenance.sweep(services, "me")
        drain()
    assert services.inbox.get(delivery).state == "handled"
    assert [i.code for i in services.products.get("X1").issues] == ["source.unreachable"]


def test_redis_down_during_intake_loses_nothing(
    services: Services, photos: PhotoServer, drain: Drain, clock: TestClock, tmp_path: Path
) -> None:
    import dataclasses

    away = dataclasses.replace(services, queue=RqQueue(f"unix://{tmp_path}/nobody.sock"))
    for n in range(5):
        send(away, chair(photos, sku=f"S{n}"), message=f"m{n}")
    assert maintenance.sweep(away, "me") == 0
    clock.forward(10)
    assert maintenance.sweep(services, "me") == 5
    drain()
    assert len(services.gallery.product_cards([f"S{n}" for n in range(5)])) == 10


def test_a_flushed_queue_loses_nothing(
    services: Services, photos: PhotoServer, drain: Drain, clock: TestClock, queue_url: str
) -> None:
    delivery, _ = send(services, chair(photos))
    intake.handle_delivery(services, delivery)
    Redis.from_url(queue_url).flushall()
    assert drain() == 0
    clock.forward(30)
    maintenance.sweep(services, "me")
    drain()
    assert set(versions(services)) == {"packshot", "cutout"}


def test_the_sweeper_backs_off_and_does_not_flood(
    services: Services, photos: PhotoServer, clock: TestClock, queue_url: str
) -> None:
    delivery, _ = send(services, chair(photos))
    intake.handle_delivery(services, delivery)
    Redis.from_url(queue_url).flushall()
    sent = 0
    for _ in range(120):
        clock.forward(2)
        sent += maintenance.sweep(services, "me")
    assert 2 <= sent <= 2 * 5
    assert maintenance.sweep(services, "somebody else") == 0


def test_reject_regenerate_and_approve_the_next(
    services: Services, photos: PhotoServer, drain: Drain
) -> None:
    send(services, chair(photos))
    drain()
    first = versions(services)["packshot"]
    review.decide(
        services,
        first,
        Decision(verdict=Verdict.REJECTED, by="ann", reasons=("colour",), note="too red"),
        source="page",
    )
    run = review.regenerate(services, first, note="too red", by="ann")
    assert run and review.regenerate(services, first, note="too red", by="ann") is None
    drain()
    second = versions(services)["packshot"]
    assert second.number == 2 and second.provenance["note"] == "too red"
    send(services, chair(photos), message="msg_again")
    drain()
    assert len([v for v in services.assets.of_product("CH123") if v.asset.deliverable == "packshot"]) == 2
    review.decide(services, second, APPROVED, source="page")
    drain()
    assert services.assets.get(second.id).state is VersionState.PUBLISHED


def test_an_undone_approval_is_not_published(
    services: Services, photos: PhotoServer, drain: Drain, clock: TestClock
) -> None:
    send(services, chair(photos))
    drain()
    version = versions(services)["packshot"]
    review.decide(services, version, APPROVED, source="page", delay_s=10)
    review.undo(services, services.assets.get(version.id), by="ann")
    clock.forward(30)
    maintenance.sweep(services, "me")
    drain()
    assert services.assets.get(version.id).state is VersionState.IN_REVIEW
    assert services.publications.of_version(version.id) == []
    review.decide(services, services.assets.get(version.id), APPROVED, source="page")
    drain()
    assert services.assets.get(version.id).state is VersionState.PUBLISHED
    with pytest.raises(StateConflict):
        review.undo(services, services.assets.get(version.id), by="ann")


def test_the_newer_version_stays_live_when_the_older_is_approved_last(
    services: Services, photos: PhotoServer, drain: Drain
) -> None:
    send(services, chair(photos))
    drain()
    first = versions(services)["packshot"]
    review.decide(services, first, APPROVED, source="page", delay_s=5)
    services.clock.forward(1)
    send(services, chair(photos, color="green"), message="msg_2")
    drain()
    second = versions(services)["packshot"]
    review.decide(services, second, APPROVED, source="page")
    drain()
    services.clock.forward(60)
    maintenance.sweep(services, "me")
    drain()
    assert services.assets.get(second.id).state is VersionState.PUBLISHED
    assert services.assets.get(first.id).state is VersionState.SUPERSEDED
    assert [p.version_id for p in services.publications.of_version(second.id)] == [second.id]


def test_a_blocked_version_is_never_pushed_until_its_error_is_waived(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable
) -> None:
    write_rules(checks={"max_image_bytes": 1024})
    send(services, chair(photos))
    drain()
    version = versions(services)["packshot"]
    assert version.state is VersionState.BLOCKED and version.dam_ref == ""
    assert {i.code for i in version.report.errors()} == {"rendition.bytes"}
    with pytest.raises(StateConflict):
        review.decide(services, version, APPROVED, source="page")
    review.waive(services, version, Waiver(code="rendition.bytes", by="root", reason="a test"))
    drain()
    waived = services.assets.get(version.id)
    assert (
        waived.state is VersionState.IN_REVIEW
        and waived.dam_ref
        and waived.report.waivers[0].reason == "a test"
    )


def test_a_decision_in_the_dam_publishes(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable
) -> None:
    write_rules(
        connections={
            **json.loads(services.settings.plugin_json.read_text())["connections"],
            "dam": {"shelf": {"adapter": "memory"}},
        },
        review={"dam": "shelf"},
    )
    send(services, chair(photos))
    drain()
    version, dam = versions(services)["packshot"], services.dam("shelf")
    assert any(name.endswith("CH123_ModernDiningChair_V1_JPEG.jpg") for name in dam.stored[version.dam_ref])
    dam.decide(version.dam_ref, APPROVED)
    assert poll_dams(services) == 1 and poll_dams(services) == 0
    drain()
    assert services.assets.get(version.id).state is VersionState.PUBLISHED


@pytest.mark.parametrize(
    "fault", [Unavailable("dam", "push", "down"), RateLimited("dam", "push", "slow", retry_after_s=7)]
)
def test_a_dam_that_is_away_is_tried_again(
    fault: Exception,
    services: Services,
    photos: PhotoServer,
    drain: Drain,
    write_rules: Callable,
    clock: TestClock,
) -> None:
    write_rules(
        connections={
            **json.loads(services.settings.plugin_json.read_text())["connections"],
            "dam": {"shelf": {"adapter": "memory"}},
        },
        review={"dam": "shelf"},
        deliverables=[{"name": "packshot", "kind": "rendition", "size_px": 320}],
    )
    services.dam("shelf").fail_with = fault
    send(services, chair(photos))
    drain()
    run = services.runs.page()[0]
    assert run.state is RunState.PARKED and "dam push" in run.error
    clock.forward(120)
    maintenance.sweep(services, "me")
    drain()
    assert services.runs.get(run.id).state is RunState.DONE
    assert len(services.dam("shelf").stored) == 1


def test_a_changed_plugin_json_is_taken_up_and_a_bad_one_refused(
    services: Services, write_rules: Callable
) -> None:
    write_rules(deliverables=[{"name": "hero", "kind": "rendition"}])
    assert [d.name for d in services.rules.current().deliverables] == ["hero"]
    services.settings.plugin_json.write_text("{}")
    assert [d.name for d in services.rules.current().deliverables] == ["hero"]
    assert services.rules.problem and any("/connections" in p for p in services.rules.problem.problems)


def test_a_run_keeps_the_rules_it_was_planned_under(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable
) -> None:
    write_rules(deliverables=[{"name": "packshot", "kind": "rendition", "size_px": 320}])
    planned = services.rules.current().fingerprint
    delivery, _ = send(services, chair(photos))
    intake.handle_delivery(services, delivery)
    write_rules(deliverables=[{"name": "packshot", "kind": "rendition", "size_px": 640}])
    drain()
    version = versions(services)["packshot"]
    assert version.rules_fingerprint == planned and version.report.facts["width_px"] == 320


def test_run_again_retries_what_failed(services: Services, photos: PhotoServer, drain: Drain) -> None:
    photos.files["front.jpg"] = picture()[:2000]  # damaged
    send(services, chair(photos))
    drain()
    assert {r.state for r in services.runs.page()} == {RunState.FAILED}
    photos.files["front.jpg"] = (SAMPLES / "chair-front.jpg").read_bytes()
    assert retries.rerun_product(services, "CH123") == 2  # those of the photo before are not wanted any more
    drain()
    assert set(versions(services)) == {"packshot", "cutout"}
    assert not services.products.get("CH123").flagged


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"webhook-signature": "v1,AAAA"}, 401),
        ({"webhook-id": "other"}, 401),
        ({"webhook-timestamp": "abc"}, 400),
        ({"webhook-timestamp": ""}, 400),
    ],
)
def test_forged_deliveries_are_refused_and_not_stored(change: dict, status: int, services: Services) -> None:
    now = services.clock.now()
    body = event_body(record(), at=now)
    with pytest.raises(DeliveryError) as refusal:
        intake.receive_webhook(services, "main", inbound(body, {**signed(body, at=now), **change}, now))
    assert refusal.value.status == status and services.inbox.page() == []
