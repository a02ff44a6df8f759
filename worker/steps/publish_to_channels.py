"""Publish the approved version to each of its deliverable's channels."""

from dataclasses import replace

from dam_connector.catalog.file_names import product_folder
from dam_connector.catalog.version import VersionState
from dam_connector.errors import NotFound, StateConflict
from dam_connector.wiring import Services
from worker.work import Work


def publish_to_channels(work: Work, services: Services) -> Work:
    """The work with the addresses where it is live. Reads: version, decision. Adds: published.

    Raises: StateConflict when the approval was undone or is for other files, or a waiver has ended; Unavailable, RateLimited, Refused.
    """
    version = services.assets.get(work.draft)
    if version is None:
        raise NotFound("store", "publish", work.draft)
    newer = [
        v
        for v in services.assets.of_product(work.product.sku)
        if v.asset.id == version.asset.id and v.number > version.number and v.state is VersionState.PUBLISHED
    ]
    if newer:  # a newer one was approved and went live while this one waited
        return work
    if version.report.errors(services.clock.now()):
        raise StateConflict(f"version {version.id} is blocked: what was accepted on it was accepted only until a day that is over")
    approved = services.decisions.approved(version)
    live = dict(work.published)
    folder = product_folder(work.product, services.rules.current())
    for channel in work.deliverable.channels:
        live[channel] = services.channel(channel).publish(approved, work.product, folder, services.blobs)
    return replace(work, published=live)
