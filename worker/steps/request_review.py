"""Request a review: the version is in review, or blocked by its report; older versions are superseded."""

from dam_connector.domain.rules import JOINED
from dam_connector.domain.version import VersionState
from dam_connector.usecases.review import OPEN_FOR_REVIEW, approve_joined
from dam_connector.usecases.stages import set_pending_stage
from dam_connector.wiring import Services
from worker.work import Work


def request_review(work: Work, services: Services) -> Work:
    """Set the state of the version by its report. A model joined from approved ones needs no decision.

    Reads: version. Adds: nothing.

    Raises:
        StateConflict: Another process changed the state at the same moment.
    """
    with services.transaction():
        services.assets.lock_asset(work.version(services, "request_review").asset.id)
        version = work.version(services, "request_review")
        if version.state not in (VersionState.DRAFT, VersionState.BLOCKED):
            return work  # this step ran before
        state = VersionState.BLOCKED if version.report.blocked else VersionState.IN_REVIEW
        if state is VersionState.IN_REVIEW and services.assets.has_newer(version, OPEN_FOR_REVIEW):
            state = VersionState.SUPERSEDED
        services.assets.transition(version.id, state)
        if state is VersionState.IN_REVIEW:
            set_pending_stage(services, version)
            services.assets.supersede_others(
                version.id, [VersionState.DRAFT, VersionState.BLOCKED, VersionState.IN_REVIEW]
            )
        services.history.add(state.value, sku=work.product.sku, version_id=version.id)
        if state is VersionState.IN_REVIEW and version.provenance.get("generator") == JOINED:
            approve_joined(services, version, work.deliverable)
    return work
