"""Google Merchant Center, as a channel: a supplemental feed at /feeds/CONNECTION.xml, which Google fetches.

Option: `lifestyle`, the deliverables whose pictures go into lifestyle_image_link. The feed itself is
served by `web/google_feed.py` from our own records. Facts: docs/connections/google_merchant.md.
"""

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.domain.listing import SHOP_VIDEO_FORMATS, Listing, media_files
from dam_connector.errors import Refused
from dam_connector.ports import Blobs

MAX_EXTRA_IMAGES = 10  # Google's limit of additional_image_link
MAX_VIDEOS = 10  # of video_link: support.google.com/merchants/answer/15216925
MAX_MODEL_BYTES = 15_728_640  # of virtual_model_link: support.google.com/merchants/answer/13674896


class GoogleMerchantChannel:
    """A `Channel` that checks sizes; a version is live as soon as its publication is recorded."""

    def __init__(self, feed_url: str) -> None:
        self._feed_url = feed_url

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        for media in media_files(listing, model_formats=("glb",)):
            if media.is_model and media.file.bytes > MAX_MODEL_BYTES:
                raise Refused(
                    "google_merchant",
                    "publish",
                    f"{media.name} has {media.file.bytes} bytes; virtual_model_link takes {MAX_MODEL_BYTES}",
                )
        return self._feed_url

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        return self.expected_files(listing)

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        return listing.file_names


def feed_entry(listing: Listing, lifestyle: set[str]) -> str:
    """Return the element of one product in the feed.

    Args:
        listing: what is live of it.
        lifestyle: deliverables whose pictures show the product in a room.
    """
    media = list(media_files(listing, model_formats=("glb",), video_formats=SHOP_VIDEO_FORMATS))
    pictures = [m for m in media if not m.is_model and not m.is_video]
    plain = [m.link for m in pictures if m.deliverable not in lifestyle]
    rooms = [m.link for m in pictures if m.deliverable in lifestyle]
    tags: list[tuple[str, str]] = [("id", listing.product.sku)]
    tags += [("image_link", link) for link in plain[:1]]
    tags += [("additional_image_link", link) for link in plain[1 : MAX_EXTRA_IMAGES + 1]]
    tags += [("lifestyle_image_link", link) for link in rooms[:MAX_EXTRA_IMAGES]]
    tags += [("video_link", m.link) for m in media if m.is_video][:MAX_VIDEOS]
    tags += [("virtual_model_link", m.link) for m in media if m.is_model][:1]
    return "<item>" + "".join(f"<g:{name}>{escape(value)}</g:{name}>" for name, value in tags) + "</item>\n"


def connect(options: Mapping[str, Any], context: AdapterContext) -> GoogleMerchantChannel:
    """Open the adapter."""
    check_options(options, "lifestyle")
    return GoogleMerchantChannel(f"{context.public_url}/feeds/{context.name}.xml")
