"""The port of channels: storefronts, viewers and feeds."""

from typing import Protocol

from dam_connector.domain.listing import Listing
from dam_connector.ports.infrastructure import Blobs


class Channel(Protocol):
    """A destination at which approved versions are live."""

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        """Make exactly the listing's files live for its product, in the listing's order.

        Files that are there already are not sent again. Files of ours that the listing no longer has are
        removed. Files of others are left alone.

        Returns:
            The product's address in the channel.

        Raises:
            NotFound: the channel has no such product.
            Refused: do not retry.
            Unavailable, RateLimited: retry later.
        """
        ...

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        """Return the names of our files that are live for the listing's product.

        Raises:
            NotFound: the channel has no such product.
            Refused: do not retry.
            Unavailable, RateLimited: retry later.
        """
        ...

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        """Return the names of the listing's files that this channel accepts.

        `live_files` returns the same names once the listing is synced.
        """
        ...
