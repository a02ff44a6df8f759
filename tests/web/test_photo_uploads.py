"""Named photos that people upload: on a product's page, and through the API."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from dam_connector.domain.ids import Sku
from dam_connector.domain.product import SourceImage, View
from dam_connector.store.products import ProductRecord
from dam_connector.usecases import intake
from dam_connector.usecases.photo_sync import poll_photos
from dam_connector.wiring import Services
from tests.support import huge_png, picture, product, rules_json
from tests.web.test_uploads import send_large

Visitor = Callable[[str], FlaskClient]
HEIC = b"\x00\x00\x00\x1cftypheic\x00\x00\x00\x00mif1heicmiaf" + bytes(100)


def form(data: bytes, **more: str) -> dict[str, object]:
    return {"file": (io.BytesIO(data), "photo.jpg"), **more}


def stored(services: Services) -> ProductRecord:
    return services.products.get(Sku("CH123"))  # type: ignore[return-value]


@pytest.fixture
def address(services: Services) -> str:
    """The page of a product without a photo."""
    intake.add_product(services, product(images={}), by="test")
    return f"/products/{stored(services).id}"


def test_a_photo_is_uploaded_and_replaced_on_the_page(
    address: str, services: Services, browser_like: Visitor
) -> None:
    client = browser_like("merchandiser")
    assert "There is no photo yet." in client.get(address).text
    first, second = picture(ground=200), picture(ground=220)
    for data in (first, second, second):
        assert client.post(f"{address}/photos", data=form(data, view="back")).status_code == 302
        assert client.get(f"/sources/{stored(services).id}/back").data == data
    held = f"held:{stored(services).sources['back']}"
    assert stored(services).product.images == (SourceImage(view=View.BACK, url=held),)
    client.post(f"{address}/photos", data=form(first, view="front"))
    assert [image.view for image in stored(services).product.images] == [View.FRONT, View.BACK]
    assert services.runs.page(sku="CH123", state="queued")
    events = [entry for entry in services.history.entries(sku="CH123") if entry.event == "edited"]
    assert {(entry.by, entry.detail) for entry in events} == {
        ("merchandiser", "images"),
        ("merchandiser", "nothing"),
    }


def test_the_form_shows_an_uploaded_picture_in_words_and_keeps_it(
    address: str, services: Services, browser_like: Visitor
) -> None:
    client = browser_like("merchandiser")
    for view in ("front", "top"):
        client.post(f"{address}/photos", data=form(picture(), view=view))
    page = client.get(address).text
    assert "held:" not in page and "uploaded picture; an address here replaces it" in page
    assert 'alt="Uploaded picture: top"' in page
    facts = {"product_name": "Chair", "category": "furniture", "unit": "cm"}
    client.post(f"{address}/edit", data=facts)
    assert [image.view for image in stored(services).product.images] == [View.FRONT, View.TOP]
    client.post(f"{address}/edit", data={**facts, "remove": "image_url_top"})
    assert [image.view for image in stored(services).product.images] == [View.FRONT]
    other = "https://x.example/a.jpg"
    client.post(f"{address}/edit", data={**facts, "image_url": other})
    assert stored(services).product.images == (SourceImage(view=View.FRONT, url=other),)


def test_the_api_takes_a_photo_of_each_view(address: str, services: Services, api: Visitor) -> None:
    client, url = api("merchandiser"), "/api/v1/products/CH123/photos"
    for view in View:
        taken = client.post(f"{url}/{view}", data=form(picture(ground=150 + len(view))))
        assert (taken.status_code, taken.json["sku"]) == (202, "CH123"), taken.text
    assert [image.view for image in stored(services).product.images] == list(View)
    assert client.post(f"{url}/bottom", data=form(picture())).status_code == 404
    assert client.post("/api/v1/products/none/photos/front", data=form(picture())).status_code == 404
    assert api("viewer").post(f"{url}/front", data=form(picture())).status_code == 403


@pytest.mark.issue(param="code")
@pytest.mark.parametrize(
    ("data", "said", "code"),
    [
        (b"", "is empty", "source.damaged"),
        (b"<html></html> and more", "is no JPEG", "source.not_an_image"),
        (HEIC, "HEIC", "source.not_an_image"),
        (picture()[:-300], "is cut off", "source.damaged"),
        (picture(size=(199, 800)), "has 199 x 800 pixels", "source.too_small"),
        (huge_png(), "has 30000 x 30000 pixels", "source.too_large"),
    ],
)
def test_what_is_no_photo_is_refused_in_words(
    address: str, services: Services, api: Visitor, browser_like: Visitor, data: bytes, said: str, code: str
) -> None:
    refused = api("merchandiser").post("/api/v1/products/CH123/photos/front", data=form(data))
    assert refused.status_code == 422 and said in refused.json["error"]["message"]
    page = browser_like("reviewer").post(f"{address}/photos", data=form(data, view="front"))
    assert page.status_code == 422 and said in page.text
    assert stored(services).product.images == ()


def test_the_message_names_the_limit_and_a_size_that_is_enough(address: str, api: Visitor) -> None:
    client, url = api("merchandiser"), "/api/v1/products/CH123/photos/front"
    said = client.post(url, data=form(huge_png())).json["error"]["message"]
    assert said.endswith("wanted: at most 64,000,000 pixels, e.g. 4000 x 4000")
    said = client.post(url, data=form(picture(size=(100, 100)))).json["error"]["message"]
    assert said.endswith("wanted: at least 200 px on the shorter side")
    said = client.post(url, data=form(HEIC)).json["error"]["message"]
    assert "JPEG; on an iPhone" in said
    said = client.post(url, data=form(b"")).json["error"]["message"]
    assert said == "The file is empty. Upload the picture again at its source"


def test_an_upload_of_the_api_has_the_limits_of_pictures_but_may_be_a_swatch(api: Visitor) -> None:
    client, url = api("merchandiser"), "/api/v1/uploads"
    refused = client.post(url, data=form(huge_png()))
    assert refused.status_code == 422 and "at most 64,000,000 pixels" in refused.json["error"]["message"]
    assert client.post(url, data=form(picture(size=(64, 64)))).status_code == 201


def test_a_photo_may_be_larger_than_a_form_but_not_endless(
    address: str, services: Services, api: Visitor
) -> None:
    url, limit = "/api/v1/products/CH123/photos/front", services.settings.max_picture_bytes
    assert send_large(api("merchandiser"), url, length=2 * limit) == (413, 0)


def test_a_view_that_a_dam_has_is_replaced_there(
    address: str, services: Services, browser_like: Visitor, api: Visitor, write_rules: Callable[..., None]
) -> None:
    connections = rules_json()["connections"]
    shelf = {"adapter": "memory", "sources": {"folder": "Photos"}}
    write_rules(connections={**connections, "dam": {**connections["dam"], "shelf": shelf}})
    dam: Any = services.dam("shelf")
    dam.put_photo("1", picture(), name="CH123_front.jpg", folder="Photos")
    poll_photos(services)
    refused = api("merchandiser").post("/api/v1/products/CH123/photos/front", data=form(picture()))
    assert refused.status_code == 422 and "comes from the DAM; replace it there" in refused.text
    page = browser_like("reviewer").post(
        f"{address}/photos", data=form(picture(), view="front"), follow_redirects=True
    )
    assert "The photo front comes from the DAM; replace it there." in page.text
    taken = api("merchandiser").post("/api/v1/products/CH123/photos/back", data=form(picture()))
    assert taken.status_code == 202 and stored(services).product.images[-1].view == "back"


def test_a_view_is_said(address: str, browser_like: Visitor) -> None:
    answer = browser_like("merchandiser").post(f"{address}/photos", data=form(picture(), view="bottom"))
    assert answer.status_code == 400 and "which side" in answer.text
