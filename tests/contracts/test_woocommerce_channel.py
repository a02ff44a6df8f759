"""WooCommerce as a channel: a merchant's own order, deleted variations, pictures removed by hand."""

from collections.abc import Iterator

import pytest

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.errors import Unavailable
from dam_connector.ports import Blobs
from dam_connector.store.blobs import open_blobs
from tests.contracts.channels.harness import OTHER_SKU, SKU
from tests.contracts.channels.woocommerce import FakeWooCommerce
from tests.contracts.test_channels import listing, packshot


@pytest.fixture
def blobs(tmp_path: object) -> Blobs:
    return open_blobs(f"{tmp_path}/blobs")


@pytest.fixture
def shop() -> Iterator[FakeWooCommerce]:
    found = FakeWooCommerce()
    yield found
    found.stop()


def test_a_merchants_own_order_stays_and_a_new_version_takes_the_place_of_the_old_one(
    shop: FakeWooCommerce, context: AdapterContext, blobs: Blobs
) -> None:
    channel = shop.open(context)
    channel.sync(listing(packshot(blobs), packshot(blobs, slot=2)), blobs)
    first, second = shop.product["images"][2:]
    shop.product["images"] = [first, 2, 1, second]  # on the product's page in the shop
    writes = shop.write_count()
    channel.sync(listing(packshot(blobs), packshot(blobs, slot=2)), blobs)
    assert shop.product["images"] == [first, 2, 1, second]
    channel.sync(listing(packshot(blobs), packshot(blobs, slot=2)), blobs)
    assert shop.write_count() <= writes + 1  # the order by rule is noted once
    channel.sync(listing(packshot(blobs, 2), packshot(blobs, slot=2), packshot(blobs, slot=3)), blobs)
    expected = ["CH123_X_S1_V2.jpg", "b.jpg", "a.jpg", "CH123_X_S2_V1.jpg", "CH123_X_S3_V1.jpg"]
    assert shop.media_names() == expected


def test_the_option_place_counts_where_no_merchant_moved_anything(
    shop: FakeWooCommerce, context: AdapterContext, blobs: Blobs
) -> None:
    shop.open(context).sync(listing(packshot(blobs)), blobs)
    shop.open(context, place="before").sync(listing(packshot(blobs)), blobs)
    assert shop.media_names() == ["CH123_X_S1_V1.jpg", "a.jpg", "b.jpg"]


def test_the_pictures_of_a_deleted_variation_are_removed_everywhere(
    shop: FakeWooCommerce, context: AdapterContext, blobs: Blobs
) -> None:
    shop.add_second_variant()
    channel = shop.open(context)
    channel.sync(listing(packshot(blobs)), blobs)
    channel.sync(listing(packshot(blobs, 3), sku=OTHER_SKU), blobs)
    shop.variants.remove(OTHER_SKU)
    channel.sync(listing(sku=OTHER_SKU), blobs)
    assert shop.media_names() == ["a.jpg", "b.jpg", "CH123_X_S1_V1.jpg"] and len(shop.media) == 3
    assert list(shop.product["meta"]["_dam_connector_files"]) == [SKU]
    channel.sync(listing(packshot(blobs, 2)), blobs)  # and the other variation goes on
    assert shop.media_names() == ["a.jpg", "b.jpg", "CH123_X_S1_V2.jpg"]


def test_the_pictures_of_a_product_that_is_deleted_for_good_are_removed_from_the_library(
    shop: FakeWooCommerce, context: AdapterContext, blobs: Blobs
) -> None:
    channel = shop.open(context)
    channel.sync(listing(packshot(blobs)), blobs)
    shop.product = {**shop.product, "id": 99, "sku": "another"}
    shop.variants = {"another"}
    channel.sync(listing(), blobs)
    assert set(shop.media) == {1, 2}


def test_a_picture_of_ours_that_somebody_deleted_comes_back_and_stops_nobody(
    shop: FakeWooCommerce, context: AdapterContext, blobs: Blobs
) -> None:
    shop.add_second_variant()
    channel = shop.open(context)
    channel.sync(listing(packshot(blobs)), blobs)
    channel.sync(listing(packshot(blobs, 3), sku=OTHER_SKU), blobs)
    for id in shop.product["images"][2:]:
        del shop.media[id]
    shop.product["images"] = [1, 2]
    channel.sync(listing(packshot(blobs)), blobs)
    channel.sync(listing(packshot(blobs, 3), sku=OTHER_SKU), blobs)
    assert shop.media_names()[:3] == ["a.jpg", "b.jpg", "CH123_X_S1_V1.jpg"] and len(shop.media_names()) == 4


def test_a_picture_that_a_failed_attempt_left_is_removed_with_the_others(
    shop: FakeWooCommerce, context: AdapterContext, blobs: Blobs
) -> None:
    channel = shop.open(context)
    shop.faults["write"] = ["", "500"]  # the picture is stored, the product is not written
    with pytest.raises(Unavailable):
        channel.sync(listing(packshot(blobs)), blobs)
    assert len(shop.media) == 3
    channel.sync(listing(), blobs)
    assert set(shop.media) == {1, 2}
