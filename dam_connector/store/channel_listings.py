"""The listings that were last sent to channels: one for each product and channel."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.paging import ordered_values
from dam_connector.store.tables import channel_listings as t


@dataclass(frozen=True, slots=True, kw_only=True)
class SentListing:
    """The last listing of a product that was sent to a channel, or whose sending began."""

    sequence: int  # 1 for the first; one more for each listing with other content
    folders: tuple[str, ...]  # in which the channel may have files of the product
    assets: tuple[str, ...]  # ids of those of which the channel may have files
    synced_at: datetime | None  # when the channel had accepted it; None: not known to have
    url: str  # the product's address there


class ChannelListings:
    """The table of sent listings. Whoever writes it holds the lock on the product in the channel."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def begin(
        self, channel: str, sku: str, *, sha256: str, folder: str, assets: Iterable[str]
    ) -> SentListing:
        """Store that a listing is about to be sent, and return its sequence number and folders.

        Args:
            channel: The channel connection.
            sku: The product.
            sha256: Identifies the content: the same content again keeps its number.
            folder: The product's folder now.
            assets: Ids of the assets in the listing.
        """
        key = (t.c.channel == channel, t.c.sku == sku)
        with self._db.write() as c:
            row = c.execute(sa.select(t).where(*key).with_for_update()).one_or_none()
            is_same = row is not None and row.sha256 == sha256
            sequence = (row.sequence if row else 0) + (0 if is_same else 1)
            folders = list(dict.fromkeys([*(row.folders if row else []), folder]))
            asset_ids = list(dict.fromkeys([*(row.assets if row else []), *assets]))
            synced_at, url = (row.synced_at, row.url) if row is not None and is_same else (None, "")
            values = {"sha256": sha256, "sequence": sequence, "folders": folders, "assets": asset_ids}
            values |= {"synced_at": synced_at, "url": url}
            self._db.upsert(c, t, {"channel": channel, "sku": sku, **values})
        return _sent_listing(values)

    def has_content(self, channel: str, sku: str, sha256: str) -> bool:
        """Return whether the listing that was sent last to a channel has this content."""
        with self._db.read() as c:
            found = c.execute(sa.select(t.c.sha256).where(t.c.channel == channel, t.c.sku == sku))
            return bool(found.scalar() == sha256)

    def finish(
        self, channel: str, sku: str, *, sequence: int, folder: str, assets: Iterable[str], url: str
    ) -> None:
        """Store that the channel accepted a listing: it has files of these assets, in `folder`, only.

        Do nothing if the listing's number is no longer the last one: the channel may have got another listing
        since (`doubt`).
        """
        with self._db.write() as c:
            c.execute(
                sa.update(t)
                .where(t.c.channel == channel, t.c.sku == sku, t.c.sequence == sequence)
                .values(
                    synced_at=self._clock.now(), folders=[folder], assets=list(dict.fromkeys(assets)), url=url
                )
            )

    def doubt(self, channel: str, sku: str, sent: SentListing | None = None) -> None:
        """Store that the channel is not known to have the last listing: the next one gets a new number.

        Args:
            channel: The channel connection.
            sku: The product.
            sent: An older listing that the channel may have got after the last one.
        """
        key = (t.c.channel == channel, t.c.sku == sku)
        with self._db.write() as c:
            row = c.execute(sa.select(t).where(*key).with_for_update()).one_or_none()
            if row is None:
                return
            values = {"sha256": "", "sequence": row.sequence + 1, "synced_at": None}
            if sent:
                values["folders"] = list(dict.fromkeys([*row.folders, *sent.folders]))
                values["assets"] = list(dict.fromkeys([*row.assets, *sent.assets]))
            c.execute(sa.update(t).where(*key).values(values))

    def of_product(self, sku: str) -> dict[str, SentListing]:
        """Return the last listing of a product in each channel."""
        with self._db.read() as c:
            return {
                row.channel: _sent_listing(row._asdict())
                for row in c.execute(sa.select(t).where(t.c.sku == sku))
            }

    def skus(self, channel: str) -> Iterator[str]:
        """Yield the SKUs of which a channel got a listing, in order."""
        return ordered_values(self._db, sa.select(t.c.sku).where(t.c.channel == channel), t.c.sku)


def _sent_listing(values: Mapping[str, Any]) -> SentListing:
    return SentListing(
        sequence=values["sequence"],
        folders=tuple(values["folders"]),
        assets=tuple(values["assets"]),
        synced_at=values["synced_at"],
        url=values["url"],
    )
