"""Record the publication: the version is published, and the one before it superseded."""

from dam_connector.domain.version import VersionState
from dam_connector.wiring import Services
from worker.work import Work


def record_publication(work: Work, services: Services) -> Work:
    """Set the state of the version; one that was overtaken while it waited is superseded.

    Reads: published. Adds: nothing.
    """
    version = work.version(services, "record_publication")
    if work.deliverable.channels and not work.published:
        services.assets.transition(version.id, VersionState.SUPERSEDED)
        return work
    if version.state is not VersionState.PUBLISHED:
        services.assets.transition(version.id, VersionState.PUBLISHED)
        services.history.add(
            "published", sku=work.product.sku, version_id=version.id, detail=", ".join(work.published)
        )
    services.assets.supersede_others(version.id, [VersionState.PUBLISHED], include_newer=True)
    services.assets.supersede_others(version.id, [VersionState.APPROVED])
    return work
