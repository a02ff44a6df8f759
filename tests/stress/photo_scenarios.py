"""Photos and finished files in a DAM, to be crashed at each of their points."""

from collections.abc import Callable
from typing import Any

from dam_connector.domain.ids import Sku
from dam_connector.domain.product import Capture
from dam_connector.usecases import captures, intake
from dam_connector.usecases.adopt_known_products import adopt_known, continue_adoption, request_adoption
from dam_connector.usecases.photo_sync import poll_photos
from tests.stress.scenarios import RULES, Scenario
from tests.support import picture, product


class PhotosInTheDam(Scenario):
    """A photo is uploaded to the DAM and then replaced: a packshot, and its next version."""

    sampled_points = 8

    @classmethod
    def rules(cls) -> dict[str, Any]:
        shelf = {"adapter": "memory", "sources": {"folder": "Photos"}}
        return {**RULES, "connections": {**RULES["connections"], "dam": {"shelf": shelf}}}

    @property
    def shelf(self) -> Any:
        proxy: Any = self.world.services.dam("shelf")
        return proxy.inner

    def prepare(self) -> None:
        at = self.world.clock.now()
        self.world.services.products.upsert(product("CH1"), connection="", ref="CH1", source_time=at)
        self.shelf.put_photo("1", picture(), name="CH1_front.jpg", folder="Photos")

    def requests(self) -> list[Callable[[], object]]:
        return [self.poll, self.world.work, self.replace, self.poll]

    def poll(self) -> None:
        self.world.clock.forward(300)
        poll_photos(self.world.services)

    def replace(self) -> None:
        self.shelf.put_photo("1", picture(size=(440, 400)), name="CH1_front.jpg", folder="Photos")


class AdoptFromTheDam(Scenario):
    """A finished packshot becomes V1, by the command and then in the background."""

    sampled_points = 8

    @classmethod
    def rules(cls) -> dict[str, Any]:
        return {**RULES, "adopt": {"packshot": {"dam": "shelf", "names": ["{sku}_packshot"]}}}

    def prepare(self) -> None:
        proxy: Any = self.world.services.dam("shelf")
        for number, sku in enumerate(("CH1", "CH2")):
            self.world.clock.forward(1)
            at = self.world.clock.now()
            self.world.services.products.upsert(product(sku), connection="", ref=sku, source_time=at)
            size = (400 + 10 * number, 400)
            proxy.inner.put_photo(sku, picture(size=size), name=f"{sku}_packshot.jpg")

    def requests(self) -> list[Callable[[], object]]:
        return [self.adopt, lambda: request_adoption(self.world.services, by="ann"), self.go_on]

    def adopt(self) -> None:
        list(adopt_known(self.world.services))

    def go_on(self) -> None:
        while continue_adoption(self.world.services):
            pass


class FinishAWalk(Scenario):
    """The photos that a person took become the product's: its packshot is made, and the draft is gone."""

    sampled_points = 6

    def prepare(self) -> None:
        services = self.world.services
        intake.add_product(services, product("CH1", images={}), by="ann")
        captures.begin(services, "CH1", Capture.WALK, by="ann")
        for number in range(12):
            captures.add_photo(services, "CH1", picture(ground=150 + number), by="ann")
        self.world.clock.forward(1)

    def requests(self) -> list[Callable[[], object]]:
        return [self.finish]

    def finish(self) -> None:
        services = self.world.services
        record = services.products.get(Sku("CH1"))
        assert record
        captures.finish(services, record, by="ann")

    def compare(self, seen: dict[str, Any], expected: dict[str, Any]) -> None:
        super().compare(seen, expected)
        assert self.world.services.captures.get("CH1", "ann") is None


PHOTO_SCENARIOS = (PhotosInTheDam, AdoptFromTheDam, FinishAWalk)
