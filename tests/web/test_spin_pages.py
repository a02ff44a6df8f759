"""The pages of a product with a spin: it turns there at once, before anything is made from it."""

from collections.abc import Callable
from dataclasses import replace

from flask.testing import FlaskClient

from dam_connector.adapters.common.record_mapping import RecordMapping
from dam_connector.domain.ids import Sku
from dam_connector.domain.product import Product
from dam_connector.usecases import intake
from dam_connector.wiring import Services
from schemas.product import dump_product, load_product
from tests.support import picture

BASE = "https://x.example/"
Visitor = Callable[[str], FlaskClient]


def add_spin(services: Services, count: int = 9) -> Product:
    urls = tuple(f"held:{services.blobs.put(picture(ground=200 + number))}" for number in range(count))
    product = Product(sku=Sku("A1"), name="Cup", category="decor", spin_images=urls)
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


def test_an_edit_keeps_the_spin(services: Services, browser_like: Visitor) -> None:
    product = add_spin(services)
    record = services.products.get(Sku("A1"))
    assert record is not None
    form = {"product_name": "Mug", "category": "decor", "unit": "cm"}
    answer = browser_like("merchandiser").post(f"/products/{record.id}/edit", data=form)
    assert answer.status_code == 302
    edited = services.products.get(Sku("A1"))
    assert edited is not None
    assert edited.product.name == "Mug" and edited.product.spin_images == product.spin_images


def test_a_record_holds_its_spin_as_a_list_or_as_one_text() -> None:
    urls = [f"https://x.example/{number}.jpg" for number in range(3)]
    for given in (urls, " ".join(urls), "\n".join(urls), ", ".join(urls), ";".join(urls)):
        product = load_product({"sku": "A1", "spin_images": given})
        assert product.spin_images == tuple(urls)
        assert load_product(dump_product(product)) == product
    mapping = RecordMapping(
        "standard", {"fields": {"sku": "$.id", "spin_images": "$.turn[*].url"}, "image_base": BASE}
    )
    record = {"id": "A1", "turn": [{"url": f"{number}.jpg"} for number in range(3)]}
    assert mapping.product(record).spin_images == tuple(urls)
    assert load_product({"sku": "A1", "spin_images": None}).spin_images == ()
    assert replace(product, spin_images=()) == load_product({"sku": "A1"})
