"""A product's expiry: a warning before, assets that go offline by themselves, and return with a later date."""

from datetime import timedelta

import pytest

from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.version import VersionState
from dam_connector.errors import StateConflict
from dam_connector.usecases import publish, review
from dam_connector.usecases.expiry import warn_before_expiry, withdraw_expired
from dam_connector.usecases.reconciliation import reconcile
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, chair, live, newest, send, states
from tests.support import PhotoServer, TestClock

APPROVED = Decision(verdict=Verdict.APPROVED, by="ann")
DAY_S = 86_400.0


def change(shop: Services, photos: PhotoServer, drain: Drain, message: str, **facts: str) -> None:
    send(shop, chair(photos, **facts), message=message, kind="product.updated")
    drain()


@pytest.fixture
def licensed(shop: Services, photos: PhotoServer, drain: Drain, clock: TestClock) -> Services:
    """Return a shop whose product is live, for thirty days."""
    send(shop, chair(photos, live_until=(clock.now() + timedelta(days=30)).isoformat()))
    drain()
    review.decide(shop, newest(shop), APPROVED, source="page")
    drain()
    assert live(shop) == ["packshotV1"]
    return shop


def codes(services: Services) -> list[str]:
    record = services.products.get("CH123")
    return [i.code for i in record.issues] if record else []


@pytest.mark.issue("product.expires_soon")
def test_nothing_happens_before_and_all_is_withdrawn_at_the_time(
    licensed: Services, drain: Drain, clock: TestClock
) -> None:
    first = newest(licensed)
    assert withdraw_expired(licensed) == 0 and warn_before_expiry(licensed) == 0
    clock.forward(20 * DAY_S)
    assert warn_before_expiry(licensed) == 1 and warn_before_expiry(licensed) == 0
    assert "product.expires_soon" in codes(licensed) and live(licensed) == ["packshotV1"]
    clock.forward(10 * DAY_S)
    assert withdraw_expired(licensed) == 1 and withdraw_expired(licensed) == 0
    assert licensed.assets.find_file(first.files[0].sha256, public=True) is None  # at once
    drain()
    assert live(licensed) == [] and states(licensed) == ["V1 withdrawn"]
    assert licensed.dam("shelf").remote_states["mem:CH123:packshot:1:1"].state is VersionState.WITHDRAWN
    assert not licensed.channel("shop").files_by_sku.get("CH123")
    entry = next(e for e in licensed.history.entries(sku="CH123") if e.event == "withdrawn")
    assert (entry.by, entry.detail) == ("live_until", "its product has expired")
    assert [d for d in reconcile(licensed) if d.port != "pim"] == []


def test_a_later_date_makes_it_live_again(
    licensed: Services, photos: PhotoServer, drain: Drain, clock: TestClock
) -> None:
    clock.forward(31 * DAY_S)
    withdraw_expired(licensed)
    drain()
    assert live(licensed) == []
    change(licensed, photos, drain, "later", live_until=(clock.now() + timedelta(days=365)).isoformat())
    assert live(licensed) == ["packshotV1"] and states(licensed) == ["V1 published"]
    assert "product.expires_soon" not in codes(licensed)


def test_what_a_person_withdrew_stays_so_whatever_the_date(
    licensed: Services, photos: PhotoServer, drain: Drain, clock: TestClock
) -> None:
    publish.withdraw(licensed, newest(licensed), by="ann", reason="recalled")
    drain()
    clock.forward(60)
    change(licensed, photos, drain, "no end")
    assert live(licensed) == [] and states(licensed) == ["V1 withdrawn"]


def test_nothing_of_an_expired_product_goes_live_again_by_a_decision(
    licensed: Services, drain: Drain, clock: TestClock
) -> None:
    clock.forward(31 * DAY_S)
    withdraw_expired(licensed)
    drain()
    publish.rollback(licensed, newest(licensed), by="ann")
    drain()
    assert live(licensed) == []
    withdraw_expired(licensed)
    drain()
    assert states(licensed) == ["V1 withdrawn"]
    with pytest.raises(StateConflict):
        publish.withdraw(licensed, newest(licensed), by="ann")
