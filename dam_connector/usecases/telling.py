"""Telling DAMs: how a version stands here is written there, so that people see it where they look."""

import structlog

from dam_connector.domain.run import RunKind
from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import ConfigError, NotFound
from dam_connector.usecases.follow_up_runs import again, follow
from dam_connector.wiring import Services

log = structlog.get_logger()
TOLD = frozenset(VersionState) - {VersionState.DRAFT, VersionState.BLOCKED}


def tell_later(services: Services, version: Version) -> None:
    """See to it that the version's DAM is told; by a run of its own where that takes a request, which is tried until it arrives."""
    if not version.dam_ref:
        return
    try:
        ours = services.dam(version.dam).capabilities.is_reviewed_here
    except ConfigError:
        return  # its connection was taken out of plugin.json
    if ours:
        tell(services, version)
    else:
        follow(services, version, RunKind.WRITE_STATE, again("tell", services))


def tell(services: Services, version: Version) -> None:
    """Write how the versions of this one's asset stand into the DAMs that do not know it yet. Raises: Unavailable, RateLimited, Refused."""
    for each in services.assets.of_asset(version):
        if each.dam_ref and each.state in TOLD and each.dam_state != each.state:
            _tell_of(services, each)


def _tell_of(services: Services, version: Version) -> None:
    try:
        services.dam(version.dam).write_state(
            version.dam_ref, version.state, services.decisions.current(version.id)
        )
    except ConfigError:
        return
    except NotFound as error:
        log.warning("gone_from_dam", version_id=version.id, error=str(error))
        services.history.add(
            "gone_from_dam", sku=version.asset.sku, version_id=version.id, detail=version.dam
        )
    services.assets.set_dam_state(version.id, version.state)
