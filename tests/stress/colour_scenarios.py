"""Operations about products of several colours that share one shape."""

import json
from collections.abc import Callable
from typing import Any

import pygltflib

from dam_connector.domain.version import Version
from dam_connector.usecases import publish, review
from tests.pipeline.helpers import chair, send
from tests.stress.scenarios import APPROVED, Scenario
from tests.support import MODEL
from tests.unit.test_colour_variants import RED, seat

SIZE = {"width": 50, "height": 60, "depth": 50, "unit": "cm"}
COLOURS = {"CH1": "#be2828", "CH2": "#2846a0", "CH3": "#1e6e50"}


class ApproveAShapeAndItsColours(Scenario):
    """A shape and two colours are approved, and one of them is withdrawn: one model has all that are live."""

    sampled_points = 3
    deliverables = (
        {**MODEL, "formats": ["glb"], "colours": {}, "channels": ["shop"]},
        {"name": "colours", "kind": "model", "made_from": "model", "formats": ["glb"], "channels": ["feed"]},
    )

    def prepare(self) -> None:
        self.photos.files["red.glb"] = seat(RED)
        for sku, swatch in COLOURS.items():
            model = {"model_url": self.photos.url("red.glb")} if sku == "CH1" else {}
            fields = {"sku": sku, "color": swatch, "parent": "CHAIR", "swatch": swatch, **model}
            record = chair(self.photos, images={}, dimensions=SIZE, **fields)
            send(self.world.services, record, message=f"msg_{sku}")
        self.world.work()

    def requests(self) -> list[Callable[[], object]]:
        return [
            lambda: self.approve("CH1"),
            self.world.work,
            lambda: self.approve("CH2"),
            lambda: self.approve("CH3"),
            self.world.work,
            lambda: publish.withdraw(self.world.services, self.model("CH2"), by="ann"),
        ]

    def compare(self, seen: dict[str, Any], expected: dict[str, Any]) -> None:
        """Assert the end of all but the joined models on the way, whose number depends on the moment."""
        assert _without_joined_on_the_way(seen) == _without_joined_on_the_way(expected)
        assert self.live_colours() == [COLOURS["CH1"], COLOURS["CH3"]]

    def live_colours(self) -> list[str]:
        """Return the colours in the joined model that is live."""
        services = self.world.services
        [live] = [p.version_id for p in services.publications.of_product("CH1") if p.channel == "feed"]
        version = services.assets.get(live)
        assert version
        model = pygltflib.GLTF2().load_from_bytes(services.blobs.get(version.files[0].sha256))
        return [variant["name"] for variant in model.extensions["KHR_materials_variants"]["variants"]]

    def model(self, sku: str) -> Version:
        found = self.world.services.assets.of_product(sku)
        return next(v for v in found if v.asset.deliverable == "model")

    def approve(self, sku: str) -> None:
        review.decide(self.world.services, self.model(sku), APPROVED, source="page")


COLOUR_SCENARIOS = (ApproveAShapeAndItsColours,)


def _without_joined_on_the_way(seen: dict[str, Any]) -> dict[str, Any]:
    """Return a snapshot in which the joined model that is live is V1, and there is no other."""
    states = seen["versions"]
    joined = [title for title in states if title.startswith("CH1 colours V")]
    assert all(states[title] in ("published", "superseded", "withdrawn") for title in joined), states
    [live] = [title for title in joined if states[title] == "published"]
    text = json.dumps(
        {
            **seen,
            **{
                part: {
                    title: value
                    for title, value in seen[part].items()
                    if title not in joined or title == live
                }
                for part in ("versions", "decisions")
            },
            "dam": {
                ref: state
                for ref, state in seen["dam"].items()
                if not ref.startswith("mem:CH1:colours:") or state == "published"
            },
        },
        sort_keys=True,
    )
    number = live.rpartition("V")[2]
    for form in ("CH1 colours V{}", "CH1_colours_V{}_", 'mem:CH1:colours:1:{}"'):
        text = text.replace(form.format(number), form.format(1))
    found: dict[str, Any] = json.loads(text)
    return found
