"""Our own AR page: a version is live there as soon as its publication is recorded; the page reads our records."""

from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.domain.listing import Listing
from dam_connector.errors import Refused
from dam_connector.ports import Blobs


class ViewerChannel:
    """Serves published files at /ar/SKU and by content hash."""

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        for placement in listing.placements:
            for name, sha256 in placement.approved.files_sha256.items():
                if not blobs.has(sha256):
                    raise Refused("viewer", "publish", f"the bytes of {name} are not in storage")
        return listing.page_url

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        return self.expected_files(listing)

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        return listing.file_names


def connect(options: Mapping[str, Any], context: AdapterContext) -> ViewerChannel:
    check_options(options)
    return ViewerChannel()
