"""Expiry and deletion: assets go offline by themselves.

A product expires at its `live_until`, e.g. when the licence of its photos or its season ends. People are
warned before. When the date moves to later, the assets that went offline for it are live again, without a new
decision. The same holds for a product that its PIM deleted, and has again later.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import structlog

from dam_connector.domain.issue import issue
from dam_connector.domain.product import Product
from dam_connector.domain.rules import WITHDRAW
from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import StateConflict
from dam_connector.store.products import ProductRecord
from dam_connector.usecases.publish import rollback, withdraw
from dam_connector.usecases.shared_shapes import has_present_parts
from dam_connector.wiring import Services

log = structlog.get_logger()
# Who withdraws, in the history and in the requests.
EXPIRY, DELETION = "live_until", "deletion"
WARN_BEFORE = timedelta(days=14)
BATCH = 200  # versions and products at a time


def withdraw_expired(services: Services) -> int:
    """Withdraw the versions that are live or approved of products that have expired; return how many."""
    now = services.clock.now()
    found = services.assets.expired(now, BATCH)
    return _withdraw_all(
        services, found, EXPIRY, "its product has expired", lambda r: _is_expired(r.product, now)
    )


def withdraw_deleted(services: Services) -> int:
    """Withdraw the versions that are live or approved of deleted products; return how many.

    Do nothing if plugin.json says that they are kept.
    """
    if services.rules.current().products.on_delete != WITHDRAW:
        return 0
    found = services.assets.of_deleted_products(BATCH)
    return _withdraw_all(services, found, DELETION, "its product was deleted in the PIM", lambda r: r.deleted)


def _withdraw_all(
    services: Services,
    versions: Iterable[Version],
    by: str,
    reason: str,
    still_applies: Callable[[ProductRecord], bool],
) -> int:
    """Withdraw versions if the reason still applies to their product, which may have changed meanwhile."""
    count = 0
    for version in versions:
        try:
            with services.transaction():
                record = services.products.lock(version.asset.sku)
                if record and still_applies(record):
                    withdraw(services, version, by=by, reason=reason)
                    count += 1
        except StateConflict:
            continue  # somebody withdrew it meanwhile
    if count:
        log.info("withdrawn_by_itself", by=by, versions=count)
    return count


def _is_expired(product: Product, now: datetime) -> bool:
    return bool(product.live_until and product.live_until <= now)


def warn_before_expiry(services: Services) -> int:
    """Add an issue to each product with live assets that expires soon; return how many are new."""
    now = services.clock.now()
    soon = services.products.expiring(now, now + WARN_BEFORE, BATCH, without_issue="product.expires_soon")
    for record in soon:
        day = record.product.live_until.isoformat(timespec="minutes") if record.product.live_until else ""
        message = f"Its assets go offline on {day}."
        found = issue("product.expires_soon", message, pointer="/live_until", measured=day)
        services.products.add_issues(record.product.sku, (found,))
    return len(soon)


def restore_when_back(services: Services, product: Product) -> int:
    """Make the versions live again that were withdrawn since a product had expired or was deleted.

    Do nothing if it has expired now. A joined model is live again only if its colours are those that are to
    be joined now: meanwhile another product may have taken the shape over.
    """
    if _is_expired(product, services.clock.now()):
        return 0
    restored: set[str] = set()
    rules = services.rules.current()
    found = services.assets.of_product(product.sku)  # the newest first
    joined = {d.name for d in rules.deliverables if d.is_joined}
    for version in sorted(found, key=lambda v: v.asset.deliverable in joined):  # after their parts
        if version.state is not VersionState.WITHDRAWN or version.asset.id in restored:
            continue
        deliverable = rules.deliverable(version.asset.deliverable)
        if deliverable and deliverable.is_joined and not has_present_parts(services, version, deliverable):
            continue
        last = services.live_requests.last_of_asset(version.asset.id)
        if last and last.by in (EXPIRY, DELETION) and last.version_id == version.id and not last.goes_live:
            rollback(services, version, by=last.by)
            restored.add(version.asset.id)
    return len(restored)
