"""WooCommerce's REST API, and the meta data of products in which our media are recorded."""

from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.common.api_client import ApiClient

MAX_JSON_BYTES = 16_000_000
MEDIA_IDS_KEY = "_dam_connector_media"  # in a product's meta data: the ids of all pictures that we published


class WooCommerceClient(ApiClient):
    """A client of one site: of its shop (wc/v3) or of its WordPress (wp/v2)."""

    vendor = "woocommerce"


def meta_value(holder: Mapping[str, Any], key: str) -> Any:
    """Return a value of a product's meta data, or None."""
    entries = (entry for entry in holder.get("meta_data") or () if isinstance(entry, dict))
    return next((entry.get("value") for entry in entries if entry.get("key") == key), None)
