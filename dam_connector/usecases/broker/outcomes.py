"""The outcomes of a task: each is recorded in the database, and the run of an ended task is woken."""

from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from dam_connector.domain.codec import to_plain
from dam_connector.domain.retry_policy import TASK_RETRIES
from dam_connector.domain.run import job_name
from dam_connector.errors import (
    BadOutput,
    ConfigError,
    NotFound,
    RateLimited,
    Refused,
    StateConflict,
    Unavailable,
)
from dam_connector.ports import Provider, RemoteTask
from dam_connector.store.tasks import TaskRecord
from dam_connector.usecases.broker.task_durations import TaskDurations
from dam_connector.usecases.provider_orders import GeneratedFiles
from dam_connector.wiring import Services

log = structlog.get_logger()


def later(services: Services, seconds: float) -> datetime:
    """Return the time in some seconds."""
    return services.clock.now() + timedelta(seconds=seconds)


class TaskOutcomes:
    """Methods for everything that can become of a task."""

    def __init__(self, services: Services, durations: TaskDurations) -> None:
        self._services, self._durations = services, durations

    def collect(self, provider: Provider, task: TaskRecord, remote: RemoteTask) -> None:
        """Download and store the files of a task that succeeded.

        A download that fails is repeated after the next poll. Unusable files are billed all the same.
        """
        self._durations.end(task.id, task.provider, self._services.clock.now())
        try:
            files = remote.files or provider.fetch(task.ref)
        except (Unavailable, RateLimited) as error:
            self.poll_failed([task], error)
            return
        except (BadOutput, NotFound, Refused) as error:
            self._services.tasks.settle(
                task, remote.cost_usd, {}, f"the generated files cannot be used: {error}"
            )
            self._count(task, "unusable")
        else:
            generated = GeneratedFiles(
                files=tuple(self._services.blobs.put(data) for data in files),
                model=remote.model,
                request_id=remote.request_id or task.ref.partition(" ")[0],
                model_asked=provider.model,
            )
            self._services.tasks.settle(task, remote.cost_usd, to_plain(generated))
            self._count(task, "settled")
        self.wake_run(task)

    def poll_failed(self, tasks: list[TaskRecord], error: Exception) -> None:
        """Record that tasks could not be polled. They are polled again until their time is over."""
        for task in tasks:
            self._count(task, "poll_failed")
        log.warning("look_failed", provider=tasks[0].provider, tasks=len(tasks), error=str(error))
        if isinstance(error, RateLimited):
            retry_at = later(self._services, error.retry_after_s)
            self._services.tasks.set_due_at([task.id for task in tasks], retry_at)
        for task in tasks:
            with suppress(StateConflict, ConfigError):
                self.check_timeout(self._services.provider(task.provider), task, str(error))

    def check_timeout(self, provider: Provider, task: TaskRecord, reason: str) -> None:
        """Give up a task that was submitted too long ago."""
        age_s = (self._services.clock.now() - task.updated_at).total_seconds()
        if age_s > provider.capabilities.task_timeout_s:
            self.mark_unknown(task, f"the task did not end in time: {reason}")

    def mark_unknown(self, task: TaskRecord, reason: str) -> None:
        """Leave a task to a person, who must find out whether it was billed."""
        self._services.tasks.mark_unknown(task, reason)
        self._count(task, "unknown")
        self.wake_run(task)

    def fail(self, task: TaskRecord, remote: RemoteTask) -> None:
        """Record that a task failed, and whether it was billed."""
        if remote.cost_usd:
            error = remote.error or "it failed without a reason"
            self._services.tasks.settle(task, remote.cost_usd, {}, error)
        else:
            self._services.tasks.release(task, f"the task failed: {remote.error or 'no reason is given'}")
        self._count(task, "failed")
        self.wake_run(task)

    def release(self, task: TaskRecord, error: str) -> None:
        """End a task that the provider did not start and will not start."""
        self._services.tasks.release(task, error)
        self._count(task, "released")
        self.wake_run(task)

    def retry(self, task: TaskRecord, error: str) -> None:
        """Submit a task again later, as `TASK_RETRIES` says: a failure in which nothing was started."""
        if TASK_RETRIES.is_last(task.attempts):
            self._services.tasks.postpone(task, self._services.clock.now(), error)
            self.release(task, f"{error} (tried {TASK_RETRIES.max_attempts} times)")
            return
        retry_at = later(self._services, TASK_RETRIES.wait_s(task.attempts))
        self._services.tasks.postpone(task, retry_at, error, failed_try=True)
        self._count(task, "retried")
        self._services.runs.set_wait_reason(task.run_id, error)

    def wait_for_capacity(self, task: TaskRecord, error: Exception, seconds: float) -> None:
        """Submit a task again later, without a limit of tries: credit or the rate limit is used up."""
        self._services.tasks.postpone(task, later(self._services, seconds), str(error))
        self._count(task, "waiting")
        self._services.runs.set_wait_reason(task.run_id, str(error))

    def wait_for_configuration(self, tasks: list[TaskRecord], error: ConfigError) -> None:
        """Delay tasks whose provider is missing in plugin.json, or its API key in the environment."""
        self._services.tasks.set_due_at(
            [task.id for task in tasks], later(self._services, TASK_RETRIES.max_wait_s)
        )
        for task in tasks:
            self._services.runs.set_wait_reason(task.run_id, str(error))

    def _count(self, task: TaskRecord, outcome: str) -> None:
        self._services.counters.add("provider_tasks", provider=task.provider, outcome=outcome)

    def wake_run(self, task: TaskRecord) -> None:
        """Wake the run of a task, if it sleeps."""
        woken = self._services.runs.wake(task.run_id)
        if woken:
            kind, bulk = woken
            self._services.queue.wake(job_name(kind, bulk=bulk), [task.run_id])
