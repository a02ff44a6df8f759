"""Photos that are uploaded between the check of a sheet and its start: the start says so, and stops."""

import html
import io
import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from dam_connector.domain.product import View
from dam_connector.errors import StateConflict
from dam_connector.usecases import batch_preview, batch_rows, batches, intake
from dam_connector.usecases.photo_uploads import upload_photo
from dam_connector.wiring import Services
from schemas.uploads import PictureList, read_uploaded_sheet
from tests.support import PhotoServer, picture, product
from tests.web.test_batch_pages import Visitor, checked, hidden
from tests.web.test_sheet_checks import zipped

Upload = Callable[[str, View], None]
NAMED = "Row 2 has other pictures now than in the check: look at the check again"


@pytest.fixture
def upload(services: Services, photos: PhotoServer) -> Upload:
    """Upload a photo of a known product; A1 and A2 are known."""
    photos.files["a.jpg"] = picture()
    for sku in ("A1", "A2"):
        intake.add_product(services, product(sku, images={"front": photos.url("a.jpg")}), by="test")
    services.clock.forward(60)  # type: ignore[attr-defined]

    def upload(sku: str, view: View) -> None:
        stored = services.products.get(sku)
        assert stored
        upload_photo(services, stored, view, picture(ground=190 + len(view)), by="ann")
        services.clock.forward(60)  # type: ignore[attr-defined]

    return upload


@pytest.fixture
def sheet(photos: PhotoServer) -> str:
    photos.files["b.jpg"] = picture(ground=220)
    rows = [f"{sku},Stool,,{photos.url('b.jpg')}" for sku in ("A1", "A2")]
    return "\n".join(["sku,name,image_url,image_url_back", *rows, ""])


@pytest.mark.parametrize("view", [View.FRONT, View.BACK, View.TOP])
def test_the_page_shows_the_check_again(
    view: View, upload: Upload, sheet: str, browser_like: Visitor, services: Services
) -> None:
    """A photo of the back would be replaced; one of another view be used in place of none or another one."""
    client = browser_like("merchandiser")
    page = checked(client, sheet)
    upload("A1", view)
    kept = services.products.get("A1")
    refused = client.post("/batches", data=hidden(page))
    assert refused.status_code == 409 and NAMED in refused.text and "Make 2 products" in refused.text
    assert html.unescape(refused.text).count(NAMED) == 1 and "data-stays" not in refused.text  # in the page
    rows = dict(re.findall(r'<tr id="row-(\d+)"(.*?)</tr>', refused.text, re.DOTALL))
    assert [line for line, row in rows.items() if "Other pictures now than in the check before" in row] == [
        "2"
    ]
    address = html.unescape(re.findall(r'data-once="([^"]+)"', refused.text)[0])
    assert "Other pictures now" in client.get(address).text and '<a href="#row-2">' in refused.text
    said = "the uploaded photo of the back is replaced" in refused.text
    assert said is (view is View.BACK) and services.batches.page() == []
    assert services.products.get("A1") == kept
    begun = client.post("/batches", data=hidden(refused.text))
    assert begun.status_code == 302 and len(services.batches.page()) == 1


def test_what_nobody_changed_begins(upload: Upload, sheet: str, browser_like: Visitor) -> None:
    client = browser_like("merchandiser")
    upload("A1", View.BACK)
    page = checked(client, sheet)
    assert client.post("/batches", data=hidden(page)).status_code == 302


def test_the_api_names_the_rows_where_it_is_told_the_check(
    upload: Upload, photos: PhotoServer, api: Visitor, services: Services
) -> None:
    client: FlaskClient = api("merchandiser")

    def stored(data: bytes) -> str:
        return str(client.post("/api/v1/uploads", data={"file": (io.BytesIO(data), "f")}).json["sha256"])

    text = b"sku,name,image_url\nA1,Stool,front.jpg\nN1,New,front.jpg\n"
    body = {"sheet": stored(text), "pictures": stored(zipped({"front.jpg": picture(ground=200)}))}
    check = client.post("/api/v1/batches/check", json=body).json["check"]
    other = {**body, "pictures": stored(zipped({"front.jpg": picture(ground=201)}))}
    answer = client.post("/api/v1/batches", json={**other, "name": "x", "check": check})
    assert answer.status_code == 409 and "Rows 2, 3 have other pictures now" in answer.text
    upload("A1", View.FRONT)
    answer = client.post("/api/v1/batches", json={**body, "name": "x", "check": check})
    assert answer.status_code == 409 and NAMED in answer.text and services.batches.page() == []
    unknown = client.post("/api/v1/batches", json={**body, "name": "x", "check": "0" * 64})
    assert unknown.status_code == 409 and "check the sheet again" in unknown.text
    check = client.post("/api/v1/batches/check", json=body).json["check"]
    assert client.post("/api/v1/batches", json={**body, "name": "x", "check": check}).status_code == 202
    assert client.post("/api/v1/batches", json={**body, "name": "y"}).status_code == 202


def test_rows_that_are_bad_by_an_address_do_not_count_as_changed(
    photos: PhotoServer, browser_like: Visitor, services: Services
) -> None:
    photos.files["b.jpg"] = picture()
    client = browser_like("merchandiser")
    dead, good = photos.url("dead.jpg"), photos.url("b.jpg")
    page = checked(client, f"sku,name,image_url\nN1,A,{dead}\nN2,B,{good}\nN3,C,none.jpg\n")
    photos.files["dead.jpg"] = picture()
    assert client.post("/batches", data=hidden(page)).status_code == 302


def test_a_taken_name_shows_the_check_again(sheet: str, browser_like: Visitor, services: Services) -> None:
    client = browser_like("merchandiser")
    first, second = checked(client, sheet), checked(client, sheet.replace("A1", "B1"))
    assert client.post("/batches", data=hidden(first)).status_code == 302
    refused = client.post("/batches", data=hidden(second))
    assert refused.status_code == 409 and '<input name="name"' in refused.text
    assert refused.text.count("a batch “Autumn” already") >= 1


def test_a_failed_start_leaves_nothing_that_is_seen(upload: Upload, sheet: str, services: Services) -> None:
    read = read_uploaded_sheet(sheet.encode())
    mapping = batch_rows.map_columns(read, {})
    check = batch_preview.preview_batch(services, read, mapping, PictureList()).check
    upload("A2", View.BACK)
    with pytest.raises(StateConflict, match="Row 3 has other pictures"):
        batches.start(services, "x", "ada", read, mapping, PictureList(), check=check)
    assert batches.name_problem(services, "x") == "" and services.batches.page() == []
