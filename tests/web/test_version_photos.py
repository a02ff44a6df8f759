"""The photos beside a version: those that it was made from, also when the product has others by now."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dam_connector.domain.guest_link import GuestScope
from dam_connector.domain.ids import Sku
from dam_connector.domain.product import Capture, View
from dam_connector.domain.version import SOURCE_MARK, Version
from dam_connector.usecases import guests, intake
from dam_connector.usecases.photo_uploads import upload_photo
from dam_connector.web.version_photos import shown_capture, shown_photos
from dam_connector.wiring import Services
from tests.support import PhotoServer, picture, product, rules_json

Visitor = Callable[[str], FlaskClient]
FIRST, SECOND = picture(ground=240), picture(ground=210)
NEWER = "V1 was made from the front photo shown here."


@pytest.fixture
def made(
    services: Services, photos: PhotoServer, drain: Callable[[], int], write_rules: Callable[..., None]
) -> Version:
    """A packshot of the first photo."""
    write_rules(deliverables=[rules_json()["deliverables"][0]])
    photos.files["front.jpg"] = FIRST
    intake.add_product(services, product(images={"front": photos.url("front.jpg")}), by="test")
    drain()
    (version,) = services.assets.of_product("CH123")
    return version


def replace_photo(services: Services, view: View, data: bytes) -> None:
    services.clock.forward(60)  # type: ignore[attr-defined]
    record = services.products.get(Sku("CH123"))
    assert record
    upload_photo(services, record, view, data, by="ann")


def shown(client: FlaskClient, page: str) -> dict[str, bytes]:
    found = re.findall(r'data-view="([^"]+)"\s+src="([^"]+)"', page)
    return {name: client.get(address.replace("&amp;", "&")).data for name, address in found}


def test_the_page_shows_the_photo_that_the_version_was_made_from(
    made: Version, services: Services, browser_like: Visitor
) -> None:
    client = browser_like("viewer")
    page = client.get(f"/versions/{made.id}").text
    assert shown(client, page) == {"front": FIRST} and NEWER not in page
    replace_photo(services, View.FRONT, SECOND)
    page = client.get(f"/versions/{made.id}").text
    assert shown(client, page) == {"front": FIRST, "front now": SECOND}
    assert NEWER in page and "a newer one by now" in page
    assert client.get(f"/versions/{made.id}/photos/back").status_code == 404


def test_a_photo_of_another_view_is_no_newer_one(
    made: Version, services: Services, browser_like: Visitor
) -> None:
    client = browser_like("viewer")
    replace_photo(services, View.BACK, SECOND)
    page = client.get(f"/versions/{made.id}").text
    assert shown(client, page) == {"front": FIRST, "back": SECOND} and NEWER not in page


def test_a_photo_that_the_product_lost_stays_beside_the_version(
    made: Version, services: Services, browser_like: Visitor
) -> None:
    services.products.set_findings("CH123", {}, ())
    client = browser_like("viewer")
    page = client.get(f"/versions/{made.id}").text
    assert shown(client, page) == {"front": FIRST} and "no longer" in page and NEWER in page


def test_guests_see_the_photo_that_the_version_was_made_from(
    made: Version, services: Services, app_guest: FlaskClient
) -> None:
    replace_photo(services, View.FRONT, SECOND)
    page = app_guest.get(f"/guest/versions/{made.id}").text
    assert shown(app_guest, page) == {"front": FIRST} and NEWER in page


@pytest.fixture
def app_guest(services: Services, client: FlaskClient, browser_like: Visitor, made: Version) -> FlaskClient:
    scope = {"scope": GuestScope.SKU, "value": "CH123", "may_decide": False, "days": 7, "by": "ann"}
    _, secret = guests.create(services, name="Guest", **scope)  # type: ignore[arg-type]
    client.post(f"/guest/{secret}")
    return client


def test_a_photo_that_shows_another_view_than_it_is_named_by_is_no_former_one(
    made: Version, services: Services
) -> None:
    """A model names its photos by the views that they really show."""
    record = services.products.get(Sku("CH123"))
    assert record
    model = replace(made, provenance={f"{SOURCE_MARK}left": record.sources["front"]})
    (photo,) = shown_photos(model, record)
    assert (photo.name, photo.is_used, photo.is_former) == ("front", True, False)
    assert photo.shown_view == "left"  # so that it leads to its comparison with the model


@pytest.mark.parametrize("kind", list(Capture))
def test_a_model_stands_beside_the_frames_that_it_was_made_from(
    kind: Capture, made: Version, services: Services, app: Flask
) -> None:
    fact = {Capture.SPIN: "spin_frames", Capture.WALK: "walk_photos"}[kind]
    frames = {kind.key(number): services.blobs.put(picture(ground=200 + number)) for number in (1, 2)}
    sources = {SOURCE_MARK + key: sha256 for key, sha256 in frames.items()}
    model = replace(made, provenance=sources, report=replace(made.report, facts={fact: 2}))
    with app.test_request_context():
        services.products.set_findings("CH123", frames, ())
        assert shown_capture(model, services.products.get(Sku("CH123")))[0::2] == (kind, False)
        services.products.set_findings("CH123", {kind.key(1): frames[kind.key(2)]}, ())
        _, addresses, is_former = shown_capture(model, services.products.get(Sku("CH123")))
        assert is_former and [each.split("/photos/")[1] for each in addresses] == list(frames)
