"""Outbound synchronization: version states of ours are written into the DAMs."""

from dataclasses import replace

import structlog

from dam_connector.domain.comment import summary_text
from dam_connector.domain.event import Decision
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import ConfigError, NotFound
from dam_connector.usecases.follow_up_runs import plan_follow_up, unique_input_hash
from dam_connector.wiring import Services

log = structlog.get_logger()
MAX_NOTE_CHARS = 2000  # of a note in a DAM
SYNCED_STATES = frozenset(VersionState) - {VersionState.DRAFT, VersionState.BLOCKED}


def sync_to_dam(services: Services, version: Version) -> None:
    """Bring a version's DAM in line with our state of the version.

    The built-in library is written at once. Other DAMs take a request, which a run of its own repeats until
    it succeeds. Do nothing when the version is in no DAM, or its DAM is no longer in plugin.json.
    """
    if not version.dam_ref:
        return
    try:
        is_built_in = services.dam(version.dam).capabilities.is_reviewed_here
    except ConfigError:
        return
    if is_built_in:
        write_asset_states(services, version)
    else:
        plan_follow_up(services, version, RunKind.WRITE_STATE, unique_input_hash("tell", services))


def write_asset_states(services: Services, version: Version) -> None:
    """Write the state of each version of an asset whose DAM does not have it yet.

    Args:
        version: any version of the asset.

    Raises:
        Refused: do not retry.
        Unavailable, RateLimited: retry later.
    """
    for sibling in services.assets.versions(version.asset.id):
        if sibling.dam_ref and sibling.state in SYNCED_STATES and sibling.dam_state != sibling.state:
            _write_state(services, sibling)


def _write_state(services: Services, version: Version) -> None:
    """Write the state of one version. While the request is under way, the DAM's state is not known."""
    services.assets.set_dam_state(version.id, None)
    try:
        services.dam(version.dam).write_state(
            version.dam_ref, version.state, decision_with_comments(services, version)
        )
    except ConfigError:
        return
    except NotFound as error:
        log.warning("gone_from_dam", version_id=version.id, error=str(error))
        services.history.add(
            "gone_from_dam", sku=version.asset.sku, version_id=version.id, detail=version.dam
        )
    services.assets.set_dam_state(version.id, version.state)


def decision_with_comments(services: Services, version: Version) -> Decision | None:
    """Return the decision about a version, with the open comments in its note."""
    decision = services.decisions.current(version.id)
    if decision is None:
        return None
    comments = summary_text(services.comments.of_version(version))
    note = "; ".join(filter(None, [decision.note, comments]))
    return replace(decision, note=note[:MAX_NOTE_CHARS])
