"""Slots that plugin.json no longer asks for: named by the plan, out of review by the application."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from dam_connector.domain.planning import input_hash
from dam_connector.domain.rules_effect import effect_lines
from dam_connector.domain.version import VersionState
from dam_connector.domain.wanted_slots import is_wanted
from dam_connector.errors import StateConflict
from dam_connector.store.runs import Runs
from dam_connector.usecases import intake
from dam_connector.usecases.rules_change import apply_rules, continue_change, plan_change
from dam_connector.wiring import Services
from tests.pipeline.helpers import PACKSHOT, Drain, Rules, approve, chair, send
from tests.pipeline.test_rules_changes import finish, written
from tests.support import PhotoServer

SCENE = {**PACKSHOT, "name": "scene", "count": 2, "channels": ["shop"]}
NAMING = {"default": "{sku}_{deliverable}_{slot}_V{version}_{format:upper}"}


def change(shop: Services, write_rules: Rules, *deliverables: dict[str, Any]) -> None:
    shop.clock.forward(5)  # type: ignore[attr-defined]
    write_rules(**{**written(shop), "deliverables": list(deliverables), "naming": NAMING})
    shop.rules.current()


@pytest.fixture
def scenes(shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules) -> Iterator[Services]:
    """A chair with a packshot and two scenes in review."""
    change(shop, write_rules, PACKSHOT, SCENE)
    continue_change(shop)
    send(shop, chair(photos))
    drain()
    yield shop


def slots(shop: Services) -> dict[str, str]:
    """The state of the newest version of each slot."""
    found = shop.assets.of_product("CH123")
    return {f"{v.asset.deliverable} {v.asset.slot}": v.state.value for v in reversed(found)}


def version_of(shop: Services, deliverable: str, slot: int) -> Any:
    found = shop.assets.of_product("CH123")
    return next(v for v in found if (v.asset.deliverable, v.asset.slot) == (deliverable, slot))


def applied(shop: Services, drain: Drain) -> None:
    apply_rules(shop, by="ann")
    finish(shop, drain)


@pytest.mark.parametrize(
    ("changed", "surplus"),
    [
        ({**SCENE, "count": 1}, {"scene 2": 1}),
        (None, {"scene 1": 1, "scene 2": 1}),
        ({**SCENE, "categories": ["lamps"]}, {"scene 1": 1, "scene 2": 1}),
    ],
    ids=["count", "removed", "category"],
)
def test_a_surplus_slot_is_named_and_leaves_review(
    changed: dict[str, Any] | None,
    surplus: dict[str, int],
    scenes: Services,
    drain: Drain,
    write_rules: Rules,
) -> None:
    gone = version_of(scenes, "scene", 2)
    change(scenes, write_rules, PACKSHOT, *([changed] if changed else []))
    effect = plan_change(scenes)
    assert effect.surplus == surplus and not effect.anew and not effect.is_nothing
    line = next(line for line in effect_lines(effect) if "taken out of review" in line)
    assert "scene 2 (1)" in line and effect.as_json()["surplus"] == surplus
    with pytest.raises(StateConflict, match=r"no longer asks for scene 2 of CH123.*apply the rules"):
        approve(scenes, gone)
    applied(scenes, drain)
    assert slots(scenes) == {
        "packshot 1": "in_review",
        "scene 1": "superseded" if "scene 1" in surplus else "in_review",
        "scene 2": "superseded",
    }
    entry = scenes.history.entries(version_id=gone.id)[0]
    assert entry.event == "no_longer_asked_for"
    assert plan_change(scenes).is_nothing


def test_a_surplus_slot_that_is_live_leaves_its_channels_and_comes_back(
    scenes: Services, drain: Drain, write_rules: Rules
) -> None:
    approve(scenes, version_of(scenes, "scene", 2))
    drain()
    change(scenes, write_rules, PACKSHOT, {**SCENE, "count": 1})
    effect = plan_change(scenes)
    assert effect.surplus_live == {"scene 2": 1} and effect.withdrawn == {"shop": 1} and not effect.surplus
    assert any("channels lose them: scene 2 (1)" in line for line in effect_lines(effect))
    applied(scenes, drain)
    assert scenes.publications.of_product("CH123") == [] and plan_change(scenes).is_nothing
    change(scenes, write_rules, PACKSHOT, SCENE)
    assert plan_change(scenes).published == {"shop": 1}
    applied(scenes, drain)
    assert [p.channel for p in scenes.publications.of_product("CH123")] == ["shop"]


def test_a_slot_that_is_wanted_again_is_made_once(
    scenes: Services, drain: Drain, write_rules: Rules, photos: PhotoServer
) -> None:
    change(scenes, write_rules, PACKSHOT, {**SCENE, "count": 1})
    applied(scenes, drain)
    change(scenes, write_rules, PACKSHOT, SCENE)
    assert plan_change(scenes).anew == {"scene": 1}
    applied(scenes, drain)
    again = version_of(scenes, "scene", 2)
    assert (again.number, again.state) == (2, VersionState.IN_REVIEW)
    assert plan_change(scenes).is_nothing
    scenes.clock.forward(5)  # type: ignore[attr-defined]
    send(scenes, chair(photos), message="m2", kind="product.updated")
    drain()
    assert version_of(scenes, "scene", 2).number == 2


def test_a_version_that_is_still_being_made_does_not_come_after_the_application(
    scenes: Services, drain: Drain, write_rules: Rules, photos: PhotoServer
) -> None:
    scenes.clock.forward(5)  # type: ignore[attr-defined]
    send(scenes, chair(photos, color="blue"), message="m2", kind="product.updated")
    for row in scenes.inbox.page():
        intake.handle_delivery(scenes, row.id)
    assert scenes.catalog_state.open_slots(["CH123"])
    change(scenes, write_rules, PACKSHOT, {**SCENE, "count": 1})
    applied(scenes, drain)
    gone = version_of(scenes, "scene", 2)
    assert (gone.number, gone.state) == (1, VersionState.SUPERSEDED)
    change(scenes, write_rules, PACKSHOT, SCENE)
    applied(scenes, drain)
    again = version_of(scenes, "scene", 2)
    assert (again.number, again.state) == (2, VersionState.IN_REVIEW)


def test_another_number_of_slots_makes_the_others_not_again(
    scenes: Services, drain: Drain, write_rules: Rules
) -> None:
    change(scenes, write_rules, PACKSHOT, {**SCENE, "count": 3})
    effect = plan_change(scenes)
    assert not effect.anew and effect.new == {"scene": 1}
    applied(scenes, drain)
    assert [version_of(scenes, "scene", slot).number for slot in (1, 2, 3)] == [1, 1, 1]


def test_hashes_of_an_earlier_release_that_had_the_number_of_slots_make_nothing_again(
    shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Runs.add

    def as_before(self: Runs, runs: Any) -> Any:
        rules, record = shop.rules.current(), shop.products.get("CH123")
        assert record
        found = []
        for run in runs:
            deliverable = rules.deliverable(run.deliverable)
            if deliverable and run.input_hash:
                hashed = input_hash(
                    record.product, record.sources, deliverable, run.slot, rules, count=deliverable.count
                )
                run = replace(run, input_hash=hashed)
            found.append(run)
        return add(self, found)

    change(shop, write_rules, SCENE)
    continue_change(shop)
    with monkeypatch.context() as patched:
        patched.setattr(Runs, "add", as_before)
        send(shop, chair(photos))
        drain()
    assert plan_change(shop).is_nothing
    change(shop, write_rules, {**SCENE, "count": 3})
    effect = plan_change(shop)
    assert not effect.anew and effect.new == {"scene": 1}


def test_a_row_that_asks_for_less_makes_nothing_surplus(scenes: Services) -> None:
    record = scenes.products.get("CH123")
    assert record
    one = replace(record.product, request=replace(record.product.request, types=("studio",), images=1))
    assert is_wanted(scenes.rules.current(), one, "scene", 2)
