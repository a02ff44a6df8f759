"""Our own AR page: a version is live there as soon as its publication is recorded; the page reads our records."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from dam_connector.adapters.kit import Kit, only
from dam_connector.catalog.product import Product
from dam_connector.catalog.version import ApprovedVersion, Version
from dam_connector.errors import Refused
from dam_connector.ports import Blobs


class Viewer:
    """Serves published files at /ar/SKU and by content hash."""

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url

    def publish(self, approved: ApprovedVersion, product: Product, folder: str, blobs: Blobs) -> str:
        for name, sha256 in approved.files_sha256.items():
            if not blobs.has(sha256):
                raise Refused("viewer", "publish", f"the bytes of {name} are not in storage")
        return f"{self._public_url}/ar/{quote(product.sku)}"

    def withdraw(self, version: Version, product: Product, folder: str) -> None:
        """Nothing to take away: without a publication record the page is gone."""


def connect(options: Mapping[str, Any], kit: Kit) -> Viewer:
    only(options)
    return Viewer(kit.public_url)
