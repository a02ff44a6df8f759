"""A worker that is paused while it sends, and goes on after another one took over."""

from collections.abc import Callable
from typing import Any

import pytest

from dam_connector.domain.listing import Listing
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import Version
from dam_connector.errors import Unavailable
from dam_connector.usecases import publish
from dam_connector.usecases.reconciliation import DriftKind, reconcile, repair
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, approve, live, made, states, work
from tests.support import PhotoServer
from worker.runner import advance

PAUSE_S = 60.0  # longer than the lease of a run and that of a lock


def pause_in_call(shop: Services, name: str, meanwhile: Callable[[], None], *, answered: bool = True) -> None:
    """Let the next call of a channel sleep before the channel acts on it, while other workers go on."""
    channel = shop.channel(name)
    sync = channel.sync

    def paused(listing: Listing, blobs: Any) -> str:
        channel.sync = sync  # type: ignore[method-assign]
        shop.clock.forward(PAUSE_S)  # type: ignore[attr-defined]
        meanwhile()
        url = sync(listing, blobs)
        if not answered:
            raise Unavailable(name, "publish", "the answer was lost")
        return url

    channel.sync = paused  # type: ignore[method-assign]


@pytest.fixture
def late(shop: Services, photos: PhotoServer, drain: Drain) -> Version:
    """Return an approved version whose publication is planned."""
    first = made(shop, photos, drain)
    approve(shop, first)
    return first


def publishing_run(shop: Services) -> str:
    (run,) = [r for r in shop.runs.page(state="queued") if r.kind is RunKind.PUBLISH]
    return run.id


def outside_of_the_paused_worker(shop: Services, action: Callable[[], object]) -> Callable[[], None]:
    """Return a function that acts as another process, to which no lease of the paused one matters."""

    def act() -> None:
        with shop.db.unguarded():
            action()

    return act


@pytest.mark.parametrize("answered", [True, False])
def test_an_old_listing_that_is_sent_late_is_followed_by_the_last_one(
    shop: Services, late: Version, drain: Drain, answered: bool
) -> None:
    def withdraw() -> None:
        publish.withdraw(shop, late, by="ann")
        work(shop, drain, rounds=2)
        assert live(shop) == [] and states(shop) == ["V1 withdrawn"]

    pause_in_call(shop, "shop", outside_of_the_paused_worker(shop, withdraw), answered=answered)
    advance(shop, publishing_run(shop))
    assert live(shop) == ["packshotV1"]  # the late worker's
    assert shop.publications.of_product("CH123") == []  # but not its record
    work(shop, drain, rounds=2)
    assert live(shop) == [] and states(shop) == ["V1 withdrawn"]
    assert shop.channel_listings.of_product("CH123")["shop"].synced_at
    assert not shop.runs.page(state="failed")


def test_a_late_sending_during_the_newer_one_is_corrected_too(
    shop: Services, photos: PhotoServer, late: Version, drain: Drain
) -> None:
    """The newer worker's record comes last, and does not hide that the older listing arrived."""
    older = publishing_run(shop)
    numbers: list[int] = []

    def newer_sends() -> None:
        second = made(shop, photos, drain, color="green")
        approve(shop, second)
        begin = shop.channel_listings.begin
        sent = begin("shop", "CH123", sha256="newer", folder="f", assets=[late.asset.id])
        numbers.append(sent.sequence)

    pause_in_call(shop, "shop", outside_of_the_paused_worker(shop, newer_sends))
    advance(shop, older)
    shop.channel_listings.finish("shop", "CH123", sequence=numbers[0], folder="f", assets=[], url="")
    assert shop.channel_listings.of_product("CH123")["shop"].synced_at is None
    work(shop, drain, rounds=3)
    assert live(shop) == ["packshotV2"] and states(shop) == ["V2 published", "V1 superseded"]


def test_a_late_worker_makes_no_further_request(
    shop: Services, late: Version, drain: Drain, photos: PhotoServer
) -> None:
    """Its adapter is in the midst of several requests when the lease is lost."""
    channel: Any = shop.channel("shop")
    sync, requests = channel.sync, []

    def several_requests(listing: Listing, blobs: Any) -> str:
        channel.sync = sync
        requests.append(shop.http.get(photos.url("front.jpg"), max_bytes=10**7))
        shop.clock.forward(PAUSE_S)  # type: ignore[attr-defined]
        with shop.db.unguarded():
            publish.withdraw(shop, late, by="ann")
            work(shop, drain, rounds=2)
        requests.append(shop.http.get(photos.url("front.jpg"), max_bytes=10**7))
        return "late"

    channel.sync = several_requests
    advance(shop, publishing_run(shop))
    assert len(requests) == 1 and live(shop) == []
    assert len(shop.http.get(photos.url("front.jpg"), max_bytes=10**7)) > 0  # others are not affected
    work(shop, drain, rounds=2)
    assert live(shop) == [] and states(shop) == ["V1 withdrawn"]


def test_a_reconciliation_that_was_paused_is_corrected_too(
    shop: Services, late: Version, drain: Drain
) -> None:
    drain()
    channel: Any = shop.channel("shop")
    channel.files_by_sku.clear()
    (missing,) = [d for d in reconcile(shop) if d.kind is DriftKind.MISSING]

    def withdraw() -> None:
        publish.withdraw(shop, late, by="ann")
        work(shop, drain, rounds=2)

    pause_in_call(shop, "shop", outside_of_the_paused_worker(shop, withdraw))
    with pytest.raises(Exception, match="paused for too long"):
        repair(shop, missing)
    work(shop, drain, rounds=2)
    assert live(shop) == [] and states(shop) == ["V1 withdrawn"]
