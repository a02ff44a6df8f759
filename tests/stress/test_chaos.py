"""A reviewer who remembers every answer, while processes crash, jobs run late or twice, and channels fail.

All is drawn from a seed, in one process: a failing seed fails again. At the end the reviewer's memory is
compared with what is live, and what is live with what is public, published and in the channels.
"""

import os
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import Busy, ConnectorError, StateConflict, StorageUnavailable, Unavailable
from dam_connector.usecases import maintenance, publish, review
from dam_connector.usecases.dam_sync.inbound import poll_dams
from tests.stress.crashes import Crash, CrashPlan, World
from tests.stress.invariants import assert_consistent
from tests.stress.scenarios import Scenario

SEEDS = range(40) if os.environ.get("STRESS_LONG") else range(1)
ACTIONS = 120  # of the reviewer and the world, for each seed
MAX_VERSIONS = 6
S = VersionState
# The states in which a request leaves its version, by its name; a version in one of them was not refused.
AFTER = {
    "approve": {S.APPROVED},
    "reject": {S.REJECTED},
    "undo": {S.IN_REVIEW, S.SUPERSEDED, S.WITHDRAWN},  # the last for a rollback that is undone
    "withdraw": {S.WITHDRAWN},
    "roll_back": {S.APPROVED},
}


class Reviewer:
    """Makes requests at random, and remembers those that were answered with success, in order."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world, self.chance = world, chance
        self.answered: list[tuple[str, int]] = []  # the request and the version's number

    def request(self, name: str, version: Version) -> None:
        """Make a request. If no answer comes, look after the restart whether it took effect."""
        try:
            getattr(self, f"_{name}")(version)
        except Crash:
            self.world.restart()
            now = self.world.services.assets.get(version.id)
            if now is None or now.state is version.state or now.state not in AFTER[name]:
                return
        except (StateConflict, Unavailable, Busy):
            return
        self.answered.append((name, version.number))

    def _approve(self, version: Version) -> None:
        now = self.world.clock.now()
        day = self.chance.choice([None, None, None, now + timedelta(hours=self.chance.randint(1, 5))])
        delay_s = self.chance.choice([0, 10, 60])
        decision = Decision(verdict=Verdict.APPROVED, by="ann")
        review.decide(self.world.services, version, decision, source="page", delay_s=delay_s, go_live_at=day)

    def _reject(self, version: Version) -> None:
        decision = Decision(verdict=Verdict.REJECTED, by="ann", reasons=("colour",))
        review.decide(self.world.services, version, decision, source="page")

    def _undo(self, version: Version) -> None:
        review.undo(self.world.services, version, by="ann")

    def _withdraw(self, version: Version) -> None:
        publish.withdraw(self.world.services, version, by="ann")

    def _roll_back(self, version: Version) -> None:
        publish.rollback(self.world.services, version, by="ann")


def disturb(world: World, chance: random.Random) -> None:
    """Let something go wrong, or some work be done."""
    kind = chance.choice(
        ["work", "work", "work", "time", "flush", "channel", "dam", "twice", "crash", "poll"]
    )
    if kind == "time":
        world.clock.forward(chance.choice([1, 20, 600, 4000]))
    elif kind == "flush":
        world.queue.waiting.clear()
    elif kind in ("channel", "dam"):
        adapter: Any = (
            world.services.dam("shelf")
            if kind == "dam"
            else world.services.channel(chance.choice(["shop", "feed"]))
        )
        adapter.inner.fail_with = chance.choice(
            [Unavailable("x", "call", "away"), Busy("x", "call", "full", retry_after_s=5)]
        )
    elif kind == "crash":
        world.plan = CrashPlan(at=chance.randint(1, 12), after=chance.random() < 0.5)
    elif kind == "poll":
        with suppress(ConnectorError):
            poll_dams(world.services)
    else:
        work_some(world, chance, times=2 if kind == "twice" else 1)


def work_some(world: World, chance: random.Random, *, times: int) -> None:
    """Do some of the waiting jobs, in any order, each as often as said."""
    world.clock.forward(chance.choice([0, 1, 5, 30]))
    maintenance.sweep(world.services, "sweeper")
    chance.shuffle(world.queue.waiting)
    for _ in range(min(len(world.queue.waiting), chance.randint(1, 4))):
        job, record_id = world.queue.waiting.pop()
        for _ in range(times):
            world.run_job(job, record_id)


def settle(world: World) -> None:
    """End all faults, and let a day pass until all is quiet."""
    world.restart()
    for name in ("shop", "feed"):
        channel: Any = world.services.channel(name)
        channel.inner.fail_with = None
    dam: Any = world.services.dam("shelf")
    dam.inner.fail_with = None
    for _ in range(4):
        world.clock.forward(6 * 3600)
        world.work()


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_reviewer_was_answered_holds(seed: int, begin: Callable[[type[Scenario]], Scenario]) -> None:
    scenario, chance = begin(Scenario), random.Random(seed)
    world = scenario.world
    reviewer = Reviewer(world, chance)
    scenario.make_version()
    for _ in range(ACTIONS):
        versions = world.services.assets.of_product("CH1")
        try:
            if chance.random() < 0.45:
                reviewer.request(chance.choice(list(AFTER)), chance.choice(versions))
            elif chance.random() < 0.08 and len(versions) < MAX_VERSIONS:
                settle(world)
                scenario.make_version()
            else:
                disturb(world, chance)
        except Crash:
            world.restart()
        except StorageUnavailable:
            pass
    settle(world)
    assert_consistent(world)
    compare_with_memory(world, reviewer.answered)


def compare_with_memory(world: World, answered: list[tuple[str, int]]) -> None:
    """Assert that the latest answered request about each version holds."""
    versions = {v.number: v for v in world.services.assets.of_product("CH1")}
    latest = {number: name for name, number in answered}
    for number, name in latest.items():
        state = versions[number].state
        if name in ("reject", "undo", "withdraw"):
            assert state not in (S.APPROVED, S.PUBLISHED), (number, name, state)
        if name == "reject":
            assert state in (S.REJECTED, S.SUPERSEDED), (number, state)
        if name == "withdraw":
            assert state is S.WITHDRAWN, (number, state)
    counting = [(name, number) for name, number in answered if name in ("approve", "roll_back", "withdraw")]
    if counting and counting[-1][0] != "withdraw" and latest[counting[-1][1]] == counting[-1][0]:
        assert versions[counting[-1][1]].state is S.PUBLISHED, (
            answered,
            {n: v.state for n, v in versions.items()},
        )
    states = [v.state for v in versions.values()]
    assert states.count(S.PUBLISHED) <= 1 and states.count(S.IN_REVIEW) <= 1
    assert S.APPROVED not in states and S.DRAFT not in states
