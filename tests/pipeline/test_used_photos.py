"""Photos that nothing is made from: a new one makes no version again."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from dam_connector.wiring import Services
from tests.pipeline.helpers import send
from tests.support import PhotoServer, picture, record

PACKSHOT = {"name": "packshot", "kind": "rendition", "formats": ["jpeg"], "size_px": 400}
MODEL = {"name": "model", "kind": "model", "formats": ["glb"], "texture_px": 512, "max_triangles": 5000}
COLOURS = {"red": (170, 40, 40), "blue": (40, 60, 170), "green": (40, 140, 60)}


UNUSABLE = picture()[:4000]  # it cannot be decoded to its end


def photo(colour: str) -> bytes:
    def draw(rgb: np.ndarray) -> None:
        height, width = rgb.shape[:2]
        rgb[height // 4 : -height // 4, width // 4 : -width // 4] = COLOURS[colour]

    return picture(draw, (600, 600))


@pytest.fixture
def bring(services: Services, photos: PhotoServer, drain: Callable[[], int]) -> Callable[..., dict[str, int]]:
    """Return a function that brings the product with these photos and returns its versions' numbers."""
    events = iter(range(1, 99))

    def bring(**images: bytes) -> dict[str, int]:
        number = next(events)
        urls = {}
        for view, data in images.items():
            name = f"{view}-{number}.jpg"
            photos.files[name] = data
            urls[view] = photos.url(name)
        services.clock.forward(5)  # type: ignore[attr-defined]
        send(services, record(images=urls), message=f"msg_{number}", kind="product.updated")
        drain()
        return newest_numbers(services)

    return bring


def newest_numbers(services: Services) -> dict[str, int]:
    found: dict[str, int] = {}
    for version in services.assets.of_product("CH123"):
        name = version.asset.deliverable
        found[name] = max(found.get(name, 0), version.number)
    return found


def used(services: Services, name: str = "packshot") -> Mapping[str, object]:
    """Return the photos that the newest version was made from, by view."""
    versions = [v for v in services.assets.of_product("CH123") if v.asset.deliverable == name]
    newest = max(versions, key=lambda v: v.number)
    return {k.removeprefix("source_"): v for k, v in newest.provenance.items() if k.startswith("source_")}


def test_a_picture_is_made_again_for_its_own_photo_alone(
    bring: Callable[..., dict[str, int]], write_rules: Callable[..., None]
) -> None:
    write_rules(deliverables=[PACKSHOT, MODEL])
    assert bring(front=photo("red")) == {"packshot": 1, "model": 1}
    assert bring(front=photo("red"), detail=photo("green")) == {"packshot": 1, "model": 1}
    assert bring(front=photo("red"), back=photo("red")) == {"packshot": 1, "model": 2}
    assert bring(front=photo("blue"), back=photo("red")) == {"packshot": 2, "model": 3}
    assert bring(front=photo("blue")) == {"packshot": 2, "model": 4}


def test_views_of_the_deliverable_decide(
    bring: Callable[..., dict[str, int]], services: Services, write_rules: Callable[..., None]
) -> None:
    write_rules(deliverables=[{**PACKSHOT, "views": ["back", "front"]}])
    assert bring(front=photo("red")) == {"packshot": 1}
    assert bring(front=photo("red"), back=photo("blue")) == {"packshot": 2} and set(used(services)) == {
        "back"
    }
    assert bring(front=photo("green"), back=photo("blue")) == {"packshot": 2}


def test_the_photo_that_stood_in_for_an_unusable_one_counts(
    bring: Callable[..., dict[str, int]], services: Services, write_rules: Callable[..., None]
) -> None:
    write_rules(deliverables=[PACKSHOT])
    assert bring(front=UNUSABLE, hero=photo("red")) == {"packshot": 1}
    assert set(used(services)) == {"hero"}
    before = dict(used(services))
    more = {"back": photo("green"), "detail": photo("red")}
    assert bring(front=UNUSABLE, hero=photo("red"), **more)["packshot"] == 1
    assert bring(front=UNUSABLE, hero=photo("blue"))["packshot"] == 2
    assert set(used(services)) == {"hero"} and used(services) != before
    assert bring(front=UNUSABLE, hero=photo("blue"), **more)["packshot"] == 2
    assert bring(front=photo("green"), hero=photo("blue"))["packshot"] == 3
    assert set(used(services)) == {"front"}
    assert bring(front=photo("green"), hero=photo("red"))["packshot"] == 3


def test_a_photo_that_may_help_a_failed_picture_makes_it(
    bring: Callable[..., dict[str, int]], services: Services, write_rules: Callable[..., None]
) -> None:
    write_rules(deliverables=[PACKSHOT])
    assert bring(front=UNUSABLE) == {}
    assert bring(front=UNUSABLE, hero=photo("red")) == {"packshot": 1}
    assert set(used(services)) == {"hero"}
