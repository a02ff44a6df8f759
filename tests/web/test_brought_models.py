"""Models that people upload: on a product's page, and through the API."""

import io
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from dam_connector.domain.brought_model import MAX_MODEL_BYTES
from dam_connector.usecases import intake
from dam_connector.wiring import Services
from tests.support import product
from tests.unit.glb_cases import chair
from tests.unit.test_adoption import OBJ, as_gltf, textured_chair
from tests.web.test_uploads import send_large

Api = Callable[[str], FlaskClient]


@pytest.fixture
def sku(services: Services) -> str:
    intake.add_product(services, product(), by="test")
    return "CH123"


def file(data: bytes, name: str = "chair.glb") -> dict[str, tuple[io.BytesIO, str]]:
    return {"file": (io.BytesIO(data), name)}


def test_a_model_is_uploaded_shown_and_removed(api: Api, services: Services, sku: str) -> None:
    client, glb = api("merchandiser"), chair().finish()
    url = f"/api/v1/products/{sku}/model"
    taken = client.post(url, data=file(glb))
    assert taken.status_code == 202 and taken.json["sku"] == sku, taken.text
    stored = services.products.get(sku)
    assert "model" in stored.sources and "model" not in stored.photos
    assert f"/sources/{stored.id}/model" not in client.get("/products").text
    assert client.get(f"/api/v1/products/{sku}").json["product"]["model_url"] == stored.product.model_url
    answer = client.get(f"/sources/{stored.id}/model")
    assert answer.data == glb and answer.mimetype == "model/gltf-binary"
    assert "model.glb" in answer.headers["Content-Disposition"]
    page = client.get(f"/products/{stored.id}").text
    assert f"/sources/{stored.id}/model" in page and 'alt="model"' not in page
    assert client.patch(f"/api/v1/products/{sku}", json={"model_url": ""}).status_code == 202
    assert "model" not in services.products.get(sku).sources
    assert client.post("/api/v1/products/none/model", data=file(glb)).status_code == 404


@pytest.mark.issue("source.not_a_model")
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no model"),
        (b"<html>", "no model"),
        (OBJ.encode(), "chair.mtl"),
        (as_gltf(textured_chair())["chair.gltf"], "chair.bin"),
    ],
)
def test_files_that_are_none_or_incomplete_are_refused(
    api: Api, services: Services, browser_like: Api, sku: str, data: bytes, said: str
) -> None:
    refused = api("merchandiser").post(f"/api/v1/products/{sku}/model", data=file(data))
    assert refused.status_code == 422 and said in refused.json["error"]["message"]
    stored = services.products.get(sku)
    page = browser_like("merchandiser").post(f"/products/{stored.id}/model", data=file(data))
    assert page.status_code == 422 and said in page.text
    assert not services.products.get(sku).product.model_url


def test_a_model_may_be_larger_than_a_form_but_not_endless(
    api: Api, services: Services, sku: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"/api/v1/products/{sku}/model"
    assert send_large(api("viewer"), url) == (403, 0)
    assert send_large(api("merchandiser"), url, length=2 * MAX_MODEL_BYTES) == (413, 0)
    monkeypatch.setattr("dam_connector.usecases.brought_models.MAX_MODEL_BYTES", 1000)
    refused = api("admin").post(url, data=file(textured_chair()))
    assert refused.status_code == 422 and "too large" in refused.json["error"]["message"]
