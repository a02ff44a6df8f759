"""The check of a sheet on the page and through the API: what it says of pictures before anything is done."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from dam_connector.domain.product import View
from dam_connector.usecases import intake
from dam_connector.usecases.photo_uploads import upload_photo
from dam_connector.wiring import Services
from tests.support import PhotoServer, picture, product

Visitor = Callable[[str], FlaskClient]
Check = Callable[[str], tuple[str, dict[str, Any]]]


@pytest.fixture
def check(browser_like: Visitor, api: Visitor, services: Services) -> Check:
    """Check a sheet on the page and through the API, beside an optional ZIP."""
    page_client, api_client = browser_like("merchandiser"), api("admin")

    def stored(data: bytes) -> str:
        return str(api_client.post("/api/v1/uploads", data={"file": (io.BytesIO(data), "f")}).json["sha256"])

    def check(sheet: str, package: bytes = b"") -> tuple[str, dict[str, Any]]:
        files: dict[str, Any] = {"file": (io.BytesIO(sheet.encode()), "s.csv"), "name": "Autumn"}
        body = {"sheet": stored(sheet.encode())}
        if package:
            files["pictures"] = (io.BytesIO(package), "p.zip")
            body["pictures"] = stored(package)
        page = page_client.post("/batches/check", data=files)
        checked = api_client.post("/api/v1/batches/check", json=body)
        assert (page.status_code, checked.status_code) == (200, 200), (page.text, checked.text)
        return page.text, checked.json

    return check


def test_pictures_that_go_away_are_named_by_row(
    check: Check, services: Services, photos: PhotoServer
) -> None:
    photos.files["a.jpg"] = picture()
    for sku in ("A1", "A2"):
        intake.add_product(services, product(sku, images={"front": photos.url("a.jpg")}), by="test")
    stored = services.products.get("A1")
    assert stored
    upload_photo(services, stored, View.BACK, picture(), by="ann")
    page, checked = check("sku,name,image_url_back\nA1,Chair,remove\nA2,Chair,\n")
    said = "image_url_back: the uploaded photo of the back is removed"
    assert "Pictures that go away" in page and f"Row 2 A1: {said}" in page
    assert [row["pictures_gone"] for row in checked["rows"]] == [[said], []]
    assert checked["rows_with_pictures_gone"] == 1
    page, checked = check("sku,name,image_url_back\nA1,Chair,\nA2,Chair,\n")
    assert "Pictures that go away" not in page and checked["rows_with_pictures_gone"] == 0
    assert any("Row 2 has empty cells of pictures" in note for note in checked["notes"])
