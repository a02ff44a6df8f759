"""Shops as channels: the contract of the `Channel` port for each, on fake servers."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from dam_connector.adapters import adapter_names
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.domain.ids import AssetId
from dam_connector.domain.listing import Listing, Placement
from dam_connector.domain.version import ApprovedVersion, Role, VersionFile
from dam_connector.errors import AdapterError, BadOutput, NotFound, RateLimited, Refused, Unavailable
from dam_connector.fakes.server import FakeRequest
from dam_connector.ports import Blobs, Channel, ShowsPictures
from dam_connector.store.blobs import open_blobs
from dam_connector.wiring import Services
from tests.contracts.channels.harness import MERCHANT_MEDIA, OTHER_SKU, FakeChannel
from tests.contracts.channels.saleor import FakeSaleor
from tests.contracts.channels.shopify import FakeShopify
from tests.contracts.channels.vendure import FakeVendure
from tests.contracts.channels.woocommerce import FakeWooCommerce
from tests.contracts.test_dam_channel_provider_blobs import a_version, approved
from tests.support import product

FAKES: dict[str, type[FakeChannel]] = {
    each.vendor: each for each in (FakeVendure, FakeSaleor, FakeWooCommerce, FakeShopify)
}
OTHERS = ["folder", "google_merchant", "memory", "storage", "viewer", "webhook"]  # each has tests of its own


def test_every_channel_has_a_case() -> None:
    assert adapter_names("channel") == sorted([*OTHERS, *FAKES])


@pytest.fixture
def blobs(tmp_path: object) -> Blobs:
    return open_blobs(f"{tmp_path}/blobs")


@pytest.fixture(params=list(FAKES))
def server(request: pytest.FixtureRequest) -> Iterator[FakeChannel]:
    shop = FAKES[request.param]()
    yield shop
    shop.stop()


@pytest.fixture
def channel(server: FakeChannel, context: AdapterContext) -> Channel:
    return server.open(context)


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


def turntable(blobs: Blobs) -> ApprovedVersion:
    """A turntable as an animated picture and as a video."""
    clip = packshot(blobs)
    files = [
        replace(
            clip.version.files[0],
            name=f"CH123_Clip_V1_{format.upper()}.{format}",
            format=format,
            mime=mime,
            sha256=blobs.put(b"\xff\xd8" + format.encode() * 40),
        )
        for format, mime in (("webp", "image/webp"), ("mp4", "video/mp4"))
    ]
    return approved(replace(clip.version, files=tuple(files)))


def listing(*versions: ApprovedVersion, sku: str = "CH123", alt: str = "Chair, oak") -> Listing:
    def placed(each: ApprovedVersion) -> Placement:
        links = {f.name: f"https://dam.example/files/{f.sha256}/{f.name}" for f in each.version.files}
        return Placement(approved=each, alt_text=alt, links=links)

    return Listing(
        product=product(sku),
        folder="decor/CH123",
        page_url="https://dam.example/ar/CH123",
        placements=tuple(map(placed, versions)),
    )


def ours(server: FakeChannel) -> list[str]:
    return [name for name in server.media_names() if name not in MERCHANT_MEDIA]


def test_our_media_follow_the_shop_s_in_the_order_of_the_listing(
    server: FakeChannel, channel: Channel, blobs: Blobs, settle: Callable
) -> None:
    wanted = listing(packshot(blobs), packshot(blobs, slot=2), model(blobs))
    assert settle(channel, wanted).startswith(("http", "/"))
    assert server.media_names()[:2] == MERCHANT_MEDIA and server.featured_media_name() == MERCHANT_MEDIA[0]
    assert len(ours(server)) == (2 if server.has_model_links else 3)
    first = next(name for name in ours(server) if not name.endswith("glb"))
    assert server.stored_bytes(first) == blobs.get(wanted.placements[0].approved.version.files[0].sha256)
    link = wanted.placements[2].links["CH123_X_V1_GLB.glb"]
    assert server.model_links() == ([link] if server.has_model_links else [])
    assert (
        sorted(channel.live_files(wanted)) == sorted(channel.expected_files(wanted))
        and len(channel.live_files(wanted)) == 3
    )


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
    server: FakeChannel, channel: Channel, blobs: Blobs, settle: Callable
) -> None:
    wanted = listing(packshot(blobs), model(blobs))
    address = settle(channel, wanted)
    before, writes = server.media_names(), server.write_count()
    assert settle(channel, wanted) == address
    assert (server.media_names(), server.write_count()) == (before, writes)


def test_a_changed_alt_text_is_written_to_the_media_that_are_there(
    server: FakeChannel, channel: Channel, blobs: Blobs, settle: Callable[[Channel, Listing], str]
) -> None:
    settle(channel, listing(packshot(blobs), packshot(blobs, slot=2)))
    names, writes = server.media_names(), server.write_count()
    wanted = listing(packshot(blobs), packshot(blobs, slot=2), alt="Stuhl, Eiche")
    settle(channel, wanted)
    if server.has_alt_texts:
        assert server.alt_texts() == ["", "", "Stuhl, Eiche", "Stuhl, Eiche"]
        assert server.write_count() > writes
        writes = server.write_count()
    settle(channel, wanted)
    assert server.write_count() == writes and server.media_names() == names


def test_the_next_version_takes_the_place_of_the_one_before(
    server: FakeChannel, channel: Channel, blobs: Blobs, settle: Callable
) -> None:
    settle(channel, listing(packshot(blobs), packshot(blobs, slot=2), model(blobs)))
    count = len(ours(server))
    wanted = listing(packshot(blobs, 2), packshot(blobs, slot=2), model(blobs, 2))
    settle(channel, wanted)
    assert server.media_names()[:2] == MERCHANT_MEDIA and len(ours(server)) == count
    assert set(channel.live_files(wanted)) >= {"CH123_X_V2_GLB.glb"} and len(channel.live_files(wanted)) == 3
    stored = {server.stored_bytes(name) for name in ours(server) if not name.endswith("glb")}
    assert blobs.get(packshot(blobs).version.files[0].sha256) not in stored
    settle(channel, listing(packshot(blobs), packshot(blobs, slot=2), model(blobs)))  # and back again
    assert server.media_names()[:2] == MERCHANT_MEDIA and len(ours(server)) == count


def test_what_is_no_longer_listed_is_taken_off_and_theirs_stay(
    server: FakeChannel, channel: Channel, blobs: Blobs, settle: Callable
) -> None:
    settle(channel, listing(packshot(blobs), model(blobs)))
    settle(channel, listing())
    assert (
        server.media_names() == MERCHANT_MEDIA
        and server.featured_media_name() == MERCHANT_MEDIA[0]
        and server.model_links() == []
    )
    assert channel.live_files(listing()) == ()


def test_variants_of_one_product_keep_to_themselves(
    server: FakeChannel, channel: Channel, blobs: Blobs, settle: Callable
) -> None:
    server.add_second_variant()
    first, second = (
        listing(packshot(blobs), model(blobs)),
        listing(packshot(blobs, 3), model(blobs, 3), sku=OTHER_SKU),
    )
    settle(channel, first)
    settle(channel, second)
    assert server.media_names()[:2] == MERCHANT_MEDIA
    assert sorted(channel.live_files(first)) == sorted(channel.expected_files(first)) and sorted(
        channel.live_files(second)
    ) == sorted(channel.expected_files(second))
    assert {server.stored_bytes(n) for n in server.variant_media_names(OTHER_SKU)} >= {
        blobs.get(second.placements[0].approved.version.files[0].sha256)
    }
    settle(channel, listing())
    assert channel.live_files(listing()) == () and sorted(channel.live_files(second)) == sorted(
        channel.expected_files(second)
    )
    settle(channel, listing(sku=OTHER_SKU))
    assert server.media_names() == MERCHANT_MEDIA and server.model_links() == []


def test_what_was_published_for_a_variant_that_is_gone_is_removed(
    server: FakeChannel, channel: Channel, blobs: Blobs, settle: Callable
) -> None:
    server.add_second_variant()
    first = listing(packshot(blobs), model(blobs))
    settle(channel, first)
    settle(channel, listing(packshot(blobs, 3), model(blobs, 3), sku=OTHER_SKU))
    server.remove_variant(OTHER_SKU)
    parent = replace(product(OTHER_SKU), parent="gid://shopify/Product/1")  # as the PIM said
    gone = replace(listing(sku=OTHER_SKU), product=parent)
    settle(channel, gone)
    left = [n for n in server.media_names() if n not in MERCHANT_MEDIA and "_V3" in n]
    assert left == [] and channel.live_files(gone) == ()
    assert sorted(channel.live_files(first)) == sorted(channel.expected_files(first))
    assert server.media_names()[:2] == MERCHANT_MEDIA


@pytest.mark.parametrize(
    "name", ["woocommerce", "saleor", "shopify"]
)  # where variants share the product's media
def test_two_variants_that_are_published_at_once_do_not_write_over_each_other(
    name: str, context: AdapterContext, blobs: Blobs, services: Services, settle: Callable
) -> None:
    shop = FAKES[name]()
    shop.add_second_variant()
    answer = shop.answer

    def slow_answer(request: FakeRequest, operation: str) -> object:
        time.sleep(0.02)  # so that the two runs overlap
        return answer(request, operation)

    shop.answer = slow_answer  # type: ignore[method-assign]
    channel = shop.open(replace(context, lock=services.locks.lock))
    wanted = [listing(packshot(blobs)), listing(packshot(blobs, 3), sku=OTHER_SKU)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda each: settle(channel, each), wanted))
    for each in wanted:
        assert channel.live_files(each) == channel.expected_files(each)
    assert shop.media_names()[:2] == MERCHANT_MEDIA and len(ours(shop)) == 2
    shop.stop()


def test_our_media_can_be_first(
    server: FakeChannel, context: AdapterContext, blobs: Blobs, settle: Callable
) -> None:
    settle(server.open(context, place="before"), listing(packshot(blobs)))
    assert server.media_names()[1:] == MERCHANT_MEDIA


@pytest.mark.parametrize("lost", range(8))
def test_a_lost_answer_never_doubles_anything(
    server: FakeChannel, channel: Channel, blobs: Blobs, lost: int, settle: Callable
) -> None:
    first, second = listing(packshot(blobs), model(blobs)), listing(packshot(blobs, 2), model(blobs, 2))
    for wanted in (first, second):
        server.faults["write"] = [*[""] * lost, "lost"]
        try:
            settle(channel, wanted)
        except Unavailable:
            settle(channel, wanted)
        server.faults["write"] = []
        assert server.media_names()[:2] == MERCHANT_MEDIA and len(ours(server)) == (
            1 if server.has_model_links else 2
        )
        assert len(channel.live_files(wanted)) == 2


def test_a_product_that_the_shop_does_not_have_is_not_found(channel: Channel, blobs: Blobs) -> None:
    with pytest.raises(NotFound, match="NO-SUCH"):
        channel.sync(listing(packshot(blobs), sku="NO-SUCH"), blobs)
    channel.sync(listing(sku="NO-SUCH"), blobs)  # nothing to take off
    assert channel.live_files(listing(sku="NO-SUCH")) == ()


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
    server: FakeChannel, channel: Channel, blobs: Blobs, fault: str, error: type[AdapterError]
) -> None:
    channel.live_files(listing())
    server.faults["read"] = [fault]
    with pytest.raises(error) as told:
        channel.sync(listing(packshot(blobs)), blobs)
    assert told.value.vendor == server.vendor and "key_fake" not in str(told.value)


def test_a_turntable_goes_as_a_video_where_videos_are_taken(
    server: FakeChannel, channel: Channel, blobs: Blobs, settle: Callable[[Channel, Listing], str]
) -> None:
    """Elsewhere it goes as its animated picture."""
    both = turntable(blobs)
    settle(channel, listing(both))
    taken = next(
        f for f in both.version.files if f.format == ("mp4" if server.vendor == "shopify" else "webp")
    )
    assert channel.live_files(listing(both)) == (taken.name,) == channel.expected_files(listing(both))
    assert server.stored_bytes(server.media_names()[-1]) == blobs.get(taken.sha256)


@pytest.mark.parametrize("fault", ["lost", "500", "closed"])
def test_a_storage_of_shopify_that_does_not_answer_is_tried_again(
    context: AdapterContext, blobs: Blobs, settle: Callable, fault: str
) -> None:
    shop = FakeShopify()
    shop.faults["storage"] = [fault]
    with pytest.raises(Unavailable, match="storage"):
        settle(shop.open(context), listing(model(blobs)))
    settle(shop.open(context), listing(model(blobs)))
    assert len(ours(shop)) == 1
    shop.stop()


def test_a_shop_s_own_pictures_are_told_from_ours(
    server: FakeChannel, channel: Channel, blobs: Blobs, settle: Callable[[Channel, Listing], str]
) -> None:
    assert isinstance(channel, ShowsPictures)
    settle(channel, listing(packshot(blobs), model(blobs)))
    assert [each.name for each in channel.own_pictures("CH123")] == MERCHANT_MEDIA
    assert all(each.url for each in channel.own_pictures("CH123"))
    with pytest.raises(NotFound):
        channel.own_pictures("NO-SUCH-SKU")


@pytest.mark.parametrize("name", ["woocommerce", "saleor", "shopify"])
def test_a_variant_s_own_picture_comes_before_those_of_its_product(
    name: str, context: AdapterContext
) -> None:
    """Else the picture of another colour would be adopted for it."""
    server = FAKES[name]()
    server.add_second_variant()
    server.show_own_picture(OTHER_SKU)
    channel = server.open(context)
    assert isinstance(channel, ShowsPictures)
    assert [each.name for each in channel.own_pictures(OTHER_SKU)] == ["b.jpg", "a.jpg"]
    server.stop()
