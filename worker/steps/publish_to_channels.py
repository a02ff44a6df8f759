"""Publish the approved version to each of its deliverable's channels, on the day it may go live."""

from dataclasses import replace
from datetime import datetime, timedelta

from dam_connector.domain.product import Product
from dam_connector.domain.version import ApprovedVersion, Version
from dam_connector.errors import RETRYABLE, ConnectorError, NotFound, StateConflict
from dam_connector.usecases.publish import build_listing, lock_listing, publish_not_before
from dam_connector.wiring import Services
from worker.work import Park, Work

LOOK_AGAIN = timedelta(minutes=10)


def publish_to_channels(work: Work, services: Services) -> Work:
    """The work with the addresses where it is live. Reads: version, decision. Adds: published, asked_at.

    Raises: StateConflict when the approval was undone or is for other files, or a waiver has ended; Park until its day; Unavailable,
    RateLimited, Refused, NotFound.
    """
    version = services.assets.get(work.draft)
    run, record = services.runs.get(work.run_id), services.products.get(work.product.sku)
    if version is None or run is None:
        raise NotFound("store", "publish", work.draft)
    product = record.product if record else work.product
    if day := publish_not_before(services, product, version):
        raise Park(min(day, services.clock.now() + LOOK_AGAIN), work)  # the day may be moved
    asked_at = max(filter(None, (run.created_at, version.go_live_at)))
    if _overtaken(services, version, asked_at):
        return work
    if version.report.errors(services.clock.now()):
        raise StateConflict(
            f"version {version.id} is blocked: what was accepted on it was accepted only until a day that is over"
        )
    approved = services.decisions.approved_version(version)
    services.assets.set_public(version.id, is_public=True)  # a channel may fetch what it is told of at once
    live, failed = dict[str, str](), list[ConnectorError]()
    for channel in work.deliverable.channels:  # one that is away holds up none of the others
        try:
            live[channel] = _publish(services, channel, product, approved, asked_at)
        except ConnectorError as error:
            failed.append(error)
    if failed:
        raise next((error for error in failed if isinstance(error, RETRYABLE)), failed[0])
    return replace(work, published=live)


def _overtaken(services: Services, version: Version, asked_at: datetime) -> bool:
    """Whether another version of the asset went live that was asked for later, while this one waited."""
    live = services.publications.of_product(version.asset.sku)
    return any(
        p.asset_id == version.asset.id and p.version_id != version.id and p.asked_at > asked_at for p in live
    )


def _publish(
    services: Services, channel: str, product: Product, approved: ApprovedVersion, asked_at: datetime
) -> str:
    with lock_listing(services, channel, product.sku):
        url = services.channel(channel).sync(
            build_listing(services, channel, product, replacement=approved), services.blobs
        )
        services.publications.set(approved.version, channel, url, asked_at=asked_at)
    return url
