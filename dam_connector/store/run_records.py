"""The records of runs: as they are added, and as they are stored."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from dam_connector.domain.ids import RunId
from dam_connector.domain.run import GENERATION_KINDS, RunKind, RunState
from dam_connector.store.tables import runs as t
from dam_connector.store.tables import versions

NEWER_FACTS = "newer facts arrived"  # the error of runs that a newer input, or a deletion, cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run to be stored."""

    kind: RunKind
    sku: str
    deliverable: str
    slot: int
    input_hash: str  # unique; see `base_input_hash`
    former_hashes: tuple[str, ...] = ()  # those that an earlier release gave to the same input
    rules_fingerprint: str  # of the rules that it follows from its first to its last step
    version_id: str | None = None  # the version that it publishes, reviews or upscales
    note: str = ""  # a reviewer's note about the version before
    due_at: datetime | None = None  # None: now
    bulk: bool = False  # one of many: it waits in a queue of its own
    batch_id: str = ""  # the batch that asked for it
    generator: str = ""  # the generator that a person chose; empty: the rules decide

    def to_row(self) -> dict[str, Any]:
        """Return the fields that are stored as they are."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in ("due_at", "former_hashes")
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run as stored."""

    id: RunId
    kind: RunKind
    sku: str
    deliverable: str
    slot: int
    version_id: str | None
    input_hash: str
    rules_fingerprint: str
    note: str
    bulk: bool
    batch_id: str
    generator: str
    state: RunState  # the fields above are explained at `NewRun`
    next_step: str  # the step to run next; "" before the first, ALL_STEPS_DONE after the last
    step: str  # the step that wrote the last checkpoint
    work: Mapping[str, Any]  # the checkpoint: the worker's Work as JSON
    timings: Mapping[str, float]  # CPU-seconds by step
    fence: int  # raised by each lease: writes of an older lease are refused
    attempts: int  # since the last checkpoint
    due_at: datetime | None
    error: str  # why it failed, was cancelled, or waits
    origin: str  # the id of the delivery or run that began it all; empty: of an older release
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class FailedRun(NamedTuple):
    """What a retry depends on, of a failed run."""

    sku: str
    deliverable: str
    kind: RunKind
    rules_fingerprint: str
    error: str


class BlockedRun(NamedTuple):
    """What a retry depends on, of a run that made a blocked version."""

    sku: str
    deliverable: str
    slot: int
    kind: RunKind
    rules_fingerprint: str


class RunInput(NamedTuple):
    """The input of a run that makes a version."""

    input_hash: str
    rules_fingerprint: str


def is_dismissed(state: str, error: str) -> bool:
    """Return whether a run was cancelled otherwise than by newer facts: its input makes no run by itself."""
    return state == RunState.CANCELLED and error not in ("", NEWER_FACTS)


def is_generation(sku: str, deliverable: str, slot: int) -> sa.ColumnElement[bool]:
    """Return the condition that a run makes a version of a slot."""
    of_slot = (t.c.sku == sku, t.c.deliverable == deliverable, t.c.slot == slot)
    return sa.and_(*of_slot, t.c.kind.in_(GENERATION_KINDS))


def newest_generation(of_slot: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Return the query of the newest run that makes a version of a slot, by `is_generation`."""
    return (
        sa.select(t.c.id, t.c.input_hash, t.c.rules_fingerprint, t.c.state)
        .where(of_slot)
        .order_by(t.c.created_at.desc(), t.c.id.desc())
        .limit(1)
    )


def base_input_hash(input_hash: str) -> str:
    """Return an input hash without its suffix; the suffix after `~` separates repeated runs of one input."""
    return input_hash.partition("~")[0]


def run_from_row(row: Any) -> RunRecord:
    """Build a record from a row of the table `runs`."""
    values = {name: getattr(row, name) for name in RunRecord.__dataclass_fields__}
    return RunRecord(**{**values, "kind": RunKind(row.kind), "state": RunState(row.state)})


def origin_of_version(c: sa.Connection, version_id: str | None) -> str:
    """Return where the run came from that made a version, so that its publication has the same origin."""
    query = sa.select(t.c.origin).join(versions, versions.c.run_id == t.c.id)
    return str(c.execute(query.where(versions.c.id == version_id)).scalar() or "") if version_id else ""
