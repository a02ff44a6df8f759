"""What is live where: rollback, withdrawal, a later day; and decisions that come from a DAM."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.run import RunKind, RunState
from dam_connector.domain.version import VersionState
from dam_connector.errors import Refused, StateConflict, Unavailable
from dam_connector.usecases import maintenance, publish, retries, review
from dam_connector.usecases.dam_sync import inbound
from dam_connector.usecases.dam_sync.inbound import poll_dams, sync_from_dam
from dam_connector.usecases.publish import lock_listing
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, chair, live, made, newest, send, states
from tests.support import PhotoServer, TestClock

APPROVED = Decision(verdict=Verdict.APPROVED, by="ann")


def test_a_listing_keeps_the_order_of_the_rules_whatever_was_approved_first(
    shop: Services, photos: PhotoServer, drain: Drain
) -> None:
    first = made(shop, photos, drain)
    review.decide(shop, newest(shop, "detail"), APPROVED, source="page")
    drain()
    assert live(shop) == ["detailV1"]
    review.decide(shop, first, APPROVED, source="page")
    drain()
    assert live(shop) == ["packshotV1", "detailV1"]


def test_a_rollback_brings_an_earlier_version_back_everywhere_and_forth_again(
    shop: Services, photos: PhotoServer, drain: Drain
) -> None:
    first = made(shop, photos, drain)
    review.decide(shop, first, APPROVED, source="page")
    drain()
    second = made(shop, photos, drain, color="green")
    review.decide(shop, second, APPROVED, source="page")
    drain()
    assert live(shop) == ["packshotV2"] and states(shop) == ["V2 published", "V1 superseded"]
    publish.rollback(shop, shop.assets.get(first.id), by="ann")
    drain()
    assert live(shop) == ["packshotV1"] and states(shop) == ["V2 superseded", "V1 published"]
    assert {p.version_id for p in shop.publications.of_product("CH123")} == {first.id}
    assert {r: s.state.value for r, s in shop.dam("shelf").remote_states.items() if "packshot" in r} == {
        "mem:CH123:packshot:1:1": "published",
        "mem:CH123:packshot:1:2": "superseded",
    }
    with pytest.raises(StateConflict):
        publish.rollback(shop, shop.assets.get(first.id), by="ann")  # it is live
    shop.clock.forward(5)
    publish.rollback(shop, shop.assets.get(second.id), by="ann")
    drain()
    assert live(shop) == ["packshotV2"]


def test_what_nobody_approved_is_never_rolled_back_to(
    shop: Services, photos: PhotoServer, drain: Drain
) -> None:
    first = made(shop, photos, drain)
    second = made(shop, photos, drain, color="green")
    assert states(shop) == ["V2 in_review", "V1 superseded"]
    with pytest.raises(StateConflict, match="nobody approved"):
        publish.rollback(shop, shop.assets.get(first.id), by="ann")
    review.decide(shop, second, Decision(verdict=Verdict.REJECTED, by="ann"), source="page")
    with pytest.raises(StateConflict):
        publish.rollback(shop, shop.assets.get(second.id), by="ann")


def test_an_earlier_approval_that_was_held_up_does_not_undo_a_later_rollback(
    shop: Services, photos: PhotoServer, drain: Drain
) -> None:
    first = made(shop, photos, drain)
    review.decide(shop, first, APPROVED, source="page")
    drain()
    second = made(shop, photos, drain, color="green")
    review.decide(shop, second, APPROVED, source="page", delay_s=60)
    shop.clock.forward(1)
    third = made(shop, photos, drain, color="blue")
    review.decide(shop, third, APPROVED, source="page")
    drain()
    shop.clock.forward(1)
    publish.rollback(shop, shop.assets.get(first.id), by="ann")
    drain()
    shop.clock.forward(120)
    maintenance.sweep(shop, "me")
    drain()
    assert live(shop) == ["packshotV1"]


def test_a_withdrawn_version_is_live_nowhere_and_its_files_are_not_public(
    shop: Services, photos: PhotoServer, drain: Drain
) -> None:
    first = made(shop, photos, drain)
    review.decide(shop, first, APPROVED, source="page")
    review.decide(shop, newest(shop, "detail"), APPROVED, source="page")
    drain()
    assert shop.assets.find_file(first.files[0].sha256, public=True)
    publish.withdraw(shop, shop.assets.get(first.id), by="ann", reason="recalled")
    assert shop.assets.find_file(first.files[0].sha256, public=True) is None  # at once
    drain()
    assert live(shop) == ["detailV1"] and states(shop) == ["V1 withdrawn"]
    assert shop.dam("shelf").remote_states["mem:CH123:packshot:1:1"].state is VersionState.WITHDRAWN
    publish.rollback(shop, shop.assets.get(first.id), by="ann")
    drain()
    assert live(shop) == ["packshotV1", "detailV1"]


def test_nothing_goes_live_before_its_day_or_its_product_s_embargo(
    shop: Services, photos: PhotoServer, drain: Drain, clock: TestClock
) -> None:
    first = made(shop, photos, drain)
    day = clock.now() + timedelta(days=2)
    review.decide(shop, first, APPROVED, source="page", go_live_at=day)
    drain()
    assert (
        live(shop) == []
        and states(shop) == ["V1 approved"]
        and shop.assets.find_file(first.files[0].sha256, public=True) is None
    )
    clock.forward(3600)
    send(
        shop,
        chair(photos, color="red", live_from=(day + timedelta(days=1)).isoformat()),
        message="embargo",
        kind="product.updated",
    )
    drain()
    assert states(shop) == ["V1 approved"]  # an embargo is no new input
    for days, expected in ((2, []), (1, ["packshotV1"])):
        clock.forward(days * 86_400)
        maintenance.sweep(shop, "me")
        drain()
        assert live(shop) == expected


def test_an_embargo_that_is_lifted_holds_nothing_up(
    shop: Services, photos: PhotoServer, drain: Drain, clock: TestClock
) -> None:
    day = (clock.now() + timedelta(days=30)).isoformat()
    send(shop, chair(photos, live_from=day))
    drain()
    review.decide(shop, newest(shop), APPROVED, source="page")
    drain()
    assert live(shop) == []
    clock.forward(60)
    send(shop, chair(photos), message="lifted", kind="product.updated")
    clock.forward(600)
    maintenance.sweep(shop, "me")
    drain()
    assert live(shop) == ["packshotV1"]


def test_a_channel_that_is_away_keeps_the_old_version_live_and_gets_the_new_one_later(
    shop: Services, photos: PhotoServer, drain: Drain, clock: TestClock
) -> None:
    first = made(shop, photos, drain)
    review.decide(shop, first, APPROVED, source="page")
    drain()
    second = made(shop, photos, drain, color="green")
    shop.channel("shop").fail_with = Unavailable("shop", "publish", "down")
    review.decide(shop, second, APPROVED, source="page")
    drain()
    assert live(shop) == ["packshotV1"] and shop.assets.find_file(first.files[0].sha256, public=True)
    clock.forward(60)
    maintenance.sweep(shop, "me")
    drain()
    assert live(shop) == ["packshotV2"] and states(shop) == ["V2 published", "V1 superseded"]


def test_a_channel_that_refuses_holds_up_none_of_the_others(
    shop: Services, photos: PhotoServer, drain: Drain, write_rules: Callable[..., None]
) -> None:
    rules = json.loads(shop.settings.plugin_json.read_text())
    rules["deliverables"][0]["channels"] = ["shop", "viewer"]
    shop.settings.plugin_json.write_text(json.dumps(rules))
    first = made(shop, photos, drain)
    shop.channel("shop").fail_with = Refused("shop", "publish", "no such product")
    review.decide(shop, first, APPROVED, source="page")
    drain()
    assert [p.channel for p in shop.publications.of_product("CH123")] == ["viewer"] and live(shop) == []
    (failed,) = [r for r in shop.runs.page() if r.state is RunState.FAILED]
    assert "no such product" in failed.error and states(shop) == ["V1 approved"]
    retries.retry_run(shop, failed)
    drain()
    assert live(shop) == ["packshotV1"] and states(shop) == ["V1 published"]


def test_one_at_a_time_changes_a_product_in_a_channel(
    shop: Services, photos: PhotoServer, drain: Drain, clock: TestClock
) -> None:
    first = made(shop, photos, drain)
    with lock_listing(shop, "shop", "CH123"):
        review.decide(shop, first, APPROVED, source="page")
        for _ in range(12):  # more often than a failure is tried
            drain()
            clock.forward(1.5)
            maintenance.sweep(shop, "me")
        assert live(shop) == []
    clock.forward(5)
    maintenance.sweep(shop, "me")
    drain()
    assert live(shop) == ["packshotV1"]


def test_the_first_decision_counts_and_the_second_person_sees_it(
    shop: Services, photos: PhotoServer, drain: Drain
) -> None:
    first, dam = made(shop, photos, drain), shop.dam("shelf")
    review.decide(shop, first, APPROVED, source="page")
    dam.decide(
        first.dam_ref, Decision(verdict=Verdict.REJECTED, by="bob", note="no")
    )  # before our state was written there
    assert poll_dams(shop) == 1
    drain()
    assert (
        states(shop) == ["V1 published"] and dam.remote_states[first.dam_ref].state is VersionState.PUBLISHED
    )
    overruled = [h for h in shop.history.entries(version_id=first.id) if h.event == "overruled"]
    assert len(overruled) == 1 and "rejected by bob" in overruled[0].detail


def test_a_decision_that_comes_twice_and_late_counts_once(
    shop: Services, photos: PhotoServer, drain: Drain
) -> None:
    first, dam = made(shop, photos, drain), shop.dam("shelf")
    dam.decide(first.dam_ref, APPROVED)
    approved_there = dam.remote_states[first.dam_ref]
    assert "approved" in sync_from_dam(shop, "shelf", first.dam_ref)
    sync_from_dam(shop, "shelf", first.dam_ref)  # the poll, before anything was published
    drain()
    dam.remote_states[first.dam_ref] = approved_there  # and once more, before our state was written there
    sync_from_dam(shop, "shelf", first.dam_ref)
    drain()
    assert live(shop) == ["packshotV1"] and dam.remote_states[first.dam_ref].state is VersionState.PUBLISHED
    assert len(shop.decisions.of_version(first.id)) == 1
    assert "overruled" not in {h.event for h in shop.history.entries(version_id=first.id)}


def test_a_webhook_and_a_poll_at_the_same_moment_are_one_decision(
    shop: Services, photos: PhotoServer, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, dam = made(shop, photos, drain), shop.dam("shelf")
    dam.decide(first.dam_ref, APPROVED)

    def beaten(*args: object, **options: object) -> None:
        review.decide(*args, **options)  # by the other one, between our look and our word
        review.decide(*args, **options)

    monkeypatch.setattr(inbound, "decide", beaten)
    assert "meanwhile" in sync_from_dam(shop, "shelf", first.dam_ref)
    drain()
    assert live(shop) == ["packshotV1"] and len(shop.decisions.of_version(first.id)) == 1
    assert "overruled" not in {h.event for h in shop.history.entries(version_id=first.id)}


def test_files_changed_by_hand_are_never_approved(shop: Services, photos: PhotoServer, drain: Drain) -> None:
    first, dam = made(shop, photos, drain), shop.dam("shelf")
    dam.decide(first.dam_ref, APPROVED, changed_files=("a.jpg",))
    assert "changed_in_dam" in sync_from_dam(shop, "shelf", first.dam_ref)
    drain()
    assert (
        states(shop) == ["V1 in_review"] and dam.remote_states[first.dam_ref].state is VersionState.IN_REVIEW
    )
    assert any(
        h.event == "changed_in_dam" and "a.jpg" in h.detail for h in shop.history.entries(version_id=first.id)
    )


def test_a_version_is_withdrawn_from_the_dam(shop: Services, photos: PhotoServer, drain: Drain) -> None:
    first, dam = made(shop, photos, drain), shop.dam("shelf")
    dam.decide(first.dam_ref, APPROVED)
    sync_from_dam(shop, "shelf", first.dam_ref)
    drain()
    assert live(shop) == ["packshotV1"]
    dam.write_state(
        first.dam_ref, VersionState.WITHDRAWN, Decision(verdict=Verdict.REJECTED, by="bob", note="recalled")
    )
    sync_from_dam(shop, "shelf", first.dam_ref)
    drain()
    assert live(shop) == [] and states(shop) == ["V1 withdrawn"]


def test_a_dam_that_is_unreachable_is_notified_later(
    shop: Services, photos: PhotoServer, drain: Drain, clock: TestClock
) -> None:
    first, dam = made(shop, photos, drain), shop.dam("shelf")
    dam.fail_with = Unavailable("shelf", "write_state", "down")
    review.decide(
        shop, first, Decision(verdict=Verdict.REJECTED, by="ann", reasons=("colour",)), source="page"
    )
    drain()
    assert dam.remote_states[first.dam_ref].state is VersionState.IN_REVIEW
    assert [r.state for r in shop.runs.page() if r.kind is RunKind.WRITE_STATE] == [RunState.PARKED]
    clock.forward(60)
    maintenance.sweep(shop, "me")
    drain()
    assert dam.remote_states[first.dam_ref].state is VersionState.REJECTED and dam.remote_states[
        first.dam_ref
    ].decision.reasons == ("colour",)
