"""Follow-up runs: runs that follow from a decision or a request about a version."""

from datetime import datetime

from dam_connector.domain.ids import RunId, new_id
from dam_connector.domain.run import GENERATION_KINDS, RunKind, job_name
from dam_connector.domain.version import Version
from dam_connector.store.run_records import NewRun
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
    """Plan a run once for a version, or for its asset's next version.

    Args:
        kind: a kind in `GENERATION_KINDS` makes the next version; any other works on this one.
        input_hash: identifies the request. A run with the same hash is planned only once.
        due_at: when the run is to start; None: now.
        note: the reviewer's wishes for the next version.
        bulk: the run is one of many, and waits behind those of single products.
        generator: who makes the next version; empty: by the rules.

    Returns:
        The id of the new run; None when it was planned before.
    """
    asset, now = version.asset, services.clock.now()
    run = NewRun(
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
    added = services.runs.add([run])
    if added and (due_at is None or due_at <= now):
        services.queue.wake(job_name(kind, bulk=bulk), added)
    return added[0] if added else None


def unique_input_hash(prefix: str, services: Services) -> str:
    """Return an input hash that no run had before, for requests that may be repeated."""
    return f"{prefix}:{new_id('ask', services.clock.now())}"
