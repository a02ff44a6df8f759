"""Texts of pages: sizes, lengths, and names of assets."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from dam_connector.domain.product import Dimensions
from dam_connector.usecases import intake
from dam_connector.web import formatting
from dam_connector.wiring import Services
from tests.support import PhotoServer, picture, product

Visitor = Callable[[str], FlaskClient]


@pytest.mark.parametrize(
    ("sides", "text"),
    [
        ((0.46, 0.852, 0.489), "46 × 85.2 × 48.9 cm"),
        ((3.2, 4.0, 3.5), "3.2 × 4 × 3.5 m"),
        ((4.0, 0.75, 0.9), "4 m × 75 cm × 90 cm"),
        ((0.4, None, 0.3), "40 cm × not known × 30 cm"),
        ((None, None, None), "not known"),
    ],
)
def test_a_size_names_its_unit_once_where_there_is_one(
    sides: tuple[float | None, float | None, float | None], text: str
) -> None:
    width, height, depth = sides
    assert formatting.box_size(Dimensions(width_m=width, height_m=height, depth_m=depth)) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (412, "412 B"), (1000, "1 kB"), (1_180_000, "1.18 MB")]
)
def test_a_small_body_is_not_called_empty(count: int, text: str) -> None:
    assert formatting.size(count) == text


def test_the_second_picture_of_a_deliverable_is_named_so_on_every_page(
    services: Services,
    photos: PhotoServer,
    drain: Callable[[], int],
    browser_like: Visitor,
    write_rules: Callable[..., None],
) -> None:
    write_rules(
        deliverables=[{"name": "packshot", "kind": "rendition", "count": 2, "size_px": 256}],
        naming={"default": "{sku}_{slot}_V{version}_{format:upper}"},
    )
    photos.files["front.jpg"] = picture()
    intake.add_product(services, product(images={"front": photos.url("front.jpg")}), by="test")
    drain()
    client = browser_like("admin")
    found = services.products.get("CH123")
    assert found and "packshot 2 V1" in client.get("/products").text
    page = client.get(f"/products/{found.id}").text
    assert "<strong>packshot 2</strong>" in page and "<li>packshot 2 " in page
