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
from tests.stress.crashes import World
from tests.stress.scenarios import SCENARIOS, Scenario

ALL_POINTS = bool(os.environ.get("STRESS_LONG"))


def snapshot(world: World) -> dict[str, Any]:
    """Return all that people can see at the end, without times and ids."""
    s = world.services
    skus = ["CH1", "CH2"]
    all_versions = [v for sku in skus for v in s.assets.of_product(sku)]
    title = {v.id: f"{v.asset.sku} {v.asset.deliverable} V{v.number}" for v in all_versions}
    products = {sku: s.products.get(sku) for sku in skus}
    dam: Any = s.dam("shelf")
    channels: dict[str, Any] = {name: s.channel(name) for name in ("shop", "feed")}
    return {
        "products": {
            sku: (r.product.color, r.deleted, sorted(r.sources), [i.code for i in r.issues])
            for sku, r in products.items()
            if r
        },
        "versions": {title[v.id]: v.state.value for v in all_versions},
        "public": sorted(
            title[v.id]
            for v in all_versions
            if v.files and s.assets.find_file(v.files[0].sha256, public=True)
        ),
        "decisions": {
            title[v.id]: [(d.decision.verdict.value, d.undone) for d in s.decisions.of_version(v.id)]
            for v in all_versions
        },
        "publications": sorted(
            (p.channel, title[p.version_id]) for sku in skus for p in s.publications.of_product(sku)
        ),
        "channels": {
            name: {sku: sorted(files) for sku, files in channel.inner.files_by_sku.items() if files}
            for name, channel in channels.items()
        },
        "dam": {ref: state.state.value for ref, state in dam.inner.remote_states.items()},
        "failed": [r.error for r in s.runs.page(state="failed")],
        "batches": [
            (b.name, b.state.value, [(r.sku, r.state.value) for r in s.batches.rows(b.id)])
            for b in s.batches.page()
        ],
        "missing blobs": [f.name for v in all_versions for f in v.files if not s.blobs.has(f.sha256)],
    }


def assert_consistent(world: World) -> None:
    """Assert what must hold at any quiet moment, whatever took effect."""
    s, seen = world.services, snapshot(world)
    live = [title for title, state in seen["versions"].items() if state == "published"]
    assert len(live) == len({title.rpartition(" ")[0] for title in live})
    for title in seen["public"]:
        assert seen["versions"][title] == "published", (title, seen["versions"][title])
    for channel, title in seen["publications"]:
        sku, deliverable, number = title.split()
        assert seen["versions"][title] == "published", (channel, title)
        assert any(f"_{deliverable}_{number}_" in name for name in seen["channels"][channel][sku])
    assert not seen["failed"] and not seen["missing blobs"]
    assert not any(r.state.value == "running" for r in s.runs.page())


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", SCENARIOS)
def test_a_crash_at_any_point_changes_nothing_in_the_end(
    kind: type[Scenario], begin: Callable[[type[Scenario]], Scenario]
) -> None:
    undisturbed = begin(kind)
    undisturbed.world.plan.passed.clear()
    undisturbed.operate()
    passed = list(undisturbed.world.plan.passed)
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
    assert not lost, f"{len(lost)} of {len(points)} points lose work:\n" + "\n".join(lost)


def _crash_and_compare(scenario: Scenario, at: int, after: bool, expected: dict[str, Any]) -> None:
    with scenario.world.crash(at, after=after):
        scenario.operate()
    if not scenario.repeats_at_once:
        scenario.world.work()
        assert_consistent(scenario.world)
    scenario.operate(repeats=True)
    assert_consistent(scenario.world)
    assert snapshot(scenario.world) == expected
