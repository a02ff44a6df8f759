"""Sweeping: nothing that is open and due stays asleep, whatever was lost on the way.

One sweeper at a time, by lease. It holds back while a queue is long: re-kicking what is already queued would only bury
the work under wake-ups.
"""

import structlog

from dam_connector.domain.run import job_name
from dam_connector.errors import Unavailable
from dam_connector.queue import JOBS
from dam_connector.wiring import Services

log = structlog.get_logger()

LEASE_S = 15.0
DELIVERY_GRACE_S = 3.0
REKICK_S = 20.0
BATCH = 200
MAX_QUEUE = 400


def sweep(services: Services, owner: str) -> int:
    """How many wake-ups were sent; none when somebody else is the sweeper."""
    if not services.locks.lease("sweeper", owner, LEASE_S):
        return 0
    sent = 0
    late = services.inbox.due(BATCH, older_than_s=DELIVERY_GRACE_S)
    if late and _wake(services, "handle_delivery", late):
        services.inbox.postpone(late, REKICK_S)
        sent += len(late)
    for turn in (
        services.batches.idle_wake_tokens()
    ):  # its job was lost, or has not come yet: then the second one finds the turn taken
        sent += _wake(services, "advance_batch", [turn])
    due: dict[str, list[str]] = {}
    for run_id, kind, bulk in services.runs.due(BATCH):
        due.setdefault(job_name(kind, bulk=bulk), []).append(run_id)
    for job, ids in due.items():
        if _wake(services, job, ids):
            services.runs.mark_woken(ids, REKICK_S)
            sent += len(ids)
    return sent


def _wake(services: Services, job: str, ids: list[str]) -> bool:
    try:
        if services.queue.length(job) > MAX_QUEUE:
            log.info("queue_long", queue=JOBS[job].queue)
            return False
    except Unavailable:
        return False
    return services.queue.wake(job, ids)
