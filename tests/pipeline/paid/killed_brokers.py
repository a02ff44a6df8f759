"""Brokers that are killed at random points of a submission."""

import random
from contextlib import suppress
from typing import Any

import pytest

from dam_connector.ports import GenerationRequest, RemoteTask
from dam_connector.store.tasks import TaskRecord
from dam_connector.usecases.broker import Broker
from dam_connector.wiring import Services
from tests.support import TestClock


class Killed(BaseException):
    """What ends a worker at once, without a word."""


class Mortal:
    """Kills brokers at random points of a submission: before the request, after it, before its answer is
    stored, and after.
    """

    def __init__(self, services: Services, adapter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self._chance, self._services = random.Random(7), services
        self._submit, self._submitted = adapter.submit, services.tasks.mark_submitted
        monkeypatch.setattr(adapter, "submit", self.submit)
        monkeypatch.setattr(services.tasks, "mark_submitted", self.submitted)
        self.deaths = 0

    def _may_die(self, where: str) -> None:
        if self._chance.random() < 0.04:
            self.deaths += 1
            raise Killed(where)

    def submit(self, request: GenerationRequest) -> RemoteTask:
        self._may_die("before the request")
        task = self._submit(request)
        self._may_die("after the request")
        return task

    def submitted(self, entry: TaskRecord, ref: str, look_at: Any) -> None:
        self._may_die("before the commit")
        self._submitted(entry, ref, look_at)
        self._may_die("after the commit")

    def work(self, clock: TestClock, rounds: int) -> None:
        """Brokers one after the other, each until it is killed."""
        broker = Broker(self._services, "b0")
        for n in range(rounds):
            before = self.deaths
            with suppress(Killed):
                broker.tick()
            broker.drain()
            if self.deaths > before:
                broker.close()
                broker = Broker(self._services, f"b{n + 1}")
            clock.forward(200)
        broker.close()
