"""Publishing: what is to be live where, and every way in which that changes but by a first approval: rollback, withdrawal, a later day."""

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
    """What is live of a product in a channel, in the order of plugin.json. put: in place of its asset's live version. without: this asset."""
    changed = replacement.version.asset.id if replacement else excluded
    live = [
        p
        for p in services.publications.of_product(product.sku)
        if p.channel == channel and p.asset_id != changed
    ]
    found = [replacement] if replacement else []
    for record in live:
        version = services.assets.get(record.version_id)
        try:
            found += [services.decisions.approved_version(version)] if version else []
        except StateConflict as error:
            log.warning("not_listed", version_id=record.version_id, error=str(error))
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
    links = {f.name: f"{services.settings.base_url}/files/{f.sha256}/{quote(f.name)}" for f in version.channel_files}
    return Placement(
        approved=approved,
        alt_text=alt_text(product, style=deliverable.style if deliverable else "studio"),
        links=links,
    )


def lock_listing(services: Services, channel: str, sku: str) -> AbstractContextManager[None]:
    """One at a time changes a product's media in a channel: two would each write over what the other added. Raises: Busy while somebody does."""
    return services.locks.lock(f"{channel} {sku}")


def can_roll_back(services: Services, version: Version) -> bool:
    """Whether a rollback to this version is possible."""
    earlier = version.state in (VersionState.SUPERSEDED, VersionState.WITHDRAWN)
    return earlier and services.decisions.is_approved(version)


def rollback(services: Services, version: Version, *, by: str) -> None:
    """Make an earlier approved version the live one again, in every channel of its deliverable.

    Raises: StateConflict when nobody approved it, or it is neither superseded nor withdrawn.
    """
    services.decisions.reinstate(version)
    services.assets.set_go_live_at(version.id, None)
    services.history.add(
        "rolled_back", sku=version.asset.sku, version_id=version.id, by=by, detail=f"to V{version.number}"
    )
    plan_follow_up(services, version, RunKind.PUBLISH, unique_input_hash("rollback", services))


def withdraw(services: Services, version: Version, *, by: str, reason: str = "") -> None:
    """Take a live version off everywhere. Raises: StateConflict when it is not live."""
    services.assets.transition(version.id, VersionState.WITHDRAWN, from_states=[VersionState.PUBLISHED])
    services.history.add("withdrawn", sku=version.asset.sku, version_id=version.id, by=by, detail=reason)
    sync_to_dam(services, version)
    plan_follow_up(services, version, RunKind.WITHDRAW, unique_input_hash("withdraw", services))


def publish_not_before(services: Services, product: Product, version: Version) -> datetime | None:
    """Until when the version has to wait, by its own schedule or its product's embargo; None when it may go live."""
    moments = [at for at in (version.go_live_at, product.live_from) if at]
    until = max(moments, default=None)
    return until if until and until > services.clock.now() else None
