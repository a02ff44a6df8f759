"""What is to be live of an asset: one answer from the requests of people, in the order in which they were
given.

An approval, a rollback and a withdrawal are requests. Publishing, withdrawing, undoing and reconciling all
bring the channels in line with `live_version_id`, whatever ran before and in whatever order.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from dam_connector.domain.ids import AssetId, VersionId


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRequest:
    """A person's request that a version goes live, or is taken offline."""

    asset_id: AssetId
    number: int  # from 1 on, in the order in which the asset's requests were given
    version_id: VersionId
    goes_live: bool  # False: it is taken offline
    by: str
    at: datetime  # when it was given
    due_at: datetime | None  # it counts from then on; None: at once
    undone: bool  # it never counts again


def live_version_id(
    requests: Iterable[LiveRequest],
    now: datetime,
    *,
    live_from: datetime | None = None,
    live_until: datetime | None = None,
    published: Collection[VersionId] = (),
) -> VersionId | None:
    """Return the version of an asset that is to be live now, or None.

    The latest request that counts decides. Taking a version offline does not bring an earlier one back.

    Args:
        requests: All requests about the asset.
        now: The time.
        live_from: The product's embargo: before it, no version goes live.
        live_until: The product's expiry: from then on, no version is live.
        published: The versions that are live already; an embargo that comes later does not hold them.
    """
    if live_until is not None and live_until <= now:
        return None
    embargoed = live_from is not None and live_from > now
    taken_offline: set[VersionId] = set()
    for request in sorted(requests, key=lambda r: r.number, reverse=True):
        if request.undone:
            continue
        if not request.goes_live:
            taken_offline.add(request.version_id)
        elif not waits(request, now, embargoed=embargoed and request.version_id not in published):
            return None if request.version_id in taken_offline else request.version_id
    return None


def waits(request: LiveRequest, now: datetime, *, embargoed: bool = False) -> bool:
    """Return whether a request does not count yet."""
    return embargoed or (request.due_at is not None and request.due_at > now)
