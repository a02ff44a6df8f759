"""Expiry: the assets of a product go offline by themselves at its `live_until`, and people are warned before.

A product expires when the licence of its photos or its season ends. When the date moves to later, the assets
that went offline for it are live again, without a new decision.
"""

from datetime import timedelta

import structlog

from dam_connector.domain.issue import issue
from dam_connector.domain.product import Product
from dam_connector.domain.version import VersionState
from dam_connector.errors import StateConflict
from dam_connector.usecases.publish import rollback, withdraw
from dam_connector.wiring import Services

log = structlog.get_logger()
EXPIRY = "live_until"  # who withdraws, in the history and in the requests
WARN_BEFORE = timedelta(days=14)
BATCH = 200  # versions and products at a time


def withdraw_expired(services: Services) -> int:
    """Withdraw the versions that are live or approved of products that have expired; return how many."""
    count = 0
    for version in services.assets.expired(services.clock.now(), BATCH):
        try:
            withdraw(services, version, by=EXPIRY, reason="its product has expired")
            count += 1
        except StateConflict:
            continue  # somebody withdrew it meanwhile
    if count:
        log.info("expired", versions=count)
    return count


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


def restore_after_expiry(services: Services, product: Product) -> int:
    """Make the versions live again that were withdrawn because a product had expired, and no longer has."""
    if product.live_until and product.live_until <= services.clock.now():
        return 0
    restored: set[str] = set()
    for version in services.assets.of_product(product.sku):  # the newest first
        if version.state is not VersionState.WITHDRAWN or version.asset.id in restored:
            continue
        last = services.live_requests.last_of_asset(version.asset.id)
        if last and last.by == EXPIRY and last.version_id == version.id and not last.goes_live:
            rollback(services, version, by=EXPIRY)
            restored.add(version.asset.id)
    return len(restored)
