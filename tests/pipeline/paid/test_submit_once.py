"""Nothing is paid for twice: brokers that are killed at random points, lost answers, failed requests."""

import json
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from dam_connector.fakes.meshy import FakeMeshy
from dam_connector.fakes.tripo import FakeTripo
from dam_connector.ports import Generation, Task
from dam_connector.store.tasks import TaskEntry
from dam_connector.usecases.broker import Broker
from dam_connector.wiring import Services
from tests.pipeline.paid.helpers import PRICE, place
from tests.support import TestClock


class Killed(BaseException):
    """What ends a worker at once, without a word."""


class Mortal:
    """Kills brokers at random points of a submission: before the request, after it, before its answer is stored, and after."""

    def __init__(self, services: Services, adapter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self._chance, self._services = random.Random(7), services
        self._submit, self._submitted = adapter.submit, services.tasks.submitted
        monkeypatch.setattr(adapter, "submit", self.submit)
        monkeypatch.setattr(services.tasks, "submitted", self.submitted)
        self.deaths = 0

    def _may_die(self, where: str) -> None:
        if self._chance.random() < 0.04:
            self.deaths += 1
            raise Killed(where)

    def submit(self, order: Generation) -> Task:
        self._may_die("before the request")
        task = self._submit(order)
        self._may_die("after the request")
        return task

    def submitted(self, entry: TaskEntry, ref: str, look_at: Any) -> None:
        self._may_die("before the commit")
        self._submitted(entry, ref, look_at)
        self._may_die("after the commit")

    def work(self, clock: TestClock, rounds: int) -> None:
        """Brokers one after the other, each until it is killed."""
        broker = Broker(self._services, "b0")
        for n in range(rounds):
            before = self.deaths
            with suppress(Killed):
                broker.turn()
            broker.settle()
            if self.deaths > before:
                broker.close()
                broker = Broker(self._services, f"b{n + 1}")
            clock.forward(200)
        broker.close()


def test_a_thousand_submissions_with_kills_pay_for_none_twice(
    services: Services, rules: Callable, fake: FakeTripo, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some answers are lost besides, and some requests fail."""
    rules("tripo", concurrency=1000)
    chance, fake.concurrency, fake.credits = random.Random(7), 10_000, 1e9
    adapter = services.provider("tripo")
    upload = adapter._upload  # type: ignore[attr-defined]
    monkeypatch.setattr(
        adapter, "_upload", lambda view, data: next(iter(fake.files), None) or upload(view, data)
    )
    fake.faults["submit"] = [
        chance.choice(["lost", "500", "busy", "closed", "500 after"]) if chance.random() < 0.1 else ""
        for _ in range(1200)
    ]
    mortal = Mortal(services, adapter, monkeypatch)
    for n in range(1000):
        place(services, n)
    mortal.work(clock, 40)
    paid = [task.body["model_seed"] for task in fake.tasks.values()]
    assert len(paid) == len(set(paid)), "a run was paid for twice"
    ended = {
        state: count for state, count, _ in services.spend.by("state", since=datetime.min.replace(tzinfo=UTC))
    }
    assert (
        sum(ended.values()) == 1000
        and set(ended) == {"settled", "unknown"}
        and ended["settled"] > 700
        and mortal.deaths > 80
    )
    counted = sum(usd for _, _, usd in services.spend.by("provider", since=datetime.min.replace(tzinfo=UTC)))
    assert (
        counted == pytest.approx(1000 * PRICE) and len(paid) >= ended["settled"]
    )  # what may have been billed counts as spent


def test_lost_submissions_are_found_in_the_vendors_list(
    services: Services,
    write_rules: Callable,
    clock: TestClock,
    monkeypatch: pytest.MonkeyPatch,
    meshy: FakeMeshy,
) -> None:
    connections = json.loads(services.settings.plugin_json.read_text())["connections"]
    options = {
        "adapter": "meshy",
        "api_key": "env/MESHY_API_KEY",
        "base_url": meshy.base_url,
        "concurrency": 1,
    }
    write_rules(connections={**connections, "provider": {"meshy": options}})
    meshy.faults["submit"] = ["lost", "", "500 after", "closed", "", "500", "", "lost"]
    monkeypatch.setattr("dam_connector.fakes.meshy.time.time", lambda: clock.now().timestamp())
    mortal = Mortal(services, services.provider("meshy"), monkeypatch)
    for n in range(60):
        place(services, n, "meshy")
    mortal.work(clock, 220)
    states = {
        state: count for state, count, _ in services.spend.by("state", since=datetime.min.replace(tzinfo=UTC))
    }
    assert (
        states == {"settled": 60} and meshy.billed == 60 and mortal.deaths > 4
    )  # none lost, none paid twice
