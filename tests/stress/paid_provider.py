"""A provider in memory that bills every submission, also a second one for the same order."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

from dam_connector.adapters.memory.provider import MemoryProvider
from dam_connector.errors import SubmitUnknown
from dam_connector.ports import Clock, GenerationRequest, RemoteTask, RemoteTaskState


@dataclass(frozen=True, slots=True)
class StartedTask:
    """A task that the provider began, and bills."""

    ref: str
    sku: str
    at: datetime


class PaidProvider(MemoryProvider):
    """A provider without idempotency keys, as most are. Its tasks may be listed."""

    def __init__(self, clock: Clock, results: tuple[bytes, ...], *, can_list: bool) -> None:
        super().__init__(polls=1)
        self.capabilities = replace(
            MemoryProvider.capabilities,
            is_idempotent=False,
            can_find_lost_task=can_list,
            concurrency=1,  # of two lost answers, nobody could say which task is whose
        )
        self.results, self._clock = results, clock
        self.started: list[StartedTask] = []
        self.loses_answers = 0  # to how many of the next submissions no answer arrives

    def submit(self, request: GenerationRequest) -> RemoteTask:
        self._raise_failure()
        task = StartedTask(f"task-{len(self.started) + 1}", request.product.sku, self._clock.now())
        self.started.append(task)
        self.poll_counts[task.ref] = 0
        if self.loses_answers:
            self.loses_answers -= 1
            raise SubmitUnknown("maker", "submit", "the answer was lost")
        return RemoteTask(ref=task.ref, state=RemoteTaskState.WAITING)

    def find_lost_task(self, since: datetime, known: Collection[str]) -> str | None:
        self._raise_failure()
        found = [task.ref for task in self.started if task.at >= since and task.ref not in known]
        if len(found) > 1:
            raise SubmitUnknown("maker", "find_lost_task", "more than one may be the lost one")
        return found[0] if found else None

    def billed(self) -> Counter[str]:
        """Return how many tasks were billed for each SKU."""
        return Counter(task.sku for task in self.started)
