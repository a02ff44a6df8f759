"""Publishing: which versions are live in a channel, and how that changes by rollback, withdrawal or on a
later day.

The first publication follows from an approval: see `review.decide`.
"""

from contextlib import AbstractContextManager
from datetime import datetime
from urllib.parse import quote

import structlog

from dam_connector.domain.asset_texts import alt_text
from dam_connector.domain.file_names import product_folder
from dam_connector.domain.ids import AssetId
from dam_connector.domain.listing import Listing, Placement
from dam_connector.domain.product import Product
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import ApprovedVersion, Version, VersionState
from dam_connector.errors import StateConflict
from dam_connector.usecases.dam_sync.outbound import sync_to_dam
from dam_connector.usecases.follow_up_runs import plan_follow_up, unique_input_hash
from dam_connector.wiring import Services

log = structlog.get_logger()


def build_listing(
    services: Services,
    channel: str,
    product: Product,
    *,
    replacement: ApprovedVersion | None = None,
    excluded: AssetId | None = None,
) -> Listing:
    """Return what is live for a product in a channel, in the order of the deliverables in plugin.json.

    Args:
        channel: the channel's name in plugin.json.
        replacement: a version that goes live in place of its asset's live version.
        excluded: an asset that is no longer live.
    """
    changed_asset = replacement.version.asset.id if replacement else excluded
    live = [
        p
        for p in services.publications.of_product(product.sku)
        if p.channel == channel and p.asset_id != changed_asset
    ]
    found = [replacement] if replacement else []
    for publication in live:
        version = services.assets.get(publication.version_id)
        try:
            found += [services.decisions.approved_version(version)] if version else []
        except StateConflict as error:
            log.warning("not_listed", version_id=publication.version_id, error=str(error))
    rules = services.rules.current()
    order = {d.name: number for number, d in enumerate(rules.deliverables)}
    found.sort(key=lambda a: (order.get(a.version.asset.deliverable, len(order)), a.version.asset.slot))
    return Listing(
        product=product,
        folder=product_folder(product, rules),
        page_url=f"{services.settings.base_url}/ar/{quote(product.sku)}",
        placements=tuple(_placement(services, product, each) for each in found),
    )


def _placement(services: Services, product: Product, approved: ApprovedVersion) -> Placement:
    version = approved.version
    deliverable = services.rules.current().deliverable(version.asset.deliverable)
    links = {
        f.name: f"{services.settings.base_url}/files/{f.sha256}/{quote(f.name)}"
        for f in version.channel_files
    }
    return Placement(
        approved=approved,
        alt_text=alt_text(product, style=deliverable.style if deliverable else "studio"),
        links=links,
    )


def lock_listing(services: Services, channel: str, sku: str) -> AbstractContextManager[None]:
    """Lock a product's media in a channel: of two processes, each would overwrite what the other adds.

    Raises:
        Busy: another process holds the lock.
    """
    return services.locks.lock(f"{channel} {sku}")


def can_roll_back(services: Services, version: Version) -> bool:
    """Return whether a rollback to this version is possible."""
    was_live = version.state in (VersionState.SUPERSEDED, VersionState.WITHDRAWN)
    return was_live and services.decisions.is_approved(version)


def rollback(services: Services, version: Version, *, by: str) -> None:
    """Make an earlier approved version live again in every channel of its deliverable.

    Raises:
        StateConflict: the version was not approved, or is neither superseded nor withdrawn.
    """
    services.decisions.reinstate(version)
    services.assets.set_go_live_at(version.id, None)
    services.history.add(
        "rolled_back", sku=version.asset.sku, version_id=version.id, by=by, detail=f"to V{version.number}"
    )
    plan_follow_up(services, version, RunKind.PUBLISH, unique_input_hash("rollback", services))


def withdraw(services: Services, version: Version, *, by: str, reason: str = "") -> None:
    """Remove a live version from all channels.

    Raises:
        StateConflict: the version is not live.
    """
    services.assets.transition(version.id, VersionState.WITHDRAWN, from_states=[VersionState.PUBLISHED])
    services.history.add("withdrawn", sku=version.asset.sku, version_id=version.id, by=by, detail=reason)
    sync_to_dam(services, version)
    plan_follow_up(services, version, RunKind.WITHDRAW, unique_input_hash("withdraw", services))


def publish_not_before(services: Services, product: Product, version: Version) -> datetime | None:
    """Return when a version may go live, by its own schedule and its product's embargo; None: now."""
    moments = [at for at in (version.go_live_at, product.live_from) if at]
    earliest = max(moments, default=None)
    return earliest if earliest and earliest > services.clock.now() else None
