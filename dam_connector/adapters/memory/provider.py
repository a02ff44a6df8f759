"""A provider in memory: a task is ready after `polls` looks and gives the bytes it was told to give."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.domain.run import RunKind
from dam_connector.errors import BadOutput, ConnectorError, DeliveryError, NotFound, Unsupported
from dam_connector.ports import (
    GenerationRequest,
    InboundWebhook,
    ProviderCapabilities,
    RemoteTask,
    RemoteTaskState,
    VerifiedWebhook,
)


class MemoryProvider:
    """Tasks by key: the same key never starts a second one. `fail_with` is raised once. `orders`: what it was asked, by key."""

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
        self._polls = polls
        self.results: tuple[bytes, ...] = (b"",)
        self.requests: dict[str, GenerationRequest] = {}
        self.poll_counts: dict[str, int] = {}
        self.fail_with: ConnectorError | None = None

    def estimate(self, request: GenerationRequest) -> float:
        return 0.0

    def submit(self, request: GenerationRequest) -> RemoteTask:
        self._fail()
        self.poll_counts.setdefault(request.key, 0)
        self.requests[request.key] = request
        return RemoteTask(ref=request.key, state=RemoteTaskState.WAITING)

    def poll(self, refs: Sequence[str]) -> dict[str, RemoteTask]:
        self._fail()
        return {ref: self._task(ref) for ref in refs if ref in self.poll_counts}

    def _task(self, ref: str) -> RemoteTask:
        self.poll_counts[ref] += 1
        ready = self.poll_counts[ref] > self._polls
        return RemoteTask(
            ref=ref,
            state=RemoteTaskState.SUCCEEDED if ready else RemoteTaskState.RUNNING,
            cost_usd=0.0 if ready else None,
            model="memory",
        )

    def fetch(self, ref: str) -> tuple[bytes, ...]:
        self._fail()
        if ref not in self.poll_counts:
            raise NotFound("memory", "fetch", ref)
        return self.results

    def find_lost_task(self, since: datetime, known: Collection[str]) -> str | None:
        raise Unsupported("memory", "reconcile", "the same key is asked again")

    def cancel(self, ref: str) -> bool:
        raise Unsupported("memory", "cancel", "tasks are not stopped")

    def balance(self) -> float:
        return 0.0

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        raise DeliveryError(404, "it sends no webhooks")

    def parse_webhook(self, inbound: InboundWebhook) -> str:
        raise BadOutput("memory", "webhook", "it sends none")

    def _fail(self) -> None:
        failure, self.fail_with = self.fail_with, None
        if failure:
            raise failure


def connect(options: Mapping[str, Any], context: AdapterContext) -> MemoryProvider:
    check_options(options, "polls")
    return MemoryProvider(int(options.get("polls", 1)))
