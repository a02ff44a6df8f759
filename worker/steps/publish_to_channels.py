"""Publish the approved version to each channel of its deliverable, on the day it may go live."""

from dataclasses import replace
from datetime import datetime, timedelta

from dam_connector.domain.product import Product
from dam_connector.domain.version import ApprovedVersion, Version
from dam_connector.errors import RETRYABLE, ConnectorError, NotFound, StateConflict
from dam_connector.usecases.publish import build_listing, lock_listing, publish_not_before
from dam_connector.wiring import Services
from worker.work import Park, Work

RECHECK_AFTER = timedelta(minutes=10)  # while it waits for its day: a person may move the day


def publish_to_channels(work: Work, services: Services) -> Work:
    """Publish the version to every channel; one that fails does not keep the others from it.

    Reads: version, decision. Adds: published.

    Raises:
        Park: Its day has not come.
        StateConflict: The approval was undone, is for other files, or rests on a waiver that has ended.
        Unavailable, RateLimited, Refused, NotFound: A channel failed.
    """
    version = work.version(services, "publish")
    run, record = services.runs.get(work.run_id), services.products.get(work.product.sku)
    if run is None:
        raise NotFound("store", "publish", work.run_id)
    product = record.product if record else work.product
    if day := publish_not_before(services, product, version):
        raise Park(min(day, services.clock.now() + RECHECK_AFTER), work)
    asked_at = max(filter(None, (run.created_at, version.go_live_at)))
    if _is_overtaken(services, version, asked_at):
        return work
    if version.report.errors(services.clock.now()):
        raise StateConflict(
            f"version {version.id} is blocked: a waiver of one of its errors has ended; waive it again or "
            "publish another version"
        )
    approved = services.decisions.approved_version(version)
    services.assets.set_public(version.id, is_public=True)  # a channel may fetch the files at once
    live, errors = dict[str, str](), list[ConnectorError]()
    for channel in work.deliverable.channels:
        try:
            live[channel] = _publish(services, channel, product, approved, asked_at)
        except ConnectorError as error:
            errors.append(error)
    if errors:
        raise next((error for error in errors if isinstance(error, RETRYABLE)), errors[0])
    return replace(work, published=live)


def _is_overtaken(services: Services, version: Version, asked_at: datetime) -> bool:
    """Return whether another version of the asset, asked for later, went live while this one waited."""
    live = services.publications.of_product(version.asset.sku)
    return any(
        p.asset_id == version.asset.id and p.version_id != version.id and p.asked_at > asked_at for p in live
    )


def _publish(
    services: Services, channel: str, product: Product, approved: ApprovedVersion, asked_at: datetime
) -> str:
    """Send the product's listing with this version to a channel; return the version's address there."""
    with lock_listing(services, channel, product.sku):
        listing = build_listing(services, channel, product, replacement=approved)
        url = services.channel(channel).sync(listing, services.blobs)
        services.publications.set(approved.version, channel, url, asked_at=asked_at)
    return url
