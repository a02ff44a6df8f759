"""Ask for a review: the version is in review, or blocked by its report; older ones of the asset step back."""

from dam_connector.domain.version import VersionState
from dam_connector.errors import NotFound
from dam_connector.wiring import Services
from worker.work import Work


def request_review(work: Work, services: Services) -> Work:
    """The same work, waiting for a person. Reads: version. Raises: StateConflict when the version was moved elsewhere."""
    version = services.assets.get(work.draft)
    if version is None:
        raise NotFound("store", "request_review", work.draft)
    wanted = VersionState.BLOCKED if version.report.blocked else VersionState.IN_REVIEW
    if version.state not in (VersionState.DRAFT, VersionState.BLOCKED):
        return work  # this step ran before
    services.assets.transition(version.id, wanted)
    if wanted is VersionState.IN_REVIEW:
        services.assets.supersede_others(
            version.id, [VersionState.DRAFT, VersionState.BLOCKED, VersionState.IN_REVIEW]
        )
    services.history.add(wanted.value, sku=work.product.sku, version_id=version.id)
    return work
