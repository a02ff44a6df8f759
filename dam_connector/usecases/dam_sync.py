"""Heeding DAMs: what people decide there counts here. A webhook and a poll are the same hint: how the version stands is asked."""

from datetime import datetime, timedelta

import structlog

from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import AdapterError, ConfigError, NotFound, StateConflict
from dam_connector.ports import RemoteState
from dam_connector.store.decisions import STATE_AFTER
from dam_connector.usecases.publish import withdraw
from dam_connector.usecases.review import decide
from dam_connector.usecases.telling import TOLD, tell_later
from dam_connector.wiring import Services

log = structlog.get_logger()


def heed(services: Services, dam: str, ref: str) -> str:
    """Take in how a version stands in a DAM; gives a few words about it.

    The first decision counts: a later one of another mind is written over, and stands in the history. Nobody approves files that were changed by hand:
    the version goes back into review there. Raises: Unavailable, RateLimited, Refused.
    """
    version = services.assets.by_dam_ref(dam, ref)
    if version is None:
        return f"{ref}: not one of ours"
    if version.state not in TOLD:
        return f"{version.id}: still on its way into review"
    try:
        found = services.dam(dam).remote_state(ref, version)
    except NotFound:
        return f"{version.id}: gone from {dam}"
    services.assets.set_dam_state(version.id, found.state)
    if found.state is version.state:
        return f"{version.id}: {found.state.value} as here"
    if _of_one_mind(services, version, found):
        tell_later(services, version)  # it only does not know yet how the version stands here
        return f"{version.id}: {found.state.value} there, {version.state.value} here"
    if found.state is VersionState.APPROVED and (changed := services.dam(dam).changed_files(ref, version)):
        return _refuse(services, version, "changed_in_dam", f"{dam}: {', '.join(changed)}")
    return _follow(services, version, found, dam)


def _of_one_mind(services: Services, version: Version, found: RemoteState) -> bool:
    """Whether what stands there was decided here in the same way before, or is nobody's decision."""
    if found.decision is None:
        return found.state is VersionState.IN_REVIEW
    standing = services.decisions.current(version.id)
    return (
        standing is not None
        and standing.verdict is found.decision.verdict
        and version.state is not VersionState.IN_REVIEW
    )


def _follow(services: Services, version: Version, found: RemoteState, dam: str) -> str:
    said = found.decision
    try:
        if found.state is VersionState.WITHDRAWN and version.state is VersionState.PUBLISHED:
            withdraw(services, version, by=said.by if said else dam, reason=said.note if said else "")
            return f"{version.id} withdrawn"
        if said and found.state is STATE_AFTER[said.verdict] and version.state is VersionState.IN_REVIEW:
            decide(services, version, said, source=dam)
            return f"{version.id} {said.verdict.value}"
    except StateConflict:  # a webhook and a poll, or a person on our page, at the same moment
        version = services.assets.get(version.id) or version
        if _of_one_mind(services, version, found):
            return f"{version.id}: decided meanwhile"
    words = f"{dam}: {found.state.value}" + (f" by {said.by}" if said else "")
    return _refuse(services, version, "overruled", words)


def _refuse(services: Services, version: Version, what: str, detail: str) -> str:
    """Write our own word over what stands in the DAM."""
    services.history.add(what, sku=version.asset.sku, version_id=version.id, detail=detail)
    tell_later(services, version)
    return f"{version.id}: {what} ({detail})"


def poll_dams(services: Services) -> int:
    """How many versions were changed in a DAM since it was asked last: what its webhooks lost arrives here."""
    found = 0
    for name in services.rules.current().dam:
        try:
            found += _poll(services, name)
        except (AdapterError, ConfigError) as error:
            log.warning("dam_poll_failed", dam=name, error=str(error))
    return found


def _poll(services: Services, name: str) -> int:
    dam, now = services.dam(name), services.clock.now()
    noted = services.notes.get(f"dam-poll:{name}") or {}
    if (
        dam.capabilities.poll_interval_s
        and noted
        and now < datetime.fromisoformat(noted["at"]) + timedelta(seconds=dam.capabilities.poll_interval_s)
    ):
        return 0
    refs, cursor = dam.changed_since(noted.get("cursor", ""))
    for ref in refs:
        heed(services, name, ref)
    if refs or dam.capabilities.poll_interval_s or cursor != noted.get("cursor", ""):
        services.notes.set(f"dam-poll:{name}", {"cursor": cursor, "at": now.isoformat()})
    return len(refs)
