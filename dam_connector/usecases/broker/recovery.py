"""Recovery: lost answers to submissions, tasks of runs that were given up, runs that missed a wake-up."""

from contextlib import suppress

import structlog

from dam_connector.errors import AdapterError, ConfigError, RateLimited, StateConflict, Unavailable
from dam_connector.ports import Provider
from dam_connector.store.tasks import TaskRecord, TaskState
from dam_connector.usecases.broker.outcomes import TaskOutcomes
from dam_connector.usecases.broker.request_pool import RequestPool
from dam_connector.wiring import Services

log = structlog.get_logger()
BATCH = 500  # tasks of each sort in one run


class TaskRecovery:
    """Finds tasks that neither polling nor submission continues."""

    def __init__(self, services: Services, pool: RequestPool, outcomes: TaskOutcomes) -> None:
        self._services, self._pool, self._outcomes = services, pool, outcomes

    def run(self) -> int:
        """Recover all tasks that can be recovered; return their number."""
        return self._drop_orphans() + self._resolve_lost() + self._wake_finished()

    def _drop_orphans(self) -> int:
        """End the tasks of runs that were given up.

        Waiting tasks are released. Tasks in flight are cancelled if that saves money, else polled until they
        end.
        """
        orphans = self._services.tasks.orphaned(BATCH)
        for task in orphans:
            with suppress(StateConflict, AdapterError, ConfigError):
                is_waiting = task.state is TaskState.WAITING
                if is_waiting or self._services.provider(task.provider).cancel(task.ref):
                    self._services.tasks.release(task, "the run was given up")
            self._services.tasks.acknowledge(task)
        return len(orphans)

    def _mark_abandoned_submissions(self) -> None:
        """Mark the tasks as lost whose broker ended before the answer to their submission came."""
        for name in self._services.rules.current().provider:
            with suppress(ConfigError):
                timeout_s = self._services.provider(name).capabilities.submit_timeout_s
                for task in self._services.tasks.abandoned(name, timeout_s):
                    if not self._pool.is_known(task.id):
                        with suppress(StateConflict):
                            self._services.tasks.mark_lost(
                                task, "the process that submitted it ended before the answer came"
                            )

    def _resolve_lost(self) -> int:
        """Resolve the tasks whose answer was lost.

        They are submitted again if the provider is idempotent, searched for if it can list its tasks, else
        left to a person.
        """
        self._mark_abandoned_submissions()
        resolved = 0
        for task in self._services.tasks.due(TaskState.LOST, BATCH):
            with suppress(StateConflict, ConfigError):
                self._resolve(self._services.provider(task.provider), task)
                resolved += 1
        return resolved

    def _resolve(self, provider: Provider, task: TaskRecord) -> None:
        if provider.capabilities.is_idempotent:
            self._outcomes.retry(task, task.error)
        elif provider.capabilities.can_find_lost_task:
            self._find(provider, task)
        else:
            self._give_up(task, f"{task.error}; it may have been billed, and is not submitted again")

    def _find(self, provider: Provider, task: TaskRecord) -> None:
        if self._services.tasks.count(task.provider, TaskState.SUBMITTING):
            return  # one of those could be mistaken for it
        try:
            known = self._services.tasks.refs_since(task.provider, task.due_at)
            ref = provider.find_lost_task(task.due_at, known)
        except (Unavailable, RateLimited) as error:
            log.warning("reconcile_failed", provider=task.provider, error=str(error))
        except AdapterError as error:
            self._give_up(task, f"{task.error}; {error}")
        else:
            if ref is None:
                self._outcomes.retry(task, f"{task.error}; it was not begun")
            else:
                self._services.tasks.mark_submitted(task, ref, self._services.clock.now())

    def _give_up(self, task: TaskRecord, reason: str) -> None:
        self._outcomes.mark_unknown(task, reason)
        log.warning("task_unknown", provider=task.provider, run_id=task.run_id, why=reason)

    def _wake_finished(self) -> int:
        """Wake the runs again that were not asleep yet when their task ended."""
        unacknowledged = self._services.tasks.unacknowledged(BATCH)
        for task in unacknowledged:
            self._outcomes.wake_run(task)
        return len(unacknowledged)
