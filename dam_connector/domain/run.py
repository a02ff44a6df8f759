"""Runs: one slot of one deliverable is made, or one version is published, for one SKU."""

from collections.abc import Mapping
from enum import StrEnum


class RunKind(StrEnum):
    """What a run does: it follows the entry of this kind in worker/pipeline.py."""

    IMAGE = "image"
    MODEL = "model"
    ADOPT_PICTURE = "adopt_picture"
    ADOPT_MODEL = "adopt_model"
    UPSCALE = "upscale"
    REVIEW = "review"
    PUBLISH = "publish"
    WITHDRAW = "withdraw"
    WRITE_STATE = "tell"


class RunState(StrEnum):
    """How a run is now."""

    QUEUED = "queued"
    RUNNING = "running"
    PARKED = "parked"  # waits until a time, or until it is woken
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


R = RunState
TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    R.QUEUED: frozenset({R.RUNNING, R.CANCELLED}),
    # running -> running: another worker takes over after the lease ran out
    R.RUNNING: frozenset({R.RUNNING, R.PARKED, R.DONE, R.FAILED, R.CANCELLED}),
    R.PARKED: frozenset({R.RUNNING, R.CANCELLED}),
    R.DONE: frozenset(),
    # failed -> cancelled: its input is no longer asked for, or a person dismissed it
    R.FAILED: frozenset({R.QUEUED, R.CANCELLED}),
    R.CANCELLED: frozenset({R.QUEUED}),
}
OPEN_STATES = (R.QUEUED, R.RUNNING, R.PARKED)
MEMORY_TRIES = 2  # of a run whose job needs too much memory: the second one begins in a small process
TOO_LARGE = "it needed more memory than a job may have"  # how the errors of such runs begin
ALL_STEPS_DONE = "all_steps_done"  # next_step of a run whose last step is done; no step has this name
MAKING_KINDS = (RunKind.IMAGE, RunKind.MODEL)  # they make files from the product's facts
ADOPTION_KINDS = (RunKind.ADOPT_PICTURE, RunKind.ADOPT_MODEL)  # they take a finished file
GENERATION_KINDS = (*MAKING_KINDS, *ADOPTION_KINDS)  # they fill a slot with a version
COMPUTE_KINDS = (*GENERATION_KINDS, RunKind.UPSCALE)  # they need a worker that computes


def too_large_text(limit_bytes: int) -> str:
    """Return the error of a run whose job was ended for its memory."""
    return (
        f"{TOO_LARGE}: over {limit_bytes / 1e9:.1f} GB. Give fewer or smaller pictures or files, or let the "
        "admin raise DAM_CONNECTOR_JOB_MEMORY_MB."
    )


def job_name(kind: RunKind, *, bulk: bool) -> str:
    """Return the name of the RQ job that advances a run.

    Args:
        kind: The run's kind. Kinds that compute have jobs of their own.
        bulk: Whether a batch asked for the run: such runs wait in a queue of their own.
    """
    if kind not in COMPUTE_KINDS:
        return "finish_run"
    return "advance_bulk_run" if bulk else "advance_run"
