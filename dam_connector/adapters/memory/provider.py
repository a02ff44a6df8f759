"""A provider in memory, for tests: a task succeeds after `polls` polls, with results that the test sets."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options, integer_option
from dam_connector.adapters.common.mixins import NoWebhooks
from dam_connector.adapters.memory import FailsOnce
from dam_connector.domain.run import RunKind
from dam_connector.errors import BadOutput, NotFound, Unsupported
from dam_connector.ports import (
    GenerationRequest,
    InboundWebhook,
    ProviderCapabilities,
    RemoteTask,
    RemoteTaskState,
)


class MemoryProvider(FailsOnce, NoWebhooks):
    """A `Provider` in memory. The reference of a task is its request's key; a repeat starts no second one."""

    capabilities = ProviderCapabilities(
        kinds=(RunKind.MODEL, RunKind.IMAGE),
        views=("front", "right", "back", "left", "top", "hero"),
        is_idempotent=True,
        has_balance=True,
        takes_prompts=True,
        tasks_per_poll=100,
        poll_interval_s=0.5,
    )
    model = ""

    def __init__(self, polls: int) -> None:
        super().__init__()
        self._polls = polls
        self.results: tuple[bytes, ...] = (b"",)
        self.requests: dict[str, GenerationRequest] = {}  # by key
        self.poll_counts: dict[str, int] = {}  # by key

    def estimate(self, request: GenerationRequest) -> float:
        return 0.0

    def submit(self, request: GenerationRequest) -> RemoteTask:
        self._raise_failure()
        self.poll_counts.setdefault(request.key, 0)
        self.requests[request.key] = request
        return RemoteTask(ref=request.key, state=RemoteTaskState.WAITING)

    def poll(self, refs: Sequence[str]) -> dict[str, RemoteTask]:
        self._raise_failure()
        return {ref: self._to_task(ref) for ref in refs if ref in self.poll_counts}

    def _to_task(self, ref: str) -> RemoteTask:
        self.poll_counts[ref] += 1
        ready = self.poll_counts[ref] > self._polls
        return RemoteTask(
            ref=ref,
            state=RemoteTaskState.SUCCEEDED if ready else RemoteTaskState.RUNNING,
            cost_usd=0.0 if ready else None,
            model="memory",
        )

    def fetch(self, ref: str) -> tuple[bytes, ...]:
        self._raise_failure()
        if ref not in self.poll_counts:
            raise NotFound("memory", "fetch", ref)
        return self.results

    def find_lost_task(self, since: datetime, known: Collection[str]) -> str | None:
        raise Unsupported("memory", "find_lost_task", "a repeat with the same key is harmless")

    def cancel(self, ref: str) -> bool:
        raise Unsupported("memory", "cancel", "tasks cannot be cancelled")

    def balance(self) -> float:
        return 0.0

    def parse_webhook(self, inbound: InboundWebhook) -> str:
        raise BadOutput("memory", "parse_webhook", "it sends no webhooks")


def connect(options: Mapping[str, Any], context: AdapterContext) -> MemoryProvider:
    """Open the adapter with the options of plugin.json."""
    check_options(options, "polls")
    return MemoryProvider(integer_option(options, "polls", 1, 0, 1000))
