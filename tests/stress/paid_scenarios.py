"""Operations that are paid for, to be crashed at each of their points: no task is paid twice."""

from typing import Any

from tests.stress.paid_provider import PaidProvider
from tests.stress.scenarios import PACKSHOT, RULES, CreateByWebhook
from tests.support import MODEL, picture
from tests.unit.shapes import ball
from worker.modeling.glb_export import write_glb


class BuyAPicture(CreateByWebhook):
    """From the sender's request to a picture that a paid provider made: one task, and one only, is paid."""

    sampled_points = 2
    can_list = True  # the provider can be asked for its tasks
    deliverables: tuple[dict[str, Any], ...] = ({**PACKSHOT, "generator": ["maker"]},)

    @classmethod
    def rules(cls) -> dict[str, Any]:
        connections = {**RULES["connections"], "provider": {"maker": {"adapter": "memory"}}}
        return {**RULES, "connections": connections}

    def results(self) -> bytes:
        return picture()

    def prepare(self) -> None:
        proxy: Any = self.world.services.provider("maker")
        proxy.inner = PaidProvider(self.world.clock, (self.results(),), can_list=self.can_list)


class BuyFromAProviderWithoutAList(BuyAPicture):
    """Where the answer to a submission is lost with the process, a person must look whether it was billed."""

    can_list = False

    def compare(self, seen: dict[str, Any], expected: dict[str, Any]) -> None:
        if not seen["failed"]:
            super().compare(seen, expected)
            return
        assert seen["billed"] in ({}, {"CH1": 1}) and not seen["versions"]
        assert all("may have been billed" in error for error in seen["failed"])


class BuyAModel(BuyAPicture):
    sampled_points = 0
    deliverables = (
        {**MODEL, "generator": ["maker"], "channels": ["shop"], "max_triangles": 1000, "texture_px": 512},
    )

    def results(self) -> bytes:
        return write_glb(ball(3.0), "remote")


PAID_SCENARIOS = (BuyAPicture, BuyFromAProviderWithoutAList, BuyAModel)
