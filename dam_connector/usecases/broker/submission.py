"""Submission: waiting tasks are sent to their providers, as far as slots, caps and credit allow."""

from contextlib import suppress
from datetime import datetime

import structlog

from dam_connector.errors import (
    AdapterError,
    Busy,
    ConfigError,
    FileMissing,
    OutOfCredit,
    RateLimited,
    StateConflict,
    SubmitUnknown,
    Unavailable,
)
from dam_connector.ports import Provider, RemoteTask, RemoteTaskState
from dam_connector.store.tasks import IN_FLIGHT_STATES, TaskRecord, TaskState
from dam_connector.usecases.broker.outcomes import TaskOutcomes, later
from dam_connector.usecases.broker.request_pool import RequestPool
from dam_connector.usecases.broker.task_durations import TaskDurations
from dam_connector.usecases.provider_orders import read_order, spend_caps, warn_of_budget
from dam_connector.wiring import Services

log = structlog.get_logger()
CREDIT_RETRY_S = 900.0  # until a provider without credit is asked again
BATCH = 500  # tasks of one provider in one tick
PAUSE_NOTE_PREFIX = "paused:"  # a note of this prefix and a provider's name says why the provider is paused


class TaskSubmission:
    """Sends waiting tasks to their providers, and records the answers."""

    def __init__(
        self, services: Services, pool: RequestPool, outcomes: TaskOutcomes, durations: TaskDurations
    ) -> None:
        self._services, self._pool, self._outcomes, self._durations = services, pool, outcomes, durations
        self._paused_until: dict[str, datetime] = {}  # by provider

    def submit_waiting(self) -> int:
        """Start the submission of waiting tasks; return how many."""
        started = 0
        for name in self._services.tasks.providers_with_due_tasks():
            if name in self._paused_until and self._services.clock.now() < self._paused_until[name]:
                continue
            try:
                provider = self._services.provider(name)
            except ConfigError as error:
                waiting = self._services.tasks.due(TaskState.WAITING, BATCH, name)
                self._outcomes.wait_for_configuration(waiting, error)
                continue
            free = provider.capabilities.concurrency - self._services.tasks.count(name, *IN_FLIGHT_STATES)
            if free <= 0:
                continue
            with suppress(Busy):  # another process took the last slot
                for task in self._services.tasks.due(TaskState.WAITING, min(free, BATCH), name):
                    started += self._start(provider, task)
        return started

    def _start(self, provider: Provider, task: TaskRecord) -> bool:
        """Reserve a slot and the price, and submit a task; return whether that was possible. Raises: Busy."""
        try:
            caps = spend_caps(self._services, task.provider)
            self._services.tasks.begin_submission(task, caps, provider.capabilities.concurrency)
        except OutOfCredit as error:
            self._outcomes.wait_for_capacity(task, error, CREDIT_RETRY_S)
            return False
        except ConfigError as error:  # a cap that cannot be read allows nothing
            self._outcomes.wait_for_configuration([task], error)
            return False
        except StateConflict:
            return False
        self._pool.start(task.id, lambda: self._submit(provider, task))
        return True

    def _submit(self, provider: Provider, task: TaskRecord) -> None:
        """Submit a task, and record what the answer proves."""
        try:
            remote = provider.submit(read_order(task).to_request(self._services, task.id))
        except SubmitUnknown as error:
            self._services.tasks.mark_lost(task, str(error))
        except OutOfCredit as error:
            self._pause(task.provider, error, CREDIT_RETRY_S)
            self._outcomes.wait_for_capacity(task, error, CREDIT_RETRY_S)
        except RateLimited as error:
            self._pause(task.provider, error, error.retry_after_s)
            self._outcomes.wait_for_capacity(task, error, error.retry_after_s)
        except (Unavailable, FileMissing) as error:  # without its photos nothing was sent
            self._outcomes.retry(task, str(error))
        except (AdapterError, ConfigError) as error:
            self._outcomes.release(task, str(error))
        else:
            self._handle_answer(provider, task, remote)
        warn_of_budget(self._services, task)

    def _handle_answer(self, provider: Provider, task: TaskRecord, remote: RemoteTask) -> None:
        note = PAUSE_NOTE_PREFIX + task.provider
        if self._services.notes.get(note):
            self._services.notes.set(note, "")
        if remote.state is RemoteTaskState.SUCCEEDED:
            self._outcomes.collect(provider, task, remote)
        elif remote.state is RemoteTaskState.FAILED:
            self._outcomes.fail(task, remote)
        else:
            self._durations.start(task.id, self._services.clock.now())
            first_poll_s = max(
                provider.capabilities.poll_interval_s, self._durations.shortest_s(task.provider)
            )
            self._services.tasks.mark_submitted(task, remote.ref, later(self._services, first_poll_s))
            log.info("task_submitted", provider=task.provider, task=remote.ref, run_id=task.run_id)

    def _pause(self, name: str, error: Exception, seconds: float) -> None:
        """Submit nothing to a provider for some seconds; show why, if its credit is used up."""
        self._paused_until[name] = later(self._services, seconds)
        if isinstance(error, OutOfCredit):
            self._services.notes.set(PAUSE_NOTE_PREFIX + name, str(error))
            log.warning("provider_paused", provider=name, error=str(error))
