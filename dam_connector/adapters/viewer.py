"""Our own AR page, as a channel: it has no options but those of every channel.

The page at /ar/SKU reads our own records, so a version is live as soon as its publication is recorded. Facts:
docs/connections/viewer.md.
"""

from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.domain.listing import Listing
from dam_connector.errors import FileMissing
from dam_connector.ports import Blobs


class ViewerChannel:
    """A `Channel` that checks that the files are in the blob storage, which the page serves them from."""

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        for placement in listing.placements:
            for name, sha256 in placement.approved.files_sha256.items():
                if not blobs.has(sha256):
                    raise FileMissing("viewer", "publish", f"the storage does not have {name}: {sha256}")
        return listing.page_url

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        return self.expected_files(listing)

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        return listing.file_names


def connect(options: Mapping[str, Any], context: AdapterContext) -> ViewerChannel:
    """Open the adapter."""
    check_options(options)
    return ViewerChannel()
