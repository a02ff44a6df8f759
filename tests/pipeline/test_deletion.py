"""A product that its PIM deletes goes offline, unless plugin.json keeps it, and returns when it is back."""

import json
from typing import Any

import pytest

from dam_connector.domain.version import VersionState
from dam_connector.errors import StateConflict
from dam_connector.usecases import publish, review
from dam_connector.usecases.expiry import withdraw_deleted
from dam_connector.usecases.reconciliation import reconcile, repair
from dam_connector.wiring import Services
from tests.pipeline.helpers import APPROVED, Drain, Rules, approve, chair, live, made, newest, send, states
from tests.support import PhotoServer


@pytest.fixture
def sold(shop: Services, photos: PhotoServer, drain: Drain) -> Services:
    """Return a shop with a live version of a product."""
    approve(shop, made(shop, photos, drain))
    drain()
    assert live(shop) == ["packshotV1"]
    return shop


def delete(services: Services, drain: Drain) -> None:
    services.clock.forward(5)  # type: ignore[attr-defined]
    send(services, {"sku": "CH123"}, message="msg_deleted", kind="product.deleted")
    drain()


def test_the_assets_of_a_deleted_product_go_offline(sold: Services, drain: Drain) -> None:
    assert withdraw_deleted(sold) == 0
    delete(sold, drain)
    assert withdraw_deleted(sold) == 1 and withdraw_deleted(sold) == 0
    drain()
    assert live(sold) == [] and states(sold) == ["V1 withdrawn"]
    dam: Any = sold.dam("shelf")
    assert dam.remote_states["mem:CH123:packshot:1:1"].state is VersionState.WITHDRAWN
    entry = next(e for e in sold.history.entries(sku="CH123") if e.event == "withdrawn")
    assert (entry.by, entry.detail) == ("deletion", "its product was deleted in the PIM")
    assert [d for d in reconcile(sold) if d.port != "pim"] == []


def test_they_are_live_again_when_the_product_comes_back(
    sold: Services, photos: PhotoServer, drain: Drain
) -> None:
    delete(sold, drain)
    withdraw_deleted(sold)
    drain()
    sold.clock.forward(5)  # type: ignore[attr-defined]
    send(sold, chair(photos, color="red"), message="msg_back")
    drain()
    assert live(sold) == ["packshotV1"] and withdraw_deleted(sold) == 0


def test_they_stay_live_if_the_rules_say_so(sold: Services, drain: Drain, write_rules: Rules) -> None:
    rules = json.loads(sold.settings.plugin_json.read_text())
    write_rules(**{**rules, "products": {**rules.get("products", {}), "on_delete": "keep"}})
    delete(sold, drain)
    assert withdraw_deleted(sold) == 0 and live(sold) == ["packshotV1"]
    publish.withdraw(sold, newest(sold), by="ann")
    publish.rollback(sold, newest(sold), by="ann")
    drain()
    assert live(sold) == ["packshotV1"] and states(sold) == ["V1 published"]


def test_nothing_of_a_deleted_product_is_approved(shop: Services, photos: PhotoServer, drain: Drain) -> None:
    first = made(shop, photos, drain)
    delete(shop, drain)
    with pytest.raises(StateConflict, match="deleted in its PIM"):
        review.decide(shop, first, APPROVED, source="page")
    assert states(shop) == ["V1 in_review"]


def test_a_product_that_is_back_before_the_withdrawal_stays_live(
    sold: Services, photos: PhotoServer, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete(sold, drain)
    found = sold.assets.of_deleted_products(10)
    sold.clock.forward(5)  # type: ignore[attr-defined]
    send(sold, chair(photos, color="red"), message="msg_back")
    drain()
    monkeypatch.setattr(sold.assets, "of_deleted_products", lambda limit: found)
    assert withdraw_deleted(sold) == 0 and live(sold) == ["packshotV1"]


def test_what_a_channel_still_has_of_a_deleted_product_is_removed(sold: Services, drain: Drain) -> None:
    delete(sold, drain)
    withdraw_deleted(sold)
    drain()
    channel: Any = sold.channel("shop")
    channel.files_by_sku["CH123"] = {"CH123_Chair_packshot_V1_JPEG.jpg": b""}
    (found,) = [d for d in reconcile(sold) if d.port == "channel"]
    assert found.kind == "orphaned"
    repair(sold, found)
    assert live(sold) == []
