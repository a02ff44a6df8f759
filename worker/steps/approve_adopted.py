"""Approve an adopted version, as it was decided elsewhere; or block it, where its report says so."""

from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.version import VersionState
from dam_connector.errors import NotFound
from dam_connector.wiring import Services
from worker.work import Work


def approve_adopted(work: Work, services: Services) -> Work:
    """Record the decision that the finished file came with, unless its report blocks it.

    Reads: version, the asset's finished file. Adds: nothing.

    Raises:
        NotFound: There is no finished file.
    """
    found = services.finished_files.get(work.product.sku, work.deliverable.name)
    if found is None:
        raise NotFound("store", "approve", f"{work.product.sku} {work.deliverable.name}")
    with services.transaction():
        services.assets.lock_asset(work.version(services, "approve").asset.id)
        version = work.version(services, "approve")
        if version.state is not VersionState.DRAFT:
            return work  # this step ran before, or a newer version overtook it
        state = VersionState.BLOCKED if version.report.blocked else VersionState.IN_REVIEW
        services.assets.transition(version.id, state)
        if state is VersionState.BLOCKED:
            services.history.add(state.value, sku=work.product.sku, version_id=version.id)
            return work
        note, by = f"adopted from {found.source.where}", found.source.approver
        decision = Decision(verdict=Verdict.APPROVED, by=by, note=note)
        services.decisions.record(work.version(services, "approve"), decision, found.source.where)
        services.history.add(
            VersionState.APPROVED.value, sku=work.product.sku, version_id=version.id, by=by, detail=note
        )
    return work
