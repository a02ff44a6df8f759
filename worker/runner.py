"""The runner: executes the steps of a run, under a lease, with checkpoints and retries."""

import errno
import os
import socket
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import structlog

from dam_connector import tracing
from dam_connector.domain.codec import from_plain, to_plain
from dam_connector.domain.ids import Sha256
from dam_connector.domain.notify import NotifyEvent
from dam_connector.domain.retry_policy import FOLLOW_UP_RETRIES, RUN_RETRIES, RetryPolicy
from dam_connector.domain.row_request import apply_request
from dam_connector.domain.rules import Deliverable
from dam_connector.domain.run import (
    ALL_STEPS_DONE,
    COMPUTE_KINDS,
    MEMORY_TRIES,
    TOO_LARGE,
    RunKind,
    RunState,
)
from dam_connector.errors import (
    RETRYABLE,
    Busy,
    ConnectorError,
    FileMissing,
    InputError,
    OutOfCredit,
    RateLimited,
    StateConflict,
    StorageUnavailable,
)
from dam_connector.store.blobs import shown_location
from dam_connector.store.named_locks import repeat_every
from dam_connector.store.request_origin import work_origin
from dam_connector.store.run_records import RunRecord
from dam_connector.usecases.broker.submission import CREDIT_RETRY_S
from dam_connector.wiring import Services
from worker.pipeline import StepNotFound, steps_from
from worker.work import Park, Work

log = structlog.get_logger()

RUN_LEASE_S = 20.0
HEARTBEAT_S = 5.0
DISK_RETRY_S = 30.0  # until a run looks again whether there is enough free disk
# Of this machine: its disk, memory, files and network. Whatever the step does, they pass.
PASSING_ERRNOS = frozenset(
    getattr(errno, name)
    for name in [
        "ENOSPC",
        "EDQUOT",
        "EIO",
        "EROFS",
        "EMFILE",
        "ENFILE",
        "ENOMEM",
        "EAGAIN",
        "EBUSY",
        "ESTALE",
        "EPIPE",
        "ECONNREFUSED",
        "ECONNRESET",
        "ECONNABORTED",
        "ETIMEDOUT",
        "ENETDOWN",
        "ENETUNREACH",
        "EHOSTDOWN",
        "EHOSTUNREACH",
    ]
)


def advance(services: Services, run_id: str) -> None:
    """Execute a run's steps until it is done, parked or failed.

    Do nothing when it is not due, or another process has leased it.
    """
    run = services.runs.lease(run_id, owner(), RUN_LEASE_S)
    if run is None:
        return
    structlog.contextvars.bind_contextvars(
        origin=run.origin, run_id=run.id, sku=run.sku, deliverable=run.deliverable
    )
    token = work_origin.set(run.origin)
    try:
        with (
            tracing.span(
                "run",
                origin=run.origin,
                run_id=run.id,
                run_kind=run.kind.value,
                sku=run.sku,
                deliverable=run.deliverable,
            ),
            _heartbeat(services, run),
            services.db.guarded(services.runs.fence(run)),
        ):
            _run_steps(services, run)
    except StateConflict as error:
        log.warning("run_lost", error=str(error))
        services.counters.add("leases_lost")
        _count_end(services, run, "lost")
    except StorageUnavailable as error:  # not even the waiting could be stored: its lease runs out
        log.warning("run_left", error=str(error))
        _count_end(services, run, "left")
    finally:
        work_origin.reset(token)
        structlog.contextvars.clear_contextvars()


def owner() -> str:
    """Return the name under which this process holds leases."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _run_steps(services: Services, run: RunRecord) -> None:
    """Run the steps from the checkpoint on. Store a checkpoint after each one."""
    try:
        steps = steps_from(run.kind, run.next_step)
    except StepNotFound as error:
        _fail(services, run, str(error))
        return
    names = [*(step.__name__ for step in steps), ALL_STEPS_DONE]
    if run.attempts >= MEMORY_TRIES and run.error.startswith(TOO_LARGE):
        _fail(services, run, f"{names[0]}: {run.error}")
        return
    if run.attempts > _retries(run).max_attempts:
        _fail(services, run, f"the worker died {run.attempts} times at {names[0]}")
        return
    if run.work:  # a retry may have given it the rules in force
        work = replace(from_plain(Work, run.work), rules_fingerprint=run.rules_fingerprint)
    else:
        work = _start_work(services, run)
    timings = dict(run.timings)
    for step, name, next_name in zip(steps, names, names[1:], strict=False):
        if run.kind in COMPUTE_KINDS and (shortage := services.disk.shortage()):
            services.runs.park(run, services.clock.now() + timedelta(seconds=DISK_RETRY_S), shortage)
            _count_end(services, run, "parked")
            return
        started, began = time.process_time(), time.monotonic()
        try:
            with tracing.span(f"step {name}", expected=(Park,), step=name):
                work = step(work, services)
        except Park as park:
            parked = to_plain(park.work or work)
            services.runs.checkpoint(run, step=name, next_step=name, work=parked, timings=timings)
            services.runs.park(run, park.until, park.reason)
            _count_end(services, run, "parked")
            return
        except Exception as error:  # noqa: BLE001 - one step never stops the worker
            _end_on_error(services, run, name, error)
            return
        cpu_s = time.process_time() - started
        services.counters.observe("step_seconds", time.monotonic() - began, step=name)
        services.counters.add("step_cpu_seconds", cpu_s, step=name)
        timings[name] = round(timings.get(name, 0.0) + cpu_s, 3)
        services.runs.checkpoint(run, step=name, next_step=next_name, work=to_plain(work), timings=timings)
        run = replace(run, attempts=0)
    services.runs.finish(run, RunState.DONE)
    _count_end(services, run, "done")
    log.info("run_done", cpu_s=round(sum(timings.values()), 2))


def _end_on_error(services: Services, run: RunRecord, step: str, error: Exception) -> None:
    """Fail, cancel or put off a run whose step raised, by the class of the error."""
    if isinstance(error, InputError):
        _flag_product(services, run, error)
    elif isinstance(error, StateConflict):  # the step's work is no longer wanted, or the lease was lost
        services.runs.finish(run, RunState.CANCELLED, f"{step}: {error}")
        _count_end(services, run, "cancelled")
    elif isinstance(error, ConnectorError):
        _retry_or_fail(services, run, step, error)
    elif isinstance(error, OSError) and error.errno in PASSING_ERRNOS:
        cause = error.strerror or type(error).__name__
        _retry_or_fail(services, run, step, StorageUnavailable("disk", step, cause))
    else:
        log.error("step_broke", step=step, exc_info=error)
        place = traceback.extract_tb(error.__traceback__)[-1]
        source = f"{os.path.basename(place.filename)}:{place.lineno}"
        _fail(services, run, f"{step}: {type(error).__name__}: {error} ({source})")


def _start_work(services: Services, run: RunRecord) -> Work:
    """Return the work of a run that has no checkpoint yet.

    Raises:
        StateConflict: The product or the deliverable is gone. The run was cancelled.
    """
    record = services.products.get(run.sku)
    rules = services.rules.with_fingerprint(run.rules_fingerprint)
    known = rules.deliverable(run.deliverable)
    deliverable = apply_request(known, record.product.request) if record and known else None
    if record and run.kind not in COMPUTE_KINDS:  # what was made is taken off even if nobody asks for it now
        deliverable = known or Deliverable(name=run.deliverable, kind=RunKind.IMAGE)
    if record is None or deliverable is None:
        services.runs.finish(
            run, RunState.CANCELLED, "the product or the deliverable is gone, or no longer asked for"
        )
        raise StateConflict("nothing to do")
    version = services.assets.get(run.version_id) if run.version_id else None
    work = Work(
        run_id=run.id,
        product=record.product,
        deliverable=deliverable,
        slot=run.slot,
        rules_fingerprint=run.rules_fingerprint,
        note=run.note,
        bulk=run.bulk,
        batch_id=run.batch_id,
        generator=run.generator,
        sources={view: Sha256(sha) for view, sha in record.sources.items()},
    )
    return (
        replace(
            work, version_id=version.id, number=version.number, files=version.files, report=version.report
        )
        if version
        else work
    )


def _flag_product(services: Services, run: RunRecord, error: InputError) -> None:
    """Add the issue of unusable input to the product, and fail the run."""
    with services.transaction():
        services.products.add_issues(run.sku, (error.to_issue(),))
        services.runs.finish(run, RunState.FAILED, f"{error.issue_code}: {error}")
    _count_end(services, run, "failed")
    log.info("run_flagged", code=error.issue_code)


def _retry_or_fail(services: Services, run: RunRecord, step: str, error: ConnectorError) -> None:
    """Park the run for another try when that may help; else, or after the last try, fail it."""
    message = f"{step}: {_lost_file(services, run, error) if isinstance(error, FileMissing) else error}"
    counts_not = isinstance(error, (Busy, StorageUnavailable))
    if isinstance(error, OutOfCredit):
        services.runs.park(run, services.clock.now() + timedelta(seconds=CREDIT_RETRY_S), message)
        _count_end(services, run, "retried")
    elif isinstance(error, (*RETRYABLE, FileMissing)) and (
        counts_not or not _retries(run).is_last(run.attempts)
    ):
        backoff = _retries(run).wait_s(run.attempts)
        wait = error.retry_after_s if isinstance(error, RateLimited) else backoff
        services.runs.park(
            run,
            services.clock.now() + timedelta(seconds=wait),
            message,
            failed_try=not counts_not,
        )
        _count_end(services, run, "retried")
        log.warning("run_put_off", step=step, error=message, wait_s=wait)
    else:
        _fail(services, run, message)


def _lost_file(services: Services, run: RunRecord, error: FileMissing) -> str:
    """Return which file the storage of this worker lacks. Other workers may have another storage."""
    record = services.products.get(run.sku)
    photos = record.sources.items() if record else ()
    photo = next((f"the {view} photo" for view, sha256 in photos if sha256 in error.reason), "")
    file = photo or f"the file {error.reason.rpartition(' ')[2]}"
    where = shown_location(services.settings.effective_storage_url)
    return f"the storage {where} does not have {file} of {run.sku}; is STORAGE_URL the same everywhere?"


def _retries(run: RunRecord) -> RetryPolicy:
    return RUN_RETRIES if run.kind in COMPUTE_KINDS else FOLLOW_UP_RETRIES


def _fail(services: Services, run: RunRecord, message: str) -> None:
    with services.transaction():
        services.runs.finish(run, RunState.FAILED, message[:2000])
        services.outbox.add(NotifyEvent.RUN_FAILED, sku=run.sku, detail=message)
    _count_end(services, run, "failed")
    log.error("run_failed", error=message)


def _count_end(services: Services, run: RunRecord, outcome: str) -> None:
    """Count that this worker left a run; `run_seconds` counts only those that are over."""
    tracing.note(run_outcome=outcome)
    services.counters.add("runs_ended", kind=run.kind.value, outcome=outcome)
    if outcome in ("done", "failed"):
        seconds = (services.clock.now() - run.created_at).total_seconds()
        services.counters.observe("run_seconds", max(0.0, seconds), kind=run.kind.value)


@contextmanager
def _heartbeat(services: Services, run: RunRecord) -> Iterator[None]:
    """Renew the lease while a step computes. A lost lease is noticed at the next checkpoint."""
    with repeat_every(HEARTBEAT_S, lambda: services.runs.renew(run, RUN_LEASE_S)):
        yield
