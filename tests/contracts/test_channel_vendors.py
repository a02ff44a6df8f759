"""Channels into shops where one vendor differs: proportions, types of files, merchants' orders."""

import pytest

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.errors import RateLimited, Refused
from dam_connector.ports import Blobs
from dam_connector.store.blobs import open_blobs
from tests.contracts.channels.harness import MERCHANT_MEDIA
from tests.contracts.channels.saleor import FakeSaleor
from tests.contracts.channels.shopify import FakeShopify
from tests.contracts.channels.vendure import FakeVendure
from tests.contracts.test_channels import listing, model, packshot


@pytest.fixture
def blobs(tmp_path: object) -> Blobs:
    return open_blobs(f"{tmp_path}/blobs")


def test_a_model_that_shopify_shows_in_other_proportions_is_refused(
    context: AdapterContext, blobs: Blobs
) -> None:
    shop = FakeShopify()
    shop.bounding_box = {"x": 0.4, "y": 0.4, "z": 0.9}
    with pytest.raises(Refused, match="proportions"):
        for _ in range(5):
            try:
                shop.open(context).sync(listing(model(blobs)), blobs)
            except RateLimited:
                continue
    assert shop.media_names() == MERCHANT_MEDIA
    shop.stop()


def test_a_vendure_that_refuses_usdz_is_reported_with_the_remedy(
    context: AdapterContext, blobs: Blobs
) -> None:
    shop = FakeVendure()
    # the real one looks into the file, too
    shop.do_add = lambda variables, file: {  # type: ignore[method-assign]
        "createAssets": [
            {"__typename": "MimeTypeError", "message": 'The MIME type "application/zip" is not permitted.'}
        ]
    }
    with pytest.raises(Refused, match="permittedFileTypes"):
        shop.open(context).sync(listing(model(blobs)), blobs)
    shop.stop()


def test_a_merchant_who_puts_our_picture_first_in_saleor_keeps_that_order(
    context: AdapterContext, blobs: Blobs
) -> None:
    shop = FakeSaleor()
    try:
        channel = shop.open(context)
        channel.sync(listing(packshot(blobs), packshot(blobs, slot=2)), blobs)
        shop.move_to_front(shop.media_names()[2])
        moved, writes = shop.media_names(), shop.write_count()
        channel.sync(listing(packshot(blobs), packshot(blobs, slot=2)), blobs)
        assert shop.media_names() == moved and shop.write_count() == writes
        channel.sync(listing(packshot(blobs, 2), packshot(blobs, slot=2)), blobs)
        assert [n.partition("_a1")[0] for n in shop.media_names()] == [
            "CH123_X_S1_V2",
            *MERCHANT_MEDIA,
            "CH123_X_S2_V1",
        ]
        shop.open(context, place="before").sync(listing(packshot(blobs, 2), packshot(blobs, slot=2)), blobs)
        assert shop.media_names()[0].startswith("CH123_X_S1_V2")
    finally:
        shop.stop()


def test_our_picture_that_a_merchant_of_vendure_features_is_followed_by_its_next_version(
    context: AdapterContext, blobs: Blobs
) -> None:
    shop = FakeVendure()
    try:
        channel = shop.open(context)
        channel.sync(listing(packshot(blobs)), blobs)
        shop.feature(shop.media_names()[2])
        channel.sync(listing(packshot(blobs, 2)), blobs)
        assert shop.featured_media_name() == shop.media_names()[2] == "CH123_X_S1_V2.jpg"
        channel.sync(listing(), blobs)
        assert shop.featured_media_name() == MERCHANT_MEDIA[0]
    finally:
        shop.stop()
