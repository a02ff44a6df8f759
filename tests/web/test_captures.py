"""Walks and spins that people take photo by photo: drafts, their end, the page and the API."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from dam_connector.domain.capture_draft import ROUND_PHOTOS, WALK_PHOTOS
from dam_connector.domain.ids import Sku
from dam_connector.domain.product import Capture, Product
from dam_connector.errors import InputError, NotFound, StateConflict
from dam_connector.store.products import ProductRecord
from dam_connector.usecases import captures, intake, maintenance, product_intake
from dam_connector.usecases.source_images import MAX_CAPTURED_BYTES
from dam_connector.wiring import Services
from tests.support import TestClock, huge_png, picture, product
from tests.web.test_photo_uploads import HEIC, form
from tests.web.test_uploads import send_large

Visitor = Callable[[str], FlaskClient]
SKU = Sku("CH123")
DAY_S = 86_400


@pytest.fixture(autouse=True)
def known_product(services: Services) -> None:
    intake.add_product(services, product(images={}), by="test")


def stored(services: Services) -> ProductRecord:
    return services.products.get(SKU)  # type: ignore[return-value]


def photo(number: int) -> bytes:
    return picture(ground=150 + number, size=(200, 200))


def take(services: Services, kind: Capture, count: int, by: str = "ann") -> None:
    captures.begin(services, SKU, kind, by=by, frames=max(8, count) if kind is Capture.SPIN else None)
    for number in range(count):
        captures.add_photo(services, SKU, photo(number), by=by)


def held(services: Services, numbers: range) -> tuple[str, ...]:
    return tuple(f"held:{services.blobs.put(photo(number))}" for number in numbers)


@pytest.mark.parametrize("kind", list(Capture))
def test_a_finished_draft_is_the_products_and_plans_its_runs(services: Services, kind: Capture) -> None:
    take(services, kind, 12)
    taken = captures.finish(services, stored(services), by="ann")
    assert taken.planned > 0 and services.runs.page(sku=SKU, state="queued")
    assert stored(services).product.captured(kind) == held(services, range(12))
    assert len(stored(services).spin or stored(services).walk) == 12
    assert services.captures.get(SKU, "ann") is None
    with pytest.raises(NotFound, match="begin a walk or a spin"):
        captures.finish(services, stored(services), by="ann")


def test_photos_are_in_the_order_of_their_places(services: Services) -> None:
    captures.begin(services, SKU, Capture.WALK, by="ann")
    for place in (*range(20, 31), 3):
        captures.add_photo(services, SKU, photo(place), by="ann", place=place)
    captures.finish(services, stored(services), by="ann")
    assert stored(services).product.walk_images == (
        *held(services, range(3, 4)),
        *held(services, range(20, 31)),
    )


@pytest.mark.parametrize("step", ["plan_runs", "set_findings", "delete"])
def test_a_fault_at_the_end_leaves_the_draft_and_plans_nothing(
    services: Services, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(services, Capture.WALK, 12)
    owner = {
        "plan_runs": product_intake,
        "set_findings": type(services.products),
        "delete": type(services.captures),
    }

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault")

    with monkeypatch.context() as patch:
        patch.setattr(owner[step], step, fail)
        with pytest.raises(RuntimeError, match="a fault"):
            captures.finish(services, stored(services), by="ann")
    draft = services.captures.get(SKU, "ann")
    assert draft and len(draft.photos) == 12 and services.runs.page(sku=SKU) == []
    assert captures.finish(services, stored(services), by="ann").planned > 0
    assert services.captures.get(SKU, "ann") is None


def test_a_photo_that_comes_while_it_is_finished_is_not_lost(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(services, Capture.WALK, 12)
    store = product_intake.store_source_images

    def store_and_add(*args: Any, **more: Any) -> Any:
        captures.add_photo(services, SKU, photo(50), by="ann")
        return store(*args, **more)

    with monkeypatch.context() as patch, pytest.raises(StateConflict, match="changed meanwhile"):
        patch.setattr(product_intake, "store_source_images", store_and_add)
        captures.finish(services, stored(services), by="ann")
    assert len(captures.get(services, SKU, by="ann").photos) == 13 and services.runs.page(sku=SKU) == []


def test_drafts_belong_to_a_person_and_end_by_cancelling(services: Services) -> None:
    take(services, Capture.WALK, 2)
    take(services, Capture.SPIN, 1, by="bob")
    assert len(captures.get(services, SKU, by="ann").photos) == 2
    captures.cancel(services, SKU, by="ann")
    captures.cancel(services, SKU, by="ann")
    assert services.captures.get(SKU, "ann") is None and services.captures.get(SKU, "bob")
    assert not stored(services).product.walk_images


def test_begin_goes_on_with_the_draft_and_refuses_the_other_kind(services: Services) -> None:
    first = captures.begin(services, SKU, Capture.SPIN, by="ann")
    assert first.planned == 24
    captures.add_photo(services, SKU, photo(1), by="ann", place=9)
    assert captures.begin(services, SKU, Capture.SPIN, by="ann", frames=10).planned == 10
    assert captures.begin(services, SKU, Capture.SPIN, by="ann").id == first.id
    assert captures.get(services, SKU, by="ann").planned == 10
    with pytest.raises(InputError, match="Frame 10 is there"):
        captures.begin(services, SKU, Capture.SPIN, by="ann", frames=9)
    with pytest.raises(StateConflict, match="spin of this product is under way"):
        captures.begin(services, SKU, Capture.WALK, by="ann")
    for frames in (7, 73):
        with pytest.raises(InputError, match=f"8 to 72 frames, and not {frames}"):
            captures.begin(services, SKU, Capture.SPIN, by="ann", frames=frames)


@pytest.mark.issue("source.walk", "source.spin")
def test_what_is_not_complete_is_not_finished(services: Services) -> None:
    take(services, Capture.WALK, 11)
    with pytest.raises(InputError, match="12 to 72 photos") as refused:
        captures.finish(services, stored(services), by="ann")
    assert refused.value.to_issue().code == "source.walk"
    captures.cancel(services, SKU, by="ann")
    take(services, Capture.SPIN, 10)
    captures.remove_photo(services, SKU, 4, by="ann")
    with pytest.raises(InputError, match="1 of the 10 frames of a full turn are missing: 5") as refused:
        captures.finish(services, stored(services), by="ann")
    assert refused.value.to_issue().code == "source.spin"
    assert not stored(services).product.walk_images and not stored(services).product.spin_images


def test_a_photo_is_taken_once_and_never_lost_to_another_device(services: Services) -> None:
    captures.begin(services, SKU, Capture.WALK, by="ann")
    (first,) = captures.add_photo(services, SKU, photo(1), by="ann", place=0).photos
    assert captures.add_photo(services, SKU, photo(1), by="ann", place=0).photos == (first,)
    with pytest.raises(StateConflict, match="photo 1 was taken or removed by another device"):
        captures.add_photo(services, SKU, photo(2), by="ann", place=0)
    (second,) = captures.add_photo(services, SKU, photo(2), by="ann", place=0, replaces=first.sha256).photos
    assert second.sha256 != first.sha256
    with pytest.raises(StateConflict):
        captures.add_photo(services, SKU, photo(3), by="ann", place=1, replaces=first.sha256)
    with pytest.raises(InputError, match="no place"):
        captures.add_photo(services, SKU, photo(3), by="ann", place=72)


@pytest.mark.issue(param="code")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "source.damaged"),
        (photo(1)[:-90], "source.damaged"),
        (HEIC, "source.not_an_image"),
        (picture(size=(150, 150)), "source.too_small"),
        (huge_png(), "source.too_large"),
        (b"GIF89a" + bytes(200), "source.not_an_image"),
        (b"II*\x00" + bytes(200), "source.damaged"),
        (b"\xff\xd8\xff" + bytes(MAX_CAPTURED_BYTES), "source.too_large"),
    ],
)
def test_what_is_no_photo_of_a_phone_is_refused(services: Services, data: bytes, code: str) -> None:
    captures.begin(services, SKU, Capture.WALK, by="ann")
    with pytest.raises(InputError) as refused:
        captures.add_photo(services, SKU, data, by="ann")
    assert refused.value.to_issue().code == code
    assert captures.get(services, SKU, by="ann").photos == ()


def test_the_sentence_says_what_comes_next(services: Services) -> None:
    draft = captures.begin(services, SKU, Capture.WALK, by="ann")
    assert draft.next_text.startswith("Low round, photo 1 of 16: in front of the product")
    for number in range(WALK_PHOTOS):
        draft = captures.add_photo(services, SKU, photo(number), by="ann")
        if number == 2:
            assert draft.next_text.startswith("Low round, photo 4 of 16: one step to the right")
        if number == ROUND_PHOTOS - 1:
            assert draft.next_text.startswith("The low round is finished. High round, photo 1 of 16")
    assert (
        draft.next_text.startswith("Both rounds are finished: 32 photos.") and draft.next_place == WALK_PHOTOS
    )
    assert captures.remove_photo(services, SKU, 5, by="ann").next_text.startswith("Low round, photo 6 of 16")


def test_a_spin_says_how_far_to_turn(services: Services) -> None:
    draft = captures.begin(services, SKU, Capture.SPIN, by="ann", frames=12)
    assert draft.next_text.startswith("Frame 1 of 12: the front")
    for number in range(12):
        draft = captures.add_photo(services, SKU, photo(number), by="ann")
        if number == 0:
            assert "turn the product on by 30 degrees" in draft.next_text
    assert draft.next_place is None and draft.next_text == "All 12 frames are there. Make the model."


def test_an_old_draft_ends_after_fourteen_days_without_a_change(services: Services, clock: TestClock) -> None:
    take(services, Capture.WALK, 2)
    clock.forward(10 * DAY_S)
    captures.add_photo(services, SKU, photo(9), by="ann")
    clock.forward(10 * DAY_S)
    assert maintenance.delete_expired(services) == 0
    clock.forward(5 * DAY_S)
    assert maintenance.delete_expired(services) == 1
    assert services.captures.get(SKU, "ann") is None


def test_an_update_of_the_pim_leaves_the_uploaded_walk(services: Services, clock: TestClock) -> None:
    take(services, Capture.WALK, 12)
    captures.finish(services, stored(services), by="ann")
    clock.forward(60)

    def update(**facts: Any) -> Product:
        clock.forward(60)
        facts_now = product(images={}, **facts)
        product_intake.ingest_product(
            services, facts_now, connection="main", ref=SKU, source_time=services.clock.now()
        )
        return stored(services).product

    updated = update(name="Other")
    assert (updated.name, updated.walk_images) == ("Other", held(services, range(12)))
    own = [f"https://x.example/{number}.jpg" for number in range(12)]
    assert update(walk_images=own).walk_images == tuple(own)


def test_the_api_takes_a_walk_from_the_first_photo_to_the_runs(api: Visitor, services: Services) -> None:
    client, url = api("merchandiser"), f"/api/v1/products/{SKU}/capture"
    assert client.get(url).status_code == 404
    assert client.post(f"{url}/photos", data=form(photo(0))).status_code == 404
    begun = client.post(url, json={"kind": "walk"})
    assert (begun.status_code, begun.json["planned"], begun.json["next_place"]) == (200, 32, 0)
    assert client.post(url, json={"kind": "spin"}).status_code == 409
    for number in range(13):
        added = client.post(f"{url}/photos?place={number}", data=form(photo(number)))
        assert added.status_code == 200, added.text
    assert [p["place"] for p in added.json["photos"]] == list(range(13))
    removed = client.delete(f"{url}/photos/12")
    assert client.delete(f"{url}/photos/x").status_code == 404
    assert len(removed.json["photos"]) == 12 and removed.json["problem"] == ""
    answers = [client.post(f"{url}/finish", headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json == answers[1].json and answers[0].json["planned"] > 0
    assert client.post(f"{url}/finish").status_code == 404
    client.post(url, json={"kind": "spin", "frames": 8})
    assert client.delete(url).status_code == 204 and client.get(url).status_code == 404
    assert client.post("/api/v1/products/none/capture", json={"kind": "walk"}).status_code == 404


def test_the_api_refuses_what_is_wrong(api: Visitor) -> None:
    client, url = api("merchandiser"), f"/api/v1/products/{SKU}/capture"
    for body in ({}, {"kind": "tour"}, {"kind": "spin", "frames": 7}, {"kind": "spin", "frames": "8"}):
        assert client.post(url, json=body).status_code == 422
    client.post(url, json={"kind": "walk"})
    for wrong in ("place=-1", "place=72", "place=x", "angle=3"):
        assert client.post(f"{url}/photos?{wrong}", data=form(photo(1))).status_code == 422, wrong
    refused = client.post(f"{url}/photos", data=form(HEIC))
    assert refused.status_code == 422 and "Most Compatible" in refused.text
    assert client.post(f"{url}/finish").status_code == 422
    assert send_large(client, f"{url}/photos", length=2 * MAX_CAPTURED_BYTES) == (413, 0)


def test_the_page_works_without_javascript(services: Services, browser_like: Visitor) -> None:
    client, address = browser_like("merchandiser"), f"/products/{stored(services).id}"
    assert f"{address}/capture" in client.get(address).text
    assert "Begin a walk" in client.get(f"{address}/capture").text
    assert client.post(f"{address}/capture", data={"kind": "tour"}).status_code == 400
    client.post(f"{address}/capture", data={"kind": "walk"})
    page = client.get(f"{address}/capture").text
    assert "Low round, photo 1 of 16" in page and page.count("data-text=") == 32 and " disabled" in page
    for number in range(12):
        sent = client.post(f"{address}/capture/photos", data=form(photo(number)))
        assert sent.status_code == 302
    page = client.get(f"{address}/capture").text
    assert "Low round: 12 of 16 · High round: 0 of 16" in page
    assert page.count('class="there"') == 12 and 'class="next" data-place="12"' in page
    sha256 = captures.get(services, SKU, by="merchandiser").photos[3].sha256
    shown = client.get(f"{address}/capture/photos/{sha256}")
    assert shown.data == photo(3) and shown.mimetype == "image/jpeg"
    assert client.get(f"{address}/capture/photos/{'0' * 64}").status_code == 404
    client.post(f"{address}/capture/remove", data={"place": "3"})
    assert "needs 12 to 72 photos" in client.post(f"{address}/capture/finish", follow_redirects=True).text
    client.post(f"{address}/capture/photos", data=form(photo(3), place="3"))
    done = client.post(f"{address}/capture/finish", follow_redirects=True).text
    assert "The photos are stored." in done and "Walk of 12 photos" in done
    assert "Remove the walk of 12 photos" in done


def test_the_page_says_why_a_photo_is_refused(services: Services, browser_like: Visitor) -> None:
    client, address = browser_like("merchandiser"), f"/products/{stored(services).id}/capture"
    client.post(address, data={"kind": "spin", "frames": "9"})
    assert "Frame 1 of 9" in client.get(address).text
    said = client.post(f"{address}/photos", data=form(HEIC), follow_redirects=True).text
    assert "HEIC" in said and "Most Compatible" in said
    refused = client.post(f"{address}/photos", data=form(HEIC), headers={"Accept": "application/json"})
    assert refused.status_code == 422 and "HEIC" in refused.json["error"]["message"]
    assert client.post(f"{address}/remove").status_code == 400
    gone = client.post(f"{address}/cancel", follow_redirects=True).text
    assert "The photos were removed." in gone and services.captures.get(SKU, "merchandiser") is None
    refused = client.get(address, headers={"Accept": "application/json"})
    assert refused.status_code == 404


def test_the_page_offers_itself_to_a_phone_where_one_can_open_it(services: Services, api: Visitor) -> None:
    take(services, Capture.WALK, 12)
    captures.finish(services, stored(services), by="ann")
    client, address = api("merchandiser"), f"/products/{stored(services).id}/capture"
    shown = client.get(address, base_url="http://studio.example:8321").text
    assert "Open it on a phone" in shown and 'src="data:image/svg+xml' in shown
    assert "The walk of 12 photos that the product has is replaced" in shown
    for here in ("http://127.0.0.1:8321", "http://localhost"):
        assert "Open it on a phone" not in client.get(address, base_url=here).text


def test_only_its_person_sees_a_draft(services: Services, browser_like: Visitor) -> None:
    take(services, Capture.WALK, 1)
    sha256, record = captures.get(services, SKU, by="ann").photos[0].sha256, stored(services)
    client = browser_like("merchandiser")
    assert client.get(f"/products/{record.id}/capture/photos/{sha256}").status_code == 404
    assert "Begin a walk" in client.get(f"/products/{record.id}/capture").text
    assert browser_like("viewer").get(f"/products/{record.id}/capture").status_code == 403


def test_the_front_of_a_walk_stays_when_another_view_is_uploaded(services: Services, api: Visitor) -> None:
    take(services, Capture.WALK, 12)
    captures.finish(services, stored(services), by="ann")
    url = f"/api/v1/products/{SKU}/photos"
    assert api("merchandiser").post(f"{url}/back", data=form(photo(40))).status_code == 202
    (front,), (back,) = held(services, range(1)), held(services, range(40, 41))
    assert [(image.view, image.url) for image in stored(services).product.images] == [
        ("front", front),
        ("back", back),
    ]
    assert not stored(services).flagged


def test_a_walk_can_be_removed_from_a_product(services: Services, browser_like: Visitor) -> None:
    take(services, Capture.WALK, 12)
    captures.finish(services, stored(services), by="ann")
    facts = {"product_name": "Chair", "category": "furniture", "unit": "cm", "remove": "walk_images"}
    browser_like("merchandiser").post(f"/products/{stored(services).id}/edit", data=facts)
    assert stored(services).product.walk_images == () and stored(services).walk == {}
