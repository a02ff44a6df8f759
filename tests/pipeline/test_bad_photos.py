"""Photos that no good model can come from: each ends in an issue that says so, never in a crash."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from dam_connector.wiring import Services
from tests.pipeline.helpers import send, versions
from tests.support import PhotoServer, picture, record

MODEL = [{"name": "model", "kind": "model", "formats": ["glb"], "texture_px": 512, "max_triangles": 5000}]
RED, SIZE = (170, 40, 40), (600, 600)


def box(
    rgb: np.ndarray, left: float = 0.25, top: float = 0.25, right: float = 0.75, bottom: float = 0.75
) -> None:
    height, width = rgb.shape[:2]
    cv2.rectangle(
        rgb, (int(left * width), int(top * height)), (int(right * width), int(bottom * height)), RED, -1
    )


def blank() -> bytes:
    return picture(lambda rgb: None, SIZE)


def edge_to_edge() -> bytes:
    def draw(rgb: np.ndarray) -> None:
        rgb[:] = np.random.default_rng(1).integers(40, 200, (*rgb.shape[:2], 1))

    return picture(draw, SIZE)


def two_products() -> bytes:
    return picture(lambda rgb: (box(rgb, 0.1, 0.3, 0.4, 0.7), box(rgb, 0.6, 0.3, 0.9, 0.7)), SIZE)


def wide() -> bytes:
    return picture(lambda rgb: box(rgb, 0.1, 0.4, 0.9, 0.6), SIZE)


def tiny() -> bytes:
    return picture(size=(64, 64))


def enormous() -> bytes:
    return picture(size=(8000, 8000))


# by case: the photo of each view, the changes to the record, the codes that must be reported
CASES: dict[str, tuple[dict[str, Callable[[], bytes]], dict, set[str]]] = {
    "blank": ({"front": blank}, {}, {"cutout.empty"}),
    "filled edge to edge": ({"front": edge_to_edge}, {}, {"cutout.empty"}),
    "two products in one photo": ({"front": two_products}, {}, {"source.several_objects"}),
    "views that contradict each other": ({"front": picture, "right": wide}, {}, {"model.views_disagree"}),
    "the side called the front": (
        {"front": wide},
        {"dimensions": {"width": 0.3, "height": 0.2, "depth": 0.8, "unit": "m"}},
        {"model.view_recognised"},
    ),
    "64 pixels": ({"front": tiny}, {}, {"source.too_small"}),
    "absurd dimensions": (
        {"front": picture},
        {"dimensions": {"width": 4000, "height": 4000, "depth": 3000, "unit": "m"}},
        {"product.dimensions_implausible"},
    ),
    "contradicting dimensions": (
        {"front": picture},
        {"dimensions": {"width": 4, "height": 0.4, "depth": 0.3, "unit": "m"}},
        {"model.views_disagree"},
    ),
}


@pytest.mark.parametrize(("drawn", "changes", "codes"), CASES.values(), ids=CASES)
@pytest.mark.issue(param="codes")
def test_a_bad_photo_ends_in_a_clear_issue(
    drawn: dict[str, Callable[[], bytes]],
    changes: dict,
    codes: set[str],
    services: Services,
    photos: PhotoServer,
    drain: Callable,
    write_rules: Callable,
) -> None:
    write_rules(deliverables=MODEL)
    for view, draw in drawn.items():
        photos.files[f"{view}.jpg"] = draw()
    send(services, record(images={view: photos.url(f"{view}.jpg") for view in drawn}, **changes))
    drain()
    issues = [i for v in versions(services).values() for i in v.report.issues]
    issues += services.products.get("CH123").issues
    assert codes <= {i.code for i in issues} and all(i.remedy for i in issues)


def test_8000_pixels_make_a_model_like_any_other(
    services: Services, photos: PhotoServer, drain: Callable, write_rules: Callable
) -> None:
    write_rules(deliverables=MODEL)
    photos.files["front.jpg"] = enormous()
    send(services, record(images={"front": photos.url("front.jpg")}))
    drain()
    assert not services.products.get("CH123").issues
    assert versions(services)["model"].report.facts["size_m"] == "0.400 x 0.400 x 0.300"
