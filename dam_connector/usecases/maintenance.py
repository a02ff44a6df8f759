"""Maintenance: the sweep, which wakes everything that is due, and the deletion of expired records."""

from datetime import timedelta

import structlog

from dam_connector.domain.run import job_name
from dam_connector.errors import Unavailable
from dam_connector.queue import JOBS
from dam_connector.wiring import Services

log = structlog.get_logger()

SWEEP_LEASE_S = 15.0  # one sweeper works at a time
DELIVERY_GRACE_S = 3.0  # a delivery younger than this was probably woken by its own webhook
REWAKE_AFTER_S = 20.0
BATCH = 200  # records of each kind in one sweep
ROWS_IN_A_COUNT = 2_000  # of batches, counted anew in one transaction
COUNTS_IN_A_SWEEP = 5  # so that wake-ups need not wait for a batch of 50,000 rows that begins
MAX_QUEUE_LENGTH = 400  # more wake-ups for a queue this long would only make it longer
UNFINISHED_BATCH_RETENTION = timedelta(days=1)  # longer than any upload takes
CAPTURE_RETENTION = timedelta(days=14)  # of a draft that nobody changes
IDEMPOTENCY_RETENTION = timedelta(days=7)  # nobody repeats a request later than that


def sweep(services: Services, owner: str) -> int:
    """Wake all deliveries, batches and runs that are due, whatever wake-ups were lost before.

    Args:
        owner: the name of this process, for the lease.

    Returns:
        The number of wake-ups sent; 0 while another process is the sweeper.
    """
    if not services.locks.lease("sweeper", owner, SWEEP_LEASE_S):
        return 0
    sent = 0
    for _ in range(COUNTS_IN_A_SWEEP):
        if services.batches.counts.keep_up(ROWS_IN_A_COUNT) < ROWS_IN_A_COUNT:
            break
    late = services.inbox.due(BATCH, older_than_s=DELIVERY_GRACE_S)
    if late and _wake(services, "handle_delivery", late):
        services.inbox.postpone(late, REWAKE_AFTER_S)
        sent += len(late)
    # The job of an idle batch was lost or has not started yet. If both jobs start, the second one finds the
    # token claimed.
    for wake_token in services.batches.idle_wake_tokens():
        sent += _wake(services, "advance_batch", [wake_token])
    due: dict[str, list[str]] = {}
    for run_id, kind, bulk in services.runs.due(BATCH):
        due.setdefault(job_name(kind, bulk=bulk), []).append(run_id)
    for job, ids in due.items():
        if _wake(services, job, ids):
            services.runs.mark_woken(ids, REWAKE_AFTER_S)
            sent += len(ids)
    return sent


def _wake(services: Services, job: str, ids: list[str]) -> bool:
    try:
        if services.queue.length(job) > MAX_QUEUE_LENGTH:
            log.info("queue_long", queue=JOBS[job].queue)
            return False
    except Unavailable:
        return False
    return services.queue.wake(job, ids)


def delete_expired(services: Services) -> int:
    """Delete old idempotency records, expired tokens and links, half-stored batches and drafts of captures.

    Returns:
        How many.
    """
    responses = services.idempotency.delete_before(services.clock.now() - IDEMPOTENCY_RETENTION)
    credentials = services.users.delete_expired_credentials()
    batches = services.batches.delete_unfinished(services.clock.now() - UNFINISHED_BATCH_RETENTION)
    captures = services.captures.delete_before(services.clock.now() - CAPTURE_RETENTION)
    if responses or credentials or batches or captures:
        log.info("tidied", answers=responses, credentials=credentials, batches=batches, captures=captures)
    return responses + credentials + batches + captures
