"""Run: one slot of one deliverable being made, or one version being published, for one SKU."""

from collections.abc import Mapping
from enum import StrEnum


class RunKind(StrEnum):
    """Which row of worker/pipeline.py a run follows."""

    IMAGE = "image"
    MODEL = "model"
    UPSCALE = "upscale"
    REVIEW = "review"
    PUBLISH = "publish"
    WITHDRAW = "withdraw"
    TELL = "tell"


class RunState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PARKED = "parked"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


R = RunState
TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    R.QUEUED: frozenset({R.RUNNING, R.CANCELLED}),
    R.RUNNING: frozenset(
        {R.RUNNING, R.PARKED, R.DONE, R.FAILED, R.CANCELLED}
    ),  # running again: a lost lease taken over
    R.PARKED: frozenset({R.RUNNING, R.CANCELLED}),
    R.DONE: frozenset(),
    R.FAILED: frozenset({R.QUEUED}),
    R.CANCELLED: frozenset({R.QUEUED}),
}
OPEN = (R.QUEUED, R.RUNNING, R.PARKED)
MAKING = (RunKind.IMAGE, RunKind.MODEL)  # a slot from the product's facts
COMPUTING = (*MAKING, RunKind.UPSCALE)


def job_for(kind: RunKind, *, bulk: bool) -> str:
    """The job that advances a run: making goes to the workers that compute, what a batch asked for in a lane of its own."""
    if kind not in COMPUTING:
        return "finish_run"
    return "advance_bulk_run" if bulk else "advance_run"
