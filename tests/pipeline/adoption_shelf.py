"""A DAM with finished files and a PIM whose product they are of, for the tests of adoption."""

import json
from collections.abc import Callable
from typing import Any

from dam_connector.usecases.backfill import backfill
from dam_connector.wiring import Services
from tests.pipeline.helpers import PACKSHOT
from tests.support import MODEL, PhotoServer, TestClock, picture, product
from tests.unit.glb_cases import SIZE
from tests.unit.test_adoption import textured_chair

SHOT, GLB = picture(size=(500, 500)), textured_chair()
CHAIR = {"width": SIZE[0], "height": SIZE[1], "depth": SIZE[2], "unit": "m"}
HERO = {**PACKSHOT, "name": "hero", "formats": ["jpeg"]}


def make_shelf(services: Services, write_rules: Callable[..., None]) -> Any:
    """A DAM with a finished packshot and model of CH123; a hero picture is in the record."""
    connections = json.loads(services.settings.plugin_json.read_text())["connections"]
    channels = {**connections["channel"], "shop": {"adapter": "memory"}}
    write_rules(
        connections={**connections, "dam": {"shelf": {"adapter": "memory"}}, "channel": channels},
        review={"dam": "shelf"},
        deliverables=[PACKSHOT, {**MODEL, "channels": ["shop"]}, HERO],
        naming={"default": "{sku}_{name:pascal}_{deliverable}_V{version}_{format:upper}"},
        adopt={
            "packshot": {"dam": "shelf", "names": ["{sku}_packshot"], "folder": "Finished"},
            "model": {"dam": "shelf", "names": ["{sku}_3d"]},
            "hero": {"view": "hero"},
        },
    )
    dam: Any = services.dam("shelf")
    dam.put_photo("1", SHOT, name="CH123_packshot.jpg", folder="Finished")
    dam.put_photo("2", GLB, name="CH123_3d.glb", folder="Models")
    dam.put_photo("3", SHOT, name="CH123_packshot.jpg", folder="Elsewhere")
    dam.put_photo("4", SHOT, name="XX9_packshot.jpg", folder="Finished")
    return dam


def in_pim(services: Services, clock: TestClock, photos: PhotoServer, **changes: object) -> None:
    """Put CH123 into the PIM, with a photo and a picture that is live in its shop."""
    photos.files |= {"front.jpg": picture(), "hero.jpg": picture(size=(600, 400))}
    images = {"front": photos.url("front.jpg"), "hero": photos.url("hero.jpg")}
    clock.forward(1)
    pim: Any = services.pim("mem")
    pim.put(product(**{"images": images, "dimensions": CHAIR, **changes}), clock.now())


def adopt(services: Services, **more: Any) -> Any:
    return list(backfill(services, "mem", adopt=True, **more))[-1]
