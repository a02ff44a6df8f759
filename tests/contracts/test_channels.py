"""Channels that are shops: the same promises for each, on servers that play them."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from dam_connector.adapters import known
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.domain.ids import AssetId
from dam_connector.domain.listing import Listing, Placement
from dam_connector.domain.version import ApprovedVersion, Role, VersionFile
from dam_connector.errors import AdapterError, BadOutput, NotFound, RateLimited, Refused, Unavailable
from dam_connector.ports import Blobs, Channel
from dam_connector.store.blobs import open_blobs
from dam_connector.wiring import Services
from tests.contracts.channels.harness import OTHER, THEIRS, PlayedShop
from tests.contracts.channels.saleor import PlayedSaleor
from tests.contracts.channels.shopify import PlayedShopify
from tests.contracts.channels.vendure import PlayedVendure
from tests.contracts.channels.woocommerce import PlayedWooCommerce
from tests.contracts.test_dam_channel_provider_blobs import a_version, approved
from tests.support import product

PLAYED: dict[str, type[PlayedShop]] = {
    each.vendor: each for each in (PlayedVendure, PlayedSaleor, PlayedWooCommerce, PlayedShopify)
}
OTHERS = ["folder", "google_merchant", "memory", "storage", "viewer", "webhook"]  # each has tests of its own


def test_every_channel_has_a_case() -> None:
    assert known("channel") == sorted([*OTHERS, *PLAYED])


@pytest.fixture
def blobs(tmp_path: object) -> Blobs:
    return open_blobs(f"{tmp_path}/blobs")


@pytest.fixture(params=list(PLAYED))
def played(request: pytest.FixtureRequest) -> Iterator[PlayedShop]:
    shop = PLAYED[request.param]()
    yield shop
    shop.stop()


@pytest.fixture
def channel(played: PlayedShop, kit: AdapterContext) -> Channel:
    return played.opened(kit)


def model(blobs: Blobs, number: int = 1) -> ApprovedVersion:
    return approved(a_version(blobs, b"glTF" + bytes([number]) * 60, number))


def packshot(blobs: Blobs, number: int = 1, slot: int = 1) -> ApprovedVersion:
    """A picture in two formats, of which shops take the first."""
    version = a_version(blobs, b"", number)
    files = [
        VersionFile(
            name=f"CH123_X_S{slot}_V{number}.{extension}",
            format=format,
            role=Role.PRIMARY,
            view="",
            mime=f"image/{format}",
            sha256=blobs.put(head + bytes([number, slot]) * 40),
            bytes=84,
        )
        for format, extension, head in (("jpeg", "jpg", b"\xff\xd8\xff"), ("webp", "webp", b"RIFF"))
    ]
    asset = replace(
        version.asset, id=AssetId(f"ast_p{slot}"), deliverable="packshot", slot=slot, kind="image"
    )
    return approved(replace(version, files=tuple(files), asset=asset))


def listing(*versions: ApprovedVersion, sku: str = "CH123") -> Listing:
    def placed(each: ApprovedVersion) -> Placement:
        links = {f.name: f"https://dam.example/files/{f.sha256}/{f.name}" for f in each.version.files}
        return Placement(approved=each, alt_text="Chair, oak", links=links)

    return Listing(
        product=product(sku),
        folder="decor/CH123",
        page_url="https://dam.example/ar/CH123",
        placements=tuple(map(placed, versions)),
    )


def ours(played: PlayedShop) -> list[str]:
    return [name for name in played.shown() if name not in THEIRS]


def test_ours_stand_behind_theirs_in_the_listing_s_order(
    played: PlayedShop, channel: Channel, blobs: Blobs, settle: Callable
) -> None:
    wanted = listing(packshot(blobs), packshot(blobs, slot=2), model(blobs))
    assert settle(channel, wanted).startswith(("http", "/"))
    assert played.shown()[:2] == THEIRS and played.first() == THEIRS[0]
    assert len(ours(played)) == (2 if played.links_models else 3)
    first = next(name for name in ours(played) if not name.endswith("glb"))
    assert played.bytes_of(first) == blobs.get(wanted.placements[0].approved.version.files[0].sha256)
    link = wanted.placements[2].links["CH123_X_V1_GLB.glb"]
    assert played.links() == ([link] if played.links_models else [])
    assert sorted(channel.live(wanted)) == sorted(channel.wanted(wanted)) and len(channel.live(wanted)) == 3


@pytest.fixture
def settle(blobs: Blobs) -> Callable[[Channel, Listing], str]:
    """Sync, as often as the shop asks for more time."""

    def run(channel: Channel, wanted: Listing) -> str:
        for _ in range(100):
            try:
                return channel.sync(wanted, blobs)
            except RateLimited as error:
                time.sleep(0.02 if error.vendor == "connector" else 0)
        raise AssertionError("it never settled")

    return run


def test_the_same_again_changes_nothing(
    played: PlayedShop, channel: Channel, blobs: Blobs, settle: Callable
) -> None:
    wanted = listing(packshot(blobs), model(blobs))
    address = settle(channel, wanted)
    before, writes = played.shown(), played.writes()
    assert settle(channel, wanted) == address
    assert (played.shown(), played.writes()) == (before, writes)


def test_the_next_version_takes_the_place_of_the_one_before(
    played: PlayedShop, channel: Channel, blobs: Blobs, settle: Callable
) -> None:
    settle(channel, listing(packshot(blobs), packshot(blobs, slot=2), model(blobs)))
    count = len(ours(played))
    wanted = listing(packshot(blobs, 2), packshot(blobs, slot=2), model(blobs, 2))
    settle(channel, wanted)
    assert played.shown()[:2] == THEIRS and len(ours(played)) == count
    assert set(channel.live(wanted)) >= {"CH123_X_V2_GLB.glb"} and len(channel.live(wanted)) == 3
    stored = {played.bytes_of(name) for name in ours(played) if not name.endswith("glb")}
    assert blobs.get(packshot(blobs).version.files[0].sha256) not in stored
    settle(channel, listing(packshot(blobs), packshot(blobs, slot=2), model(blobs)))  # and back again
    assert played.shown()[:2] == THEIRS and len(ours(played)) == count


def test_what_is_no_longer_listed_is_taken_off_and_theirs_stay(
    played: PlayedShop, channel: Channel, blobs: Blobs, settle: Callable
) -> None:
    settle(channel, listing(packshot(blobs), model(blobs)))
    settle(channel, listing())
    assert played.shown() == THEIRS and played.first() == THEIRS[0] and played.links() == []
    assert channel.live(listing()) == ()


def test_variants_of_one_product_keep_to_themselves(
    played: PlayedShop, channel: Channel, blobs: Blobs, settle: Callable
) -> None:
    played.split()
    first, second = (
        listing(packshot(blobs), model(blobs)),
        listing(packshot(blobs, 3), model(blobs, 3), sku=OTHER),
    )
    settle(channel, first)
    settle(channel, second)
    assert played.shown()[:2] == THEIRS
    assert sorted(channel.live(first)) == sorted(channel.wanted(first)) and sorted(
        channel.live(second)
    ) == sorted(channel.wanted(second))
    assert {played.bytes_of(n) for n in played.shown_at(OTHER)} >= {
        blobs.get(second.placements[0].approved.version.files[0].sha256)
    }
    settle(channel, listing())
    assert channel.live(listing()) == () and sorted(channel.live(second)) == sorted(channel.wanted(second))
    settle(channel, listing(sku=OTHER))
    assert played.shown() == THEIRS and played.links() == []


@pytest.mark.parametrize(
    "name", ["woocommerce", "saleor", "shopify"]
)  # where variants share the product's media
def test_two_variants_that_are_published_at_once_do_not_write_over_each_other(
    name: str, kit: AdapterContext, blobs: Blobs, services: Services, settle: Callable
) -> None:
    shop = PLAYED[name]()
    shop.split()
    answer = shop.answer
    shop.answer = lambda request, operation: (time.sleep(0.02), answer(request, operation))[1]  # type: ignore[method-assign]  # time to meet
    channel = shop.opened(replace(kit, turn=services.ledger.turn))
    wanted = [listing(packshot(blobs)), listing(packshot(blobs, 3), sku=OTHER)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda each: settle(channel, each), wanted))
    for each in wanted:
        assert channel.live(each) == channel.wanted(each)
    assert shop.shown()[:2] == THEIRS and len(ours(shop)) == 2
    shop.stop()


def test_ours_may_stand_first(played: PlayedShop, kit: AdapterContext, blobs: Blobs, settle: Callable) -> None:
    settle(played.opened(kit, place="before"), listing(packshot(blobs)))
    assert played.shown()[1:] == THEIRS


@pytest.mark.parametrize("lost", range(8))
def test_a_lost_answer_never_doubles_anything(
    played: PlayedShop, channel: Channel, blobs: Blobs, lost: int, settle: Callable
) -> None:
    first, second = listing(packshot(blobs), model(blobs)), listing(packshot(blobs, 2), model(blobs, 2))
    for wanted in (first, second):
        played.faults["write"] = [*[""] * lost, "lost"]
        try:
            settle(channel, wanted)
        except Unavailable:
            settle(channel, wanted)
        played.faults["write"] = []
        assert played.shown()[:2] == THEIRS and len(ours(played)) == (1 if played.links_models else 2)
        assert len(channel.live(wanted)) == 2


def test_a_product_that_the_shop_does_not_have_is_not_found(channel: Channel, blobs: Blobs) -> None:
    with pytest.raises(NotFound, match="NO-SUCH"):
        channel.sync(listing(packshot(blobs), sku="NO-SUCH"), blobs)
    channel.sync(listing(sku="NO-SUCH"), blobs)  # nothing to take off
    assert channel.live(listing(sku="NO-SUCH")) == ()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("429", RateLimited),
        ("500", Unavailable),
        ("403", Refused),
        ("closed", Unavailable),
        ("slow", Unavailable),
        ("no json", BadOutput),
        ("lost", Unavailable),
    ],
)
def test_every_failure_says_what_to_do_next(
    played: PlayedShop, channel: Channel, blobs: Blobs, fault: str, error: type[AdapterError]
) -> None:
    channel.live(listing())
    played.faults["read"] = [fault]
    with pytest.raises(error) as told:
        channel.sync(listing(packshot(blobs)), blobs)
    assert told.value.vendor == played.vendor and "key_fake" not in str(told.value)


def test_a_model_that_shopify_shows_in_other_proportions_is_refused(kit: AdapterContext, blobs: Blobs) -> None:
    shop = PlayedShopify()
    shop.box = {"x": 0.4, "y": 0.4, "z": 0.9}
    with pytest.raises(Refused, match="proportions"):
        for _ in range(5):
            try:
                shop.opened(kit).sync(listing(model(blobs)), blobs)
            except RateLimited:
                continue
    assert shop.shown() == THEIRS
    shop.stop()


def test_a_usdz_that_a_vendure_does_not_take_is_told_with_the_remedy(kit: AdapterContext, blobs: Blobs) -> None:
    shop = PlayedVendure()
    shop.do_add = lambda said, file: {  # type: ignore[method-assign]  # as the real one: it looks into the file
        "createAssets": [
            {"__typename": "MimeTypeError", "message": 'The MIME type "application/zip" is not permitted.'}
        ]
    }
    with pytest.raises(Refused, match="permittedFileTypes"):
        shop.opened(kit).sync(listing(model(blobs)), blobs)
    shop.stop()


@pytest.mark.parametrize("fault", ["lost", "500", "closed"])
def test_a_storage_of_shopify_that_does_not_answer_is_tried_again(
    kit: AdapterContext, blobs: Blobs, settle: Callable, fault: str
) -> None:
    shop = PlayedShopify()
    shop.faults["storage"] = [fault]
    with pytest.raises(Unavailable, match="storage"):
        settle(shop.opened(kit), listing(model(blobs)))
    settle(shop.opened(kit), listing(model(blobs)))
    assert len(ours(shop)) == 1
    shop.stop()
