"""A provider in memory: a task is ready after `polls` looks and gives the bytes it was told to give."""

from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.kit import Kit, only
from dam_connector.errors import ConnectorError, NotFound, Unsupported
from dam_connector.ports import Generation, ProviderCapabilities, Task, TaskState


class MemoryProvider:
    """Tasks by key: the same key never starts a second one. `fail_with` is raised once."""

    capabilities = ProviderCapabilities(views=("front", "right", "back", "left", "top", "hero"), idempotent=True, balance=True)

    model = ""

    def __init__(self, polls: int) -> None:
        self._polls = polls
        self.result = b""
        self.looks: dict[str, int] = {}
        self.fail_with: ConnectorError | None = None

    def estimate(self, order: Generation) -> float:
        return 0.0

    def submit(self, order: Generation) -> str:
        self._fail()
        self.looks.setdefault(order.key, 0)
        return order.key

    def poll(self, ref: str) -> Task:
        self._fail()
        if ref not in self.looks:
            raise NotFound("memory", "poll", ref)
        self.looks[ref] += 1
        ready = self.looks[ref] > self._polls
        return Task(ref=ref, state=TaskState.SUCCEEDED if ready else TaskState.RUNNING, cost_usd=0.0 if ready else None, model="memory")

    def fetch(self, ref: str) -> bytes:
        self._fail()
        return self.result

    def reconcile(self, order: Generation) -> str | None:
        return order.key if order.key in self.looks else None

    def cancel(self, ref: str) -> bool:
        raise Unsupported("memory", "cancel", "tasks are not stopped")

    def balance(self) -> float:
        return 0.0

    def _fail(self) -> None:
        failure, self.fail_with = self.fail_with, None
        if failure:
            raise failure


def connect(options: Mapping[str, Any], kit: Kit) -> MemoryProvider:
    only(options, "polls")
    return MemoryProvider(int(options.get("polls", 1)))
