"""The pages of a product with a spin: it turns there at once, before anything is made from it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from dam_connector.adapters.common.product_mapping import AttributeMapping
from dam_connector.adapters.common.record_mapping import RecordMapping
from dam_connector.domain.ids import Sku
from dam_connector.domain.product import Capture, Product
from dam_connector.usecases import intake
from dam_connector.wiring import Services
from schemas.product import dump_product, load_product
from tests.support import picture

BASE = "https://x.example/"
Visitor = Callable[[str], FlaskClient]


def add_spin(services: Services, count: int = 9, walk_count: int = 0) -> Product:
    urls = tuple(f"held:{services.blobs.put(picture(ground=200 + number))}" for number in range(count))
    walk_urls = (*urls, *urls)[:walk_count]
    product = Product(sku=Sku("A1"), name="Cup", category="decor", spin_images=urls, walk_images=walk_urls)
    intake.add_product(services, product, by="ann")
    return product


def test_the_page_shows_the_spin_before_anything_is_made(services: Services, browser_like: Visitor) -> None:
    add_spin(services)
    record, client = services.products.get(Sku("A1")), browser_like("viewer")
    assert record is not None
    page = client.get(f"/products/{record.id}").text
    assert "Spin of 9 frames" in page and "data-spin" in page and "product.js" in page
    assert page.count("/spin-") == 9 and page.index("/spin-02") < page.index("/spin-09")
    assert client.get(f"/sources/{record.id}/spin-09").status_code == 200
    assert f"/sources/{record.id}/front" in page  # its first frame shows the front
    assert f"/sources/{record.id}/front" in client.get("/products").text


def test_the_page_shows_a_walk_without_angles(services: Services, browser_like: Visitor) -> None:
    add_spin(services, count=8, walk_count=12)
    record, client = services.products.get(Sku("A1")), browser_like("viewer")
    assert record is not None
    page = client.get(f"/products/{record.id}").text
    assert "Walk of 12 photos" in page and page.count("/walk-") == 12
    assert page.count("data-spin") == 2 and "Cup, photo 12 of 12" in page and "Cup, 315 degrees" in page
    assert client.get(f"/sources/{record.id}/walk-12").status_code == 200


def test_an_edit_keeps_spin_and_walk(services: Services, browser_like: Visitor) -> None:
    product = add_spin(services, walk_count=12)
    record = services.products.get(Sku("A1"))
    assert record is not None
    form = {"product_name": "Mug", "category": "decor", "unit": "cm"}
    answer = browser_like("merchandiser").post(f"/products/{record.id}/edit", data=form)
    assert answer.status_code == 302
    edited = services.products.get(Sku("A1"))
    assert edited is not None
    assert edited.product.name == "Mug" and edited.product.spin_images == product.spin_images
    assert edited.product.walk_images == product.walk_images and len(product.walk_images) == 12


@pytest.mark.parametrize("kind", list(Capture))
def test_a_record_holds_its_spin_or_walk_as_a_list_or_as_one_text(kind: Capture) -> None:
    urls, name = [f"https://x.example/{number}.jpg" for number in range(3)], kind.field_name
    for given in (urls, " ".join(urls), "\n".join(urls), ", ".join(urls), ";".join(urls)):
        product = load_product({"sku": "A1", name: given})
        assert product.captured(kind) == tuple(urls)
        assert load_product(dump_product(product)) == product
    mapping = RecordMapping(
        "standard", {"fields": {"sku": "$.id", name: "$.turn[*].url"}, "image_base": BASE}
    )
    record = {"id": "A1", "turn": [{"url": f"{number}.jpg"} for number in range(3)]}
    assert mapping.product(record).captured(kind) == tuple(urls)
    assert load_product({"sku": "A1", name: None}).captured(kind) == ()
    assert replace(product, **{name: ()}) == load_product({"sku": "A1"})
    attributes = AttributeMapping("acme", {}, {"attributes": {name: "turn"}})
    assert attributes.build_product("A1", {"turn": urls}.get).captured(kind) == tuple(urls)
