"""Polling: tasks in flight are asked for when they are due."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby

from dam_connector.errors import AdapterError, ConfigError, StateConflict
from dam_connector.ports import Provider, RemoteTask, RemoteTaskState
from dam_connector.store.tasks import TaskRecord, TaskState
from dam_connector.usecases.broker.outcomes import TaskOutcomes, later
from dam_connector.usecases.broker.request_pool import RequestPool
from dam_connector.wiring import Services

BATCH = 500  # tasks in one tick
MAX_POLLS_PER_S = 10.0  # at one provider


class TaskPolling:
    """Polls tasks, and passes what their providers report to `TaskOutcomes`."""

    def __init__(self, services: Services, pool: RequestPool, outcomes: TaskOutcomes) -> None:
        self._services, self._pool, self._outcomes = services, pool, outcomes

    def poll_due(self) -> int:
        """Start polling the tasks that are due; return how many are due."""
        due = self._services.tasks.due(TaskState.SUBMITTED, BATCH)
        for name, tasks in _by_provider(due):
            try:
                provider = self._services.provider(name)
            except ConfigError as error:
                self._outcomes.wait_for_configuration(tasks, error)
                continue
            group_size = max(1, provider.capabilities.tasks_per_poll)
            interval_s = max(provider.capabilities.poll_interval_s, len(due) / (MAX_POLLS_PER_S * group_size))
            self._services.tasks.set_due_at([task.id for task in tasks], later(self._services, interval_s))
            idle = [task for task in tasks if not self._pool.is_known(task.id)]
            for start in range(0, len(idle), group_size):
                self._start_poll(provider, idle[start : start + group_size])
        return len(due)

    def _start_poll(self, provider: Provider, tasks: list[TaskRecord]) -> None:
        self._pool.start(f"look {tasks[0].id}", lambda: self._poll(provider, tasks))

    def _poll(self, provider: Provider, tasks: list[TaskRecord]) -> None:
        try:
            remote_tasks = provider.poll([task.ref for task in tasks])
        except (AdapterError, ConfigError) as error:
            self._outcomes.poll_failed(tasks, error)
            return
        for task in tasks:
            with suppress(StateConflict):  # another broker was faster
                self._handle(provider, task, remote_tasks.get(task.ref))

    def _handle(self, provider: Provider, task: TaskRecord, remote: RemoteTask | None) -> None:
        """Handle what the provider reports about one task."""
        if remote is None:
            self._outcomes.mark_unknown(task, "the provider does not know the task any more")
        elif remote.state is RemoteTaskState.UNKNOWN:
            self._outcomes.mark_unknown(task, remote.error)
        elif remote.state is RemoteTaskState.FAILED:
            self._outcomes.fail(task, remote)
        elif remote.state is RemoteTaskState.SUCCEEDED:
            self._pool.start(task.id, lambda: self._outcomes.collect(provider, task, remote))
        else:
            self._outcomes.check_timeout(provider, task, "it is still under way")


def _by_provider(tasks: list[TaskRecord]) -> Iterator[tuple[str, list[TaskRecord]]]:
    ordered = sorted(tasks, key=lambda task: (task.provider, task.id))
    for name, group in groupby(ordered, key=lambda task: task.provider):
        yield name, list(group)
