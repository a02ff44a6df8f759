"""The forecast of our own models in the check of a sheet, on the page of a product, and in the API."""

import io
from collections.abc import Callable

import pytest

from dam_connector.wiring import Services
from tests.support import PhotoServer, picture, record

MODEL = {"name": "model", "kind": "model", "formats": ["glb"]}
SIZE = "30,30,30,cm"


@pytest.fixture
def sheet(photos: PhotoServer, write_rules: Callable) -> str:
    photos.files["a.jpg"] = picture()
    write_rules(deliverables=[{**MODEL, "when": {"local": {"min_forecast": 0.5}}}])
    url = photos.url("a.jpg")
    return (
        "sku,product_name,category,width,height,depth,unit,image_url,image_url_right,image_url_top\n"
        f"V1,Vase,decor,{SIZE},{url},{url},{url}\nC1,Folding chair,decor,{SIZE},{url},,\n"
        f"B1,Bad,decor,{SIZE},,,\n"
    )


def test_the_page_of_the_check_shows_each_rows_forecast(browser_like: Callable, sheet: str) -> None:
    file = {"file": (io.BytesIO(sheet.encode()), "autumn.csv"), "name": "Autumn"}
    page = browser_like("merchandiser").post("/batches/check", data=file, follow_redirects=True).text
    words = " ".join(page.split())
    assert "<strong>1</strong> mostly good" in words and "<strong>1</strong> seldom good" in words
    assert (
        "one view of a seat: seldom good" in words and "three views of a round vessel: mostly good" in words
    )
    assert "Not made, since the rules leave no generator: <strong>1</strong> model." in words
    assert words.count('data-label="Our own model"') == 2  # not in the bad row


def test_without_models_the_page_says_nothing_of_forecasts(
    browser_like: Callable, sheet: str, write_rules: Callable, services: Services
) -> None:
    services.clock.forward(5)  # type: ignore[attr-defined]
    write_rules()
    file = {"file": (io.BytesIO(sheet.encode()), "autumn.csv"), "name": "Autumn"}
    page = browser_like("merchandiser").post("/batches/check", data=file, follow_redirects=True).text
    assert "2 good" in page and "Our own model" not in page and "forecast" not in page


def test_the_api_has_the_forecast_of_each_row(api: Callable, sheet: str) -> None:
    client = api("merchandiser")
    stored = client.post("/api/v1/uploads", data={"file": (io.BytesIO(sheet.encode()), "s.csv")}).json
    checked = client.post("/api/v1/batches/check", json={"sheet": stored["sha256"]}).json
    rows = {row["sku"]: row for row in checked["rows"]}
    assert rows["B1"]["forecast"] is None and rows["B1"]["state"] == "failed"
    assert rows["V1"]["forecast"]["probability"] > 0.5 and rows["V1"]["forecast"]["remedy"] == ""
    chair = rows["C1"]["forecast"]
    assert (chair["verdict"], chair["reason"]) == ("seldom good", "one view of a seat: seldom good")
    assert checked["makes"] == {"model": 1} and checked["not_made"] == {"model": 1}
    assert checked["forecasts"] == {"mostly good": 1, "sometimes good": 0, "seldom good": 1}


def test_a_products_page_and_record_have_its_forecast(
    api: Callable,
    browser_like: Callable,
    sheet: str,
    photos: PhotoServer,
    services: Services,
    write_rules: Callable,
) -> None:
    data = record("C1", name="Folding chair", images={"front": photos.url("a.jpg")})
    api("merchandiser").post("/api/v1/products", json=data)
    (found,) = api("viewer").get("/api/v1/products?sku=C1").json["items"]
    assert found["forecast"]["reason"] == "one view of a seat: seldom good"
    page = browser_like("viewer").get(f"/products/{found['id']}").text
    assert "Our own model" in page and "one view of a seat: seldom good" in page
    services.clock.forward(5)  # type: ignore[attr-defined]
    write_rules()  # no models
    assert "Our own model" not in browser_like("viewer").get(f"/products/{found['id']}").text
