"""The runner: takes a run through its steps. Lease, checkpoint, park, retry, sorting of errors, timings."""

import os
import socket
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import structlog

from dam_connector.domain.codec import from_plain, to_plain
from dam_connector.domain.ids import Sha256
from dam_connector.domain.row_request import apply_request
from dam_connector.domain.run import RunState
from dam_connector.errors import (
    RETRYABLE,
    Busy,
    ConnectorError,
    InputError,
    OutOfCredit,
    RateLimited,
    StateConflict,
)
from dam_connector.store.runs import RunRecord
from dam_connector.wiring import Services
from worker.pipeline import PIPELINES
from worker.work import Park, Work

log = structlog.get_logger()

LEASE_S = 20.0
HEARTBEAT_S = 5.0
MAX_ATTEMPTS = 8  # tries of one step, deaths of its worker among them
FIRST_RETRY_S = 4.0
CREDIT_RETRY_S = 900.0


def advance(services: Services, run_id: str) -> None:
    """Take a run as far as it goes. Does nothing when it is not due or somebody else has it."""
    run = services.runs.lease(run_id, owner(), LEASE_S)
    if run is None:
        return
    structlog.contextvars.bind_contextvars(run_id=run.id, sku=run.sku, deliverable=run.deliverable)
    try:
        with _heartbeat(services, run):
            _run_steps(services, run)
    except StateConflict as error:
        log.warning("run_lost", error=str(error))
    finally:
        structlog.contextvars.clear_contextvars()


def owner() -> str:
    """Who holds a lease: this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _run_steps(services: Services, run: RunRecord) -> None:
    steps = PIPELINES[run.kind]
    if run.attempts > MAX_ATTEMPTS:
        _fail(services, run, f"the worker died {run.attempts} times at {steps[run.position].__name__}")
        return
    work = from_plain(Work, run.work) if run.work else _begin(services, run)
    timings = dict(run.timings)
    for position in range(run.position, len(steps)):
        step = steps[position]
        started = time.process_time()
        try:
            work = step(work, services)
        except Park as park:
            services.runs.checkpoint(run, position, step.__name__, to_plain(park.work or work), timings)
            services.runs.park(run, park.until)
            return
        except InputError as error:
            _flag(services, run, error)
            return
        except (
            StateConflict
        ) as error:  # what the step was to do is no longer wanted; a lost lease shows itself here too
            services.runs.finish(run, RunState.CANCELLED, f"{step.__name__}: {error}")
            return
        except ConnectorError as error:
            _retry_or_fail(services, run, step.__name__, error)
            return
        except Exception as error:
            log.exception("step_broke", step=step.__name__)
            where = traceback.extract_tb(error.__traceback__)[-1]
            _fail(
                services,
                run,
                f"{step.__name__}: {type(error).__name__}: {error} ({os.path.basename(where.filename)}:{where.lineno})",
            )
            return
        timings[step.__name__] = round(timings.get(step.__name__, 0.0) + time.process_time() - started, 3)
        services.runs.checkpoint(run, position + 1, step.__name__, to_plain(work), timings)
        run = replace(run, attempts=0)
    services.runs.finish(run, RunState.DONE)
    log.info("run_done", cpu_s=round(sum(timings.values()), 2))


def _begin(services: Services, run: RunRecord) -> Work:
    """The work of a run that has not begun. Raises: StateConflict when its product or deliverable is gone."""
    record = services.products.get(run.sku)
    rules = services.rules.at(run.rules_fingerprint)
    known = rules.deliverable(run.deliverable)
    deliverable = apply_request(known, record.product.request) if record and known else None
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


def _flag(services: Services, run: RunRecord, error: InputError) -> None:
    """The product's input cannot be used: say so on the product, and end the run."""
    found = error.to_issue()
    services.products.add_issues(run.sku, (found,))
    services.runs.finish(run, RunState.FAILED, f"{error.issue_code}: {error}")
    log.info("run_flagged", code=error.issue_code)


def _retry_or_fail(services: Services, run: RunRecord, step: str, error: ConnectorError) -> None:
    """Put the run off when the next try may go better; fail it when not, or after enough tries."""
    message = f"{step}: {error}"
    if isinstance(error, OutOfCredit):
        services.runs.park(run, services.clock.now() + timedelta(seconds=CREDIT_RETRY_S), message)
    elif isinstance(error, RETRYABLE) and run.attempts + 1 < MAX_ATTEMPTS:
        wait = error.retry_after_s if isinstance(error, RateLimited) else FIRST_RETRY_S * 2**run.attempts
        services.runs.park(
            run,
            services.clock.now() + timedelta(seconds=wait),
            message,
            failed_try=not isinstance(error, Busy),
        )
        log.warning("run_put_off", step=step, error=str(error), wait_s=wait)
    else:
        _fail(services, run, message)


def _fail(services: Services, run: RunRecord, message: str) -> None:
    services.runs.finish(run, RunState.FAILED, message[:2000])
    log.error("run_failed", error=message)


@contextmanager
def _heartbeat(services: Services, run: RunRecord) -> Iterator[None]:
    """Renew the lease while a step computes; a lost lease is noticed at the next checkpoint."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(HEARTBEAT_S):
            try:
                services.runs.renew(run, LEASE_S)
            except StateConflict:
                return

    thread = threading.Thread(target=beat, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
