"""The broker, which carries out the tasks that runs ordered from providers.

Nobody else sends requests to providers, so one process controls how many tasks are in flight. A worker never
waits for a task: its run sleeps in the database until the broker wakes it.

Each tick handles everything that is due: `polling` asks for the tasks in flight, with as few requests as the
provider allows; `submission` sends tasks for which a slot is free; `recovery` resolves lost answers and
abandoned tasks. Slow requests (uploads, submissions, downloads) run in threads, see `request_pool`.
`outcomes` records how a task ended. All state that matters is in the database: when a broker dies, any other
continues, and no task is submitted twice.
"""

import time
from datetime import UTC, datetime, timedelta

from dam_connector.usecases.broker.outcomes import TaskOutcomes
from dam_connector.usecases.broker.polling import TaskPolling
from dam_connector.usecases.broker.recovery import TaskRecovery
from dam_connector.usecases.broker.request_pool import RequestPool
from dam_connector.usecases.broker.submission import TaskSubmission
from dam_connector.usecases.broker.task_durations import TaskDurations
from dam_connector.wiring import Services

BROKER_LEASE_S = 15.0  # one broker works at a time
MIN_TICK_INTERVAL_S = 0.25
RECOVERY_INTERVAL_S = 2.0  # recovery is rarely needed, so it does not run at each tick


class Broker:
    """The broker's loop: the caller calls `tick` and `wait` in turns."""

    def __init__(self, services: Services, owner: str) -> None:
        """Create a broker.

        Args:
            owner: the name of this process, for the lease.
        """
        self._services, self._owner = services, owner
        self._pool = RequestPool()
        durations = TaskDurations()
        outcomes = TaskOutcomes(services, durations)
        self._polling = TaskPolling(services, self._pool, outcomes)
        self._submission = TaskSubmission(services, self._pool, outcomes, durations)
        self._recovery = TaskRecovery(services, self._pool, outcomes)
        self._recovered_at = datetime.min.replace(tzinfo=UTC)

    def tick(self) -> int:
        """Handle all tasks that are due; return how many. Do nothing while another process is the broker."""
        if not self._services.locks.lease("broker", self._owner, BROKER_LEASE_S):
            return 0
        self._pool.forget_finished()
        handled = self._polling.poll_due() + self._submission.submit_waiting()
        now = self._services.clock.now()
        if now >= self._recovered_at + timedelta(seconds=RECOVERY_INTERVAL_S):
            self._recovered_at = now
            handled += self._recovery.run()
        return handled

    def wait(self, seconds: float) -> None:
        """Wait until the next tick: for this time, or until a request ends, since that may free a slot."""
        time.sleep(MIN_TICK_INTERVAL_S)
        self._pool.wait_for_end(max(0.0, seconds - MIN_TICK_INTERVAL_S))

    def drain(self) -> None:
        """Wait until all requests have ended, including those that they start."""
        self._pool.drain()

    def close(self) -> None:
        """Stop without waiting for requests; the next broker finds their tasks in the database."""
        self._pool.close()
        self._services.locks.release("broker", self._owner)
