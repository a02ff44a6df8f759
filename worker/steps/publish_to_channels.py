"""Bring the channels in line with what people asked to be live of an asset, and record it."""

from datetime import datetime, timedelta

from dam_connector.domain.product import Product
from dam_connector.domain.version import Asset, Version, VersionState
from dam_connector.errors import RETRYABLE, Busy, ConnectorError, NotFound, StateConflict
from dam_connector.usecases.publish import (
    build_listing,
    channels_of,
    channels_to_update,
    is_in_line,
    lock_listing,
    record_live,
    send_listing,
    wait_for_day,
    wanted_version,
)
from dam_connector.wiring import Services
from worker.work import Park, Work

RECHECK_AFTER = timedelta(minutes=10)  # while it waits for its day: a person may move the day
AGAIN_S = 1.0  # when to look again after a person asked for something else meanwhile


def publish_to_channels(work: Work, services: Services) -> Work:
    """Bring every channel in line; one that fails does not keep the others from it.

    A run that publishes and a run that withdraws do the same: what is to be live follows from the requests of
    people, and not from the run.

    Reads: version. Adds: nothing.

    Raises:
        Park: The version's day has not come.
        StateConflict: The version that is to be live rests on a waiver that has ended.
        Unavailable, RateLimited, Refused, NotFound: A channel failed.
    """
    version = work.version(services, "publish")
    run, record = services.runs.get(work.run_id), services.products.get(work.product.sku)
    if run is None:
        raise NotFound("store", "publish", work.run_id)
    product = record.product if record else work.product
    day = wait_for_day(services, product, version)
    wanted = wanted_version(services, product, version.asset)
    if day and is_in_line(services, product, version.asset, wanted):
        raise _park_until(day, work, services)
    if wanted:
        _refuse_blocked(services, wanted)
        services.assets.set_public(wanted.id, is_public=True)  # a channel may fetch the files at once
    errors = list[ConnectorError]()
    for channel in channels_to_update(services, product, version.asset, wanted):
        try:
            _update(services, channel, product, version.asset, since=run.created_at)
        except ConnectorError as error:
            errors.append(error)
    if errors:
        raise next((error for error in errors if isinstance(error, RETRYABLE)), errors[0])
    if not record_live(services, product, version.asset, channels_of(services, product, version.asset)):
        raise Busy("connector", "publish", "another version was asked for meanwhile", retry_after_s=AGAIN_S)
    if day:
        raise _park_until(day, work, services)
    return work


def _park_until(day: datetime, work: Work, services: Services) -> Park:
    reason = f"waits for {day.day} {day:%b %Y, %H:%M} UTC"
    return Park(min(day, services.clock.now() + RECHECK_AFTER), work, reason)


def _refuse_blocked(services: Services, wanted: Version) -> None:
    """Raise StateConflict if a version that is not live yet has an error that nobody waives any more."""
    if wanted.state is not VersionState.PUBLISHED and wanted.report.errors(services.clock.now()):
        raise StateConflict(
            f"version {wanted.id} is blocked: a waiver of one of its errors has ended; waive it again or "
            "publish another version"
        )


def _update(
    services: Services,
    channel: str,
    product: Product,
    asset: Asset,
    *,
    since: datetime,
) -> None:
    """Send the product's listing, with what is to be live of the asset now, to one channel."""
    with lock_listing(services, channel, product.sku):
        is_shown = channel in channels_of(services, product, asset)
        wanted = wanted_version(services, product, asset) if is_shown else None
        approved = services.decisions.approved_version(wanted) if wanted else None
        listing = build_listing(services, channel, product, asset=asset, wanted=approved)
        if channel in services.rules.current().channel:
            url = send_listing(services, channel, listing, since=since)
        else:  # it was taken out of plugin.json; if it comes back, reconcile finds what it still has
            url = ""
            services.channel_listings.doubt(channel, product.sku)
        if approved:
            services.publications.set(approved.version, channel, url)
        else:
            services.publications.remove(asset.id, channel)
