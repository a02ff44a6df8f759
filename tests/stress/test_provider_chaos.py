"""A paid provider that answers late, twice or not at all, while the connector crashes: none is paid twice."""

import os
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from dam_connector.errors import Busy, ConnectorError, RateLimited, StorageUnavailable, Unavailable
from dam_connector.usecases import maintenance
from tests.pipeline.helpers import chair, send
from tests.stress.crashes import Crash, CrashPlan, World
from tests.stress.invariants import assert_consistent
from tests.stress.paid_scenarios import BuyAPicture
from tests.stress.scenarios import Scenario

SEEDS = range(20) if os.environ.get("STRESS_LONG") else range(1)
SKUS = ("CH1", "CH2")
ACTIONS = 60


class BuyTwoPictures(BuyAPicture):
    """Two products whose pictures are paid for, at a provider with one slot."""

    def prepare(self) -> None:
        super().prepare()
        for number, sku in enumerate(SKUS):
            send(self.world.services, chair(self.photos, sku=sku), message=f"msg_{number}")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_picture_is_paid_twice(seed: int, begin: Callable[[type[Scenario]], Scenario]) -> None:
    scenario, chance = begin(BuyTwoPictures), random.Random(seed)
    world = scenario.world
    for _ in range(ACTIONS):
        try:
            _disturb(world, chance)
        except Crash:
            world.restart()
        except StorageUnavailable:
            pass
    world.restart()
    provider: Any = world.services.provider("maker")
    provider.inner.fail_with, provider.inner.loses_answers = None, 0
    world.work()
    assert_consistent(world)
    assert provider.inner.billed() == dict.fromkeys(SKUS, 1)
    assert [v.number for sku in SKUS for v in world.services.assets.of_product(sku)] == [1, 1]


def _disturb(world: World, chance: random.Random) -> None:
    """Let something go wrong, or some work be done."""
    provider: Any = world.services.provider("maker")
    kind = chance.choice(["work", "work", "work", "fault", "lost", "time", "crash", "twice", "flush", "hint"])
    if kind == "fault":
        provider.inner.fail_with = chance.choice(
            [
                Unavailable("maker", "call", "away"),
                Busy("maker", "call", "full", retry_after_s=5),
                RateLimited("maker", "call", "too many", retry_after_s=40),
            ]
        )
    elif kind == "lost":
        provider.inner.loses_answers = 1
    elif kind == "time":
        world.clock.forward(chance.choice([1, 20, 70, 600]))
    elif kind == "crash":
        world.plan = CrashPlan(at=chance.randint(1, 12), after=chance.random() < 0.5)
    elif kind == "flush":
        world.queue.waiting.clear()
    elif kind == "hint":  # its webhook, which may come early, late or twice
        for task in provider.inner.started:
            world.services.tasks.poll_now("maker", task.ref)
    else:
        _work_some(world, chance, times=2 if kind == "twice" else 1)


def _work_some(world: World, chance: random.Random, *, times: int) -> None:
    """Let the broker work, and do some of the waiting jobs in any order."""
    world.clock.forward(chance.choice([0, 1, 5, 30]))
    with suppress(ConnectorError):
        world.broker.tick()
    maintenance.sweep(world.services, "sweeper")
    chance.shuffle(world.queue.waiting)
    for _ in range(min(len(world.queue.waiting), chance.randint(1, 4))):
        job, record_id = world.queue.waiting.pop()
        for _ in range(times):
            world.run_job(job, record_id)
