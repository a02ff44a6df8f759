"""Operations about products of several colours that share one shape."""

from collections.abc import Callable

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

    def model(self, sku: str) -> Version:
        found = self.world.services.assets.of_product(sku)
        return next(v for v in found if v.asset.deliverable == "model")

    def approve(self, sku: str) -> None:
        review.decide(self.world.services, self.model(sku), APPROVED, source="page")


COLOUR_SCENARIOS = (ApproveAShapeAndItsColours,)
