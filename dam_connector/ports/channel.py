"""The port of channels: storefronts, viewers and feeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopPicture:
    """A picture of a product that its shop shows and that the connector did not put there."""

    name: str  # of its file
    url: str  # where its bytes are


@runtime_checkable
class ShowsPictures(Protocol):
    """A shop whose own pictures of a product can be adopted."""

    def own_pictures(self, sku: str) -> Sequence[ShopPicture]:
        """Return the shop's own pictures of a product, in its order.

        Raises:
            NotFound: the shop has no such product.
            Refused: do not retry.
            Unavailable, RateLimited: retry later.
        """
        ...

    def picture_bytes(self, url: str) -> bytes:
        """Return the bytes of a picture that `own_pictures` named.

        Raises:
            NotFound, Refused: do not retry.
            Unavailable, RateLimited: retry later.
        """
        ...
