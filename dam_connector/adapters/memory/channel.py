"""A channel in memory: for tests of everything that stands behind the port."""

from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.domain.listing import Listing
from dam_connector.errors import ConnectorError
from dam_connector.ports import Blobs


class MemoryChannel:
    """What is live, by SKU: bytes by path, in order; `fail_with` is raised once."""

    def __init__(self) -> None:
        self.live_files: dict[str, dict[str, bytes]] = {}
        self.fail_with: ConnectorError | None = None

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        failure, self.fail_with = self.fail_with, None
        if failure:
            raise failure
        files = [f for p in listing.placements for f in p.approved.version.shipped]
        self.live_files[listing.product.sku] = {f.name: blobs.get(f.sha256) for f in files}
        return f"memory:{listing.product.sku}"

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        return listing.file_names

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        return tuple(self.live_files.get(listing.product.sku, ()))


def connect(options: Mapping[str, Any], context: AdapterContext) -> MemoryChannel:
    check_options(options)
    return MemoryChannel()
