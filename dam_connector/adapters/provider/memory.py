"""A provider in memory: a task is ready after `polls` looks and gives the bytes it was told to give."""

from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.kit import Kit, only
from dam_connector.catalog.product import Product
from dam_connector.errors import ConnectorError, NotFound
from dam_connector.ports import TaskState


class MemoryProvider:
    """Tasks by key: the same key never starts a second one. `fail_with` is raised once."""

    def __init__(self, polls: int) -> None:
        self._polls = polls
        self.result = b""
        self.looks: dict[str, int] = {}
        self.fail_with: ConnectorError | None = None

    def submit(self, key: str, product: Product, pictures: Mapping[str, bytes]) -> str:
        self._fail()
        self.looks.setdefault(key, 0)
        return key

    def poll(self, ref: str) -> TaskState:
        self._fail()
        if ref not in self.looks:
            raise NotFound("memory", "poll", ref)
        self.looks[ref] += 1
        return TaskState.SUCCEEDED if self.looks[ref] > self._polls else TaskState.RUNNING

    def fetch(self, ref: str) -> bytes:
        self._fail()
        return self.result

    def _fail(self) -> None:
        failure, self.fail_with = self.fail_with, None
        if failure:
            raise failure


def connect(options: Mapping[str, Any], kit: Kit) -> MemoryProvider:
    only(options, "polls")
    return MemoryProvider(int(options.get("polls", 1)))
