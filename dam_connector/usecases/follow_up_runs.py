"""Follow-ups: runs that come of what was said about a version."""

from datetime import datetime

from dam_connector.domain.ids import RunId, new_id
from dam_connector.domain.run import GENERATION_KINDS, RunKind, job_name
from dam_connector.domain.version import Version
from dam_connector.store.runs import NewRun
from dam_connector.wiring import Services


def plan_follow_up(
    services: Services,
    version: Version,
    kind: RunKind,
    input_hash: str,
    *,
    due_at: datetime | None = None,
    note: str = "",
    bulk: bool = False,
    generator: str = "",
) -> RunId | None:
    """Plan a run about this version, or of its asset's next one; None when that was asked for already. due_at: now, when absent."""
    asset, now = version.asset, services.clock.now()
    wanted = NewRun(
        kind=kind,
        sku=asset.sku,
        deliverable=asset.deliverable,
        slot=asset.slot,
        input_hash=input_hash,
        note=note,
        bulk=bulk,
        generator=generator,
        version_id=None if kind in GENERATION_KINDS else version.id,
        due_at=due_at or now,
        rules_fingerprint=services.rules.current().fingerprint,
    )
    added = services.runs.add([wanted])
    if added and (due_at is None or due_at <= now):
        services.queue.wake(job_name(kind, bulk=bulk), added)
    return added[0] if added else None


def unique_input_hash(what: str, services: Services) -> str:
    """An input hash that no run had before: what was asked for is done each time that it is asked."""
    return f"{what}:{new_id('ask', services.clock.now())}"
