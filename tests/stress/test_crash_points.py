"""Every operation, crashed before and after each of its commits and remote calls.

After the crash the connector starts again and works until all is quiet; then the request is repeated, as
somebody does who got no answer. The end must be that of the undisturbed operation. `make stress` takes a
seeded sample of the points, `make stress-long` all of them.
"""

import os
import random
from collections.abc import Callable
from typing import Any

import pytest

from dam_connector.errors import ConnectorError
from tests.stress.colour_scenarios import COLOUR_SCENARIOS
from tests.stress.invariants import assert_consistent, snapshot
from tests.stress.paid_scenarios import PAID_SCENARIOS
from tests.stress.photo_scenarios import PHOTO_SCENARIOS
from tests.stress.scenarios import SCENARIOS, Scenario

ALL_POINTS = bool(os.environ.get("STRESS_LONG"))
ALL_KINDS = (*SCENARIOS, *COLOUR_SCENARIOS, *PHOTO_SCENARIOS, *PAID_SCENARIOS)
KINDS = [kind for kind in ALL_KINDS if ALL_POINTS or kind.sampled_points]


@pytest.mark.timeout(7200 if ALL_POINTS else 1200)
@pytest.mark.parametrize("kind", KINDS)
def test_a_crash_at_any_point_changes_nothing_in_the_end(
    kind: type[Scenario], begin: Callable[[type[Scenario]], Scenario]
) -> None:
    undisturbed = begin(kind)
    undisturbed.world.plan.passed.clear()
    undisturbed.operate()
    passed = list(undisturbed.world.plan.passed)
    assert "commit" in passed  # else the harness sees none, and proves nothing
    expected = snapshot(undisturbed.world)
    assert_consistent(undisturbed.world)
    points = [(at, after) for at in range(1, len(passed) + 1) for after in (False, True)]
    if not ALL_POINTS:
        points = sorted(random.Random(kind.__name__).sample(points, min(kind.sampled_points, len(points))))
    lost = []
    for at, after in points:
        try:
            _crash_and_compare(begin(kind), at, after, expected)
        except (AssertionError, ConnectorError) as error:
            place = f"{'after' if after else 'before'} {at}/{len(passed)} {passed[at - 1]}"
            lost.append(f"{place}: {type(error).__name__} {str(error)[:1500]}")
    print(f"{kind.__name__}: {len(points)} of {2 * len(passed)} points")
    assert not lost, f"{len(lost)} of {len(points)} points lose work:\n" + "\n".join(lost)


def _crash_and_compare(scenario: Scenario, at: int, after: bool, expected: dict[str, Any]) -> None:
    with scenario.world.crash(at, after=after):
        scenario.operate()
    if not scenario.repeats_at_once:
        scenario.world.work()
        assert_consistent(scenario.world)
    scenario.operate(repeats=True)
    assert_consistent(scenario.world)
    scenario.compare(snapshot(scenario.world), expected)
