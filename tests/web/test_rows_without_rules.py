"""Rows of which no rule makes anything, on the page of the check and in the API."""

import io
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tests.support import PhotoServer, picture, rules_json


@pytest.fixture
def sheet(photos: PhotoServer, write_rules: Callable) -> str:
    photos.files["a.jpg"] = picture()
    write_rules(deliverables=[{**rules_json()["deliverables"][0], "categories": ["Lamps"]}])
    url = photos.url("a.jpg")
    rows = [f"L1,Lamp,{url},lamps", f"S1,Sofa,{url},sofas", f"X1,No,{url},"]
    return "sku,product_name,image_url,category\n" + "\n".join(rows) + "\n"


def test_the_page_counts_them_apart(browser_like: Callable, sheet: str) -> None:
    client: FlaskClient = browser_like("merchandiser")
    file = {"file": (io.BytesIO(sheet.encode()), "autumn.csv"), "name": "Autumn"}
    page = client.post("/batches/check", data=file, follow_redirects=True).text
    assert "1 good" in page and "2 make nothing" in page and "Rows that make nothing" in page
    assert "no rule for category sofas" in page and "Make 1 product<" in page


def test_the_api_counts_them_apart(api: Callable, sheet: str, drain: Callable[[], int]) -> None:
    client = api("merchandiser")
    stored = client.post("/api/v1/uploads", data={"file": (io.BytesIO(sheet.encode()), "s.csv")}).json
    checked = client.post("/api/v1/batches/check", json={"sheet": stored["sha256"]}).json
    assert checked["counts"] == {"waiting": 1, "makes_nothing": 2, "failed": 0, "unchanged": 0}
    sofa = next(row for row in checked["rows"] if row["sku"] == "S1")
    assert (sofa["state"], sofa["codes"]) == ("makes_nothing", ["row.makes_nothing"])
    client.post("/api/v1/batches", json={"sheet": stored["sha256"], "name": "autumn"})
    drain()
    assert client.get("/api/v1/batches/autumn").json["progress"]["makes_nothing"] == 2
    rows = client.get("/api/v1/batches/autumn/rows?state=makes_nothing").json["items"]
    assert [row["sku"] for row in rows] == ["S1", "X1"] and "no rule" in rows[0]["error"]
