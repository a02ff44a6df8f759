"""A thousand submissions with killed brokers, lost answers and failed requests: none is paid for twice."""

import random
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from dam_connector.fakes.tripo import FakeTripo
from dam_connector.wiring import Services
from tests.pipeline.paid.helpers import PRICE, place
from tests.pipeline.paid.killed_brokers import Mortal
from tests.support import TestClock


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
    faults = [
        chance.choice(["lost", "500", "busy", "closed", "500 after"]) if chance.random() < 0.1 else ""
        for _ in range(1200)
    ]
    fake.faults["submit"] = list(faults)
    mortal = Mortal(services, adapter, monkeypatch)
    for n in range(1000):
        place(services, n)
    mortal.work(clock, 40)
    paid = [task.body["model_seed"] for task in fake.tasks.values()]
    assert len(paid) == len(set(paid)), "a run was paid for twice"
    ended = {
        state: count
        for state, count, _ in services.spend.totals_by("state", since=datetime.min.replace(tzinfo=UTC))
    }
    assert (
        sum(ended.values()) == 1000
        and set(ended) == {"settled", "unknown"}
        and ended["settled"] > 500
        and mortal.deaths > 80
    )
    # each that nobody knows the fate of has a death or a fault for its cause
    assert ended["unknown"] <= mortal.deaths + sum(fault != "" for fault in faults)
    counted = sum(
        usd for _, _, usd in services.spend.totals_by("provider", since=datetime.min.replace(tzinfo=UTC))
    )
    assert (
        counted == pytest.approx(1000 * PRICE) and len(paid) >= ended["settled"]
    )  # what may have been billed counts as spent
