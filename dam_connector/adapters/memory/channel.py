"""A channel in memory, for tests of everything behind the `Channel` port. It has no options."""

from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.adapters.memory import FailsOnce
from dam_connector.domain.listing import Listing
from dam_connector.errors import NotFound
from dam_connector.ports import Blobs, ShopPicture


class MemoryChannel(FailsOnce):
    """A `Channel` whose live files are in `files_by_sku`."""

    def __init__(self) -> None:
        super().__init__()
        self.files_by_sku: dict[
            str, dict[str, bytes]
        ] = {}  # SKU -> file name -> bytes, in the listing's order
        self.own: dict[str, dict[str, bytes]] = {}  # SKU -> file name -> bytes, of the shop's own pictures

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        self._raise_failure()
        files = [f for p in listing.placements for f in p.approved.version.channel_files]
        self.files_by_sku[listing.product.sku] = {f.name: blobs.get(f.sha256) for f in files}
        return f"memory:{listing.product.sku}"

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        return listing.file_names

    def own_pictures(self, sku: str) -> list[ShopPicture]:
        self._raise_failure()
        if sku not in self.own:
            raise NotFound("memory", "own_pictures", f"there is no product {sku}")
        return [ShopPicture(name=name, url=f"memory:{sku}/{name}") for name in self.own[sku]]

    def picture_bytes(self, url: str) -> bytes:
        sku, _, name = url.removeprefix("memory:").partition("/")
        return self.own[sku][name]

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        return tuple(self.files_by_sku.get(listing.product.sku, ()))


def connect(options: Mapping[str, Any], context: AdapterContext) -> MemoryChannel:
    """Open the adapter."""
    check_options(options, "languages")
    return MemoryChannel()
