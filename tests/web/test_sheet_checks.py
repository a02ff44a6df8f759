"""The check of a sheet on the page and through the API: what it says of pictures before anything is done."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from dam_connector.domain.product import View
from dam_connector.usecases import batch_exports, intake
from dam_connector.usecases.photo_uploads import upload_photo
from dam_connector.wiring import Services
from tests.support import PhotoServer, picture, product
from tests.web.test_batch_pages import hidden

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
        page = page_client.post("/batches/check", data=files, follow_redirects=True)
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


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize("way", ["page", "API"])
def test_rows_that_the_check_calls_bad_change_nothing_when_they_are_kept_as_a_batch(
    way: str,
    browser_like: Visitor,
    api: Visitor,
    services: Services,
    photos: PhotoServer,
    drain: Callable[[], int],
) -> None:
    photos.files["a.jpg"] = picture()
    facts = {"name": "Chair", "color": "red", "images": {"front": photos.url("a.jpg")}}
    intake.add_product(services, product("A1", **facts), by="test")
    before = services.products.get("A1")
    sheet = "sku,name,image_url\nA1,Stool,cut.jpg\nA2,Stool,tiny.jpg\n"
    package = zipped({"cut.jpg": picture()[:2000], "tiny.jpg": picture(size=(120, 120))})
    services.clock.forward(60)  # type: ignore[attr-defined]
    if way == "page":
        client = browser_like("merchandiser")
        uploaded = {"file": (io.BytesIO(sheet.encode()), "s.csv"), "pictures": (io.BytesIO(package), "p.zip")}
        page = client.post("/batches/check", data={**uploaded, "name": "Autumn"}, follow_redirects=True).text
        assert "Keep the bad rows as a batch" in page
        client.post("/batches", data=hidden(page))
    else:
        admin = api("admin")
        sent = {"sheet": sheet.encode(), "pictures": package}
        body = {
            name: admin.post("/api/v1/uploads", data={"file": (io.BytesIO(data), "f")}).json["sha256"]
            for name, data in sent.items()
        }
        assert admin.post("/api/v1/batches", json={**body, "name": "Autumn"}).status_code == 202
    drain()
    batch = services.batches.get("Autumn")
    assert batch and services.batches.progress(batch.id).failed == 2
    assert services.products.get("A1") == before and services.products.get("A2") is None
    failed = batch_exports.failed_csv(services, batch)
    assert "image_url: cut.jpg is cut off before its end" in failed
    assert "image_url: The picture has 120 x 120 pixels" in failed
