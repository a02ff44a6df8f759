"""Inbound synchronization: decisions that people make in a DAM become ours.

A webhook and a poll are the same hint. The state of the version is always read from the DAM.
"""

from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import AdapterError, ConfigError, NotFound, StateConflict
from dam_connector.ports import RemoteState
from dam_connector.store.decisions import STATE_AFTER
from dam_connector.usecases.dam_sync.outbound import SYNCED_STATES, sync_to_dam
from dam_connector.usecases.publish import withdraw
from dam_connector.usecases.review import decide
from dam_connector.wiring import Services

log = structlog.get_logger()
LIVE_STATES = (VersionState.APPROVED, VersionState.PUBLISHED)  # an approved one may be live in some channels


def sync_from_dam(services: Services, dam: str, ref: str) -> str:
    """Read the state of a version from a DAM and adopt the decision that a person made there.

    The first decision counts. A later, different one is recorded in the history, and our state is written
    over it. A version that was approved and is withdrawn in the DAM later is withdrawn here. An approval of
    files that were changed in the DAM is refused: the version goes back into review there.

    Args:
        dam: the DAM's name in plugin.json.
        ref: the DAM's reference of the version.

    Returns:
        A summary for people, e.g. `ver_01J... approved`.

    Raises:
        Refused: do not retry.
        Unavailable, RateLimited: retry later.
    """
    version = services.assets.by_dam_ref(dam, ref)
    if version is None:
        return f"{ref}: not one of our versions"
    if version.state not in SYNCED_STATES and not _is_in_review_now(services, version):
        return f"{version.id}: not yet in review; read again when it is"
    try:
        remote = services.dam(dam).remote_state(ref, version)
    except NotFound:
        return f"{version.id}: no longer in {dam}"
    if _was_withdrawn_there(version, remote):
        with suppress(StateConflict):  # somebody withdrew or rejected it here meanwhile
            _withdraw(services, version, remote, dam)
            return f"{version.id} withdrawn"
    services.assets.set_dam_state(version.id, remote.state)
    if remote.state is version.state:
        return f"{version.id}: {remote.state.value} in {dam} and here"
    if _is_outdated(services, version, remote):
        sync_to_dam(services, version)
        return f"{version.id}: {remote.state.value} in {dam}, {version.state.value} here"
    if remote.state is VersionState.APPROVED and (changed := services.dam(dam).changed_files(ref, version)):
        return _overrule(services, version, "changed_in_dam", f"{dam}: {', '.join(changed)}")
    return _adopt(services, version, remote, dam)


def _is_in_review_now(services: Services, version: Version) -> bool:
    """Return False, and remember to read the DAM again later, if a version is not in review yet."""
    with services.transaction():
        services.assets.lock_asset(version.asset.id)
        current = services.assets.get(version.id)
        if current is None or current.state in SYNCED_STATES:
            return True
        services.notes.set(_early_note(version), True)
    return False


def sync_early_decision(services: Services, version: Version) -> None:
    """Read a version's DAM if somebody decided there before the version was in review here.

    Raises:
        Refused: do not retry.
        Unavailable, RateLimited: retry later.
    """
    if services.notes.get(_early_note(version)):
        sync_from_dam(services, version.dam, version.dam_ref)
        services.notes.delete(_early_note(version))


def _early_note(version: Version) -> str:
    return f"early:{version.id}"


def _was_withdrawn_there(version: Version, remote: RemoteState) -> bool:
    """Return whether somebody withdrew a version in the DAM after it was approved.

    A withdrawal of ours that the DAM still shows, e.g. after a rollback, is not meant: then the DAM is known
    to have this state, or a write of ours was under way and the DAM's state is not known.
    """
    is_news = bool(version.dam_state) and version.dam_state != VersionState.WITHDRAWN
    return is_news and remote.state is VersionState.WITHDRAWN and version.state in LIVE_STATES


def _withdraw(services: Services, version: Version, remote: RemoteState, dam: str) -> None:
    """Withdraw a version as somebody did in the DAM, and record that the DAM has this state."""
    by, reason = (remote.decision.by, remote.decision.note) if remote.decision else (dam, "")
    with services.transaction():
        services.assets.set_dam_state(version.id, remote.state)
        withdraw(services, version, by=by, reason=reason)


def _is_outdated(services: Services, version: Version, remote: RemoteState) -> bool:
    """Return whether the DAM only lacks our state: nobody decided there, or we have the same decision."""
    if remote.decision is None:
        return remote.state is VersionState.IN_REVIEW
    ours = services.decisions.current(version.id)
    return (
        ours is not None
        and ours.verdict is remote.decision.verdict
        and version.state is not VersionState.IN_REVIEW
    )


def _adopt(services: Services, version: Version, remote: RemoteState, dam: str) -> str:
    decision = remote.decision
    try:
        if (
            decision
            and remote.state is STATE_AFTER[decision.verdict]
            and version.state is VersionState.IN_REVIEW
        ):
            ended = decide(services, version, decision, source=dam)
            return f"{version.id} {decision.verdict.value}" + ("" if ended else ", for one stage")
    except StateConflict:  # a webhook and a poll, or a person on our page, at the same moment
        version = services.assets.get(version.id) or version
        if _is_outdated(services, version, remote):
            return f"{version.id}: decided meanwhile"
    detail = f"{dam}: {remote.state.value}" + (f" by {decision.by}" if decision else "")
    return _overrule(services, version, "overruled", detail)


def _overrule(services: Services, version: Version, what: str, detail: str) -> str:
    """Record in the history that the DAM's state does not count, and write ours over it."""
    services.history.add(what, sku=version.asset.sku, version_id=version.id, detail=detail)
    sync_to_dam(services, version)
    return f"{version.id}: {what} ({detail})"


def poll_dams(services: Services) -> int:
    """Ask each DAM for changes since the last poll; return how many.

    This finds changes with lost webhooks.
    """
    found = 0
    for name in services.rules.current().dam:
        try:
            found += _poll_dam(services, name)
        except (AdapterError, ConfigError) as error:
            log.warning("dam_poll_failed", dam=name, error=str(error))
    return found


def _poll_dam(services: Services, name: str) -> int:
    dam, now = services.dam(name), services.clock.now()
    interval_s = dam.capabilities.poll_interval_s
    last = services.notes.get(f"dam-poll:{name}") or {}
    if interval_s and last and now < datetime.fromisoformat(last["at"]) + timedelta(seconds=interval_s):
        return 0
    refs, cursor = dam.changed_since(last.get("cursor", ""))
    for ref in refs:
        sync_from_dam(services, name, ref)
    if refs or interval_s or cursor != last.get("cursor", ""):
        services.notes.set(f"dam-poll:{name}", {"cursor": cursor, "at": now.isoformat()})
    return len(refs)
