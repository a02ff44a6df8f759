"""Photos in a DAM as sources: uploaded, replaced, moved or gone there; our own pushes never are."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dam_connector.errors import NotFound, Refused, Unavailable
from dam_connector.usecases import photo_sync, product_intake
from dam_connector.usecases.connections import check_connection
from dam_connector.usecases.photo_check import check_photos
from dam_connector.usecases.photo_sync import MAX_TRIES, poll_photos, sync_photo
from dam_connector.wiring import Services
from schemas.adapter_options import option_problems
from tests.pipeline.helpers import PACKSHOT, Drain, newest, send, states
from tests.support import PhotoServer, TestClock, huge_png, picture, record

RED, BLUE = picture(), picture(size=(440, 400))


@pytest.fixture
def shelf(services: Services, write_rules: Callable[..., None]) -> Any:
    """A DAM whose photos are sources, by their names."""
    connections = json.loads(services.settings.plugin_json.read_text())["connections"]
    shelf = {"adapter": "memory", "sources": {"folder": "Photos", "views": {"vorne": "front"}}}
    channels = {**connections["channel"], "shop": {"adapter": "memory"}}
    write_rules(
        connections={**connections, "dam": {"shelf": shelf}, "channel": channels},
        review={"dam": "shelf"},
        deliverables=[PACKSHOT],
    )
    return services.dam("shelf")


def upload(shelf: Any, data: bytes = RED, name: str = "CH123_front.jpg", folder: str = "Photos") -> None:
    shelf.put_photo(name, data, name=name, folder=folder)


def take_in(services: Services, drain: Drain, sku: str = "CH123", **changes: object) -> None:
    services.clock.forward(5)  # type: ignore[attr-defined]
    send(services, record(sku, **changes), message=f"msg_{services.clock.now()}", kind="product.updated")
    drain()


def open_runs(services: Services) -> int:
    return len(services.runs.page(state="queued"))


def test_a_photo_in_the_dam_starts_the_assets_and_a_replaced_one_the_next_version(
    services: Services, shelf: Any, drain: Drain
) -> None:
    take_in(services, drain)
    assert services.products.get("CH123").flagged and states(services) == []
    upload(shelf)
    assert poll_photos(services) == 1
    drain()
    assert states(services) == ["V1 in_review"] and not services.products.get("CH123").flagged
    assert poll_photos(services) == 0
    upload(shelf)  # the same bytes again
    poll_photos(services)
    drain()
    assert states(services) == ["V1 in_review"]
    upload(shelf, BLUE)
    assert poll_photos(services) == 1
    drain()
    assert [s.split()[0] for s in states(services)] == ["V2", "V1"]
    assert services.blobs.get(services.products.get("CH123").sources["front"]) == BLUE


def test_a_photo_that_comes_before_the_record_is_used_when_it_arrives(
    services: Services, shelf: Any, drain: Drain
) -> None:
    upload(shelf, name="CH123_Vorne.jpg")
    poll_photos(services)
    assert services.products.get("CH123") is None
    take_in(services, drain)
    assert states(services) == ["V1 in_review"]


def test_the_dam_s_photos_take_the_place_of_the_pim_s_view_by_view(
    services: Services, shelf: Any, drain: Drain, photos: PhotoServer
) -> None:
    photos.files |= {"front.jpg": RED, "back.jpg": picture(size=(420, 400))}
    urls = {"front": photos.url("front.jpg"), "back": photos.url("back.jpg")}
    take_in(services, drain, images=urls)
    upload(shelf, BLUE, "CH123_front.jpg")
    poll_photos(services)
    drain()
    take_in(services, drain, images=urls, color="green")  # a later event of the PIM changes nothing in that
    sources = {view: services.blobs.get(s) for view, s in services.products.get("CH123").sources.items()}
    assert sources == {"front": BLUE, "back": photos.files["back.jpg"]}
    shelf.remove_photo("CH123_front.jpg")
    poll_photos(services)
    assert services.blobs.get(services.products.get("CH123").sources["front"]) == RED  # the PIM's again
    assert services.source_photos.get("shelf", "CH123_front.jpg") is None


def test_a_photo_that_moves_to_another_product_leaves_the_first_one(
    services: Services, shelf: Any, drain: Drain
) -> None:
    for sku in ("CH123", "CH124"):
        take_in(services, drain, sku)
    shelf.put_photo("7", RED, name="CH123.jpg", folder="Photos")
    poll_photos(services)
    shelf.put_photo("7", RED, name="CH124.jpg", folder="Photos")
    poll_photos(services)
    drain()
    assert services.products.get("CH123").sources == {} and services.products.get("CH123").flagged
    assert set(services.products.get("CH124").sources) == {"front"}


def test_our_own_pushes_never_come_back_as_sources(services: Services, shelf: Any, drain: Drain) -> None:
    take_in(services, drain)
    upload(shelf)
    poll_photos(services)
    drain()
    made = newest(services)
    data = services.blobs.get(made.files[0].sha256)
    upload(shelf, data, "CH123_back.jpg")  # a person copies our packshot to the photos
    summary = sync_photo(services, "shelf", "CH123_back.jpg", shelf.photo("CH123_back.jpg"))
    assert made.files[0].name in summary and "the connector made" in summary
    poll_photos(services)
    drain()
    assert states(services) == ["V1 in_review"] and set(services.products.get("CH123").sources) == {"front"}


@pytest.mark.parametrize(
    ("name", "folder", "data", "reason"),
    [
        ("CH123_front.jpg", "Elsewhere", RED, "not in the folder Photos"),
        ("CH123_front.jpg", "Photos", b"%PDF-1.7", "not a picture"),
        ("../x.jpg", "Photos", RED, "begins with a dot"),
    ],
)
def test_what_is_no_photo_of_a_product_is_left_alone_with_the_reason(
    services: Services, shelf: Any, name: str, folder: str, data: bytes, reason: str
) -> None:
    upload(shelf, data, name, folder)
    assert reason in sync_photo(services, "shelf", name, shelf.photo(name))
    assert services.source_photos.get("shelf", name) is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<html>gateway</html>", "not a picture"),
        (huge_png(), "more than 64,000,000 pixels (DAM_CONNECTOR_MAX_PICTURE_PIXELS)"),
    ],
)
def test_a_file_that_cannot_be_read_does_not_take_the_place_of_a_photo(
    services: Services, shelf: Any, drain: Drain, data: bytes, reason: str
) -> None:
    take_in(services, drain)
    upload(shelf)
    poll_photos(services)
    upload(shelf, data)
    found = sync_photo(services, "shelf", "CH123_front.jpg", shelf.photo("CH123_front.jpg"))
    assert reason in found and "the earlier photo stays in use" in found
    assert services.blobs.get(services.products.get("CH123").sources["front"]) == RED


def test_a_crash_after_the_photo_was_stored_is_made_up_for(
    services: Services, shelf: Any, drain: Drain, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Death(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Death

    take_in(services, drain)
    upload(shelf)
    with monkeypatch.context() as patched:
        patched.setattr(photo_sync, "ingest_again", die)
        with pytest.raises(Death):
            sync_photo(services, "shelf", "CH123_front.jpg", shelf.photo("CH123_front.jpg"))
    assert open_runs(services) == 0
    shelf._changed_photos.clear()  # and no list names it any more
    clock.forward(600)
    poll_photos(services)
    assert open_runs(services) == 1
    shelf.remove_photo("CH123_front.jpg")
    with monkeypatch.context() as patched:
        patched.setattr(photo_sync, "ingest_again", die)
        with pytest.raises(Death):
            poll_photos(services)
    poll_photos(services)
    assert services.products.get("CH123").sources == {}


def test_a_photo_that_cannot_be_read_now_holds_up_no_other_and_is_tried_again(
    services: Services, shelf: Any, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sku in ("CH123", "CH124"):
        take_in(services, drain, sku)
    upload(shelf, name="CH123.jpg")
    upload(shelf, BLUE, name="CH124.jpg")
    read, faults = shelf.photo_bytes, {"CH123.jpg": [Unavailable("shelf", "photo_bytes", "away")] * 2}

    def failing(ref: str) -> bytes:
        if faults.get(ref):
            raise faults[ref].pop()
        return bytes(read(ref))

    monkeypatch.setattr(shelf, "photo_bytes", failing)
    poll_photos(services)
    assert services.products.get("CH124").sources and not services.products.get("CH123").sources
    poll_photos(services)
    poll_photos(services)
    assert services.products.get("CH123").sources
    upload(shelf, name="CH125.jpg")
    faults["CH125.jpg"] = [Unavailable("shelf", "photo_bytes", "away")] * 99
    for _ in range(MAX_TRIES + 3):
        poll_photos(services)
    assert len(faults["CH125.jpg"]) == 99 - MAX_TRIES


def test_a_dam_that_is_away_is_asked_from_where_it_was(services: Services, shelf: Any, drain: Drain) -> None:
    take_in(services, drain)
    upload(shelf)
    shelf.fail_with = Unavailable("shelf", "changed_photos", "away")
    assert poll_photos(services) == 0
    assert poll_photos(services) == 1 and open_runs(services) == 1


def test_a_photo_that_arrives_while_others_are_fetched_is_not_lost(
    services: Services, shelf: Any, drain: Drain, photos: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in(services, drain)
    upload(shelf)
    fetch, seen = product_intake.store_source_images, []

    def fetch_meanwhile(*given: Any, **more: Any) -> Any:
        found = fetch(*given, **more)
        if not seen:
            seen.append(1)
            monkeypatch.setattr(photo_sync, "_take_in", lambda *_, **__: "")  # its own intake came first
            poll_photos(services)
        return found

    monkeypatch.setattr(product_intake, "store_source_images", fetch_meanwhile)
    take_in(services, drain, color="green")
    assert set(services.products.get("CH123").sources) == {"front"}
    assert services.clock.now() - services.products.get("CH123").source_time < timedelta(seconds=1)


def test_all_photos_that_are_there_at_first_are_taken_in_behind_single_products(
    services: Services, shelf: Any, drain: Drain
) -> None:
    take_in(services, drain)
    upload(shelf)
    poll_photos(services)
    assert [r.bulk for r in services.runs.page(state="queued")] == [True]
    poll_photos(services)
    upload(shelf, BLUE)
    poll_photos(services)
    assert sorted(r.bulk for r in services.runs.page(state="queued")) == [False]


def test_without_the_option_photos_are_no_sources_any_more(
    services: Services, shelf: Any, drain: Drain, write_rules: Callable[..., None]
) -> None:
    take_in(services, drain)
    upload(shelf)
    poll_photos(services)
    rules = json.loads(services.settings.plugin_json.read_text())
    del rules["connections"]["dam"]["shelf"]["sources"]
    write_rules(**rules)
    assert poll_photos(services) == 0
    take_in(services, drain, color="green")
    assert services.products.get("CH123").sources == {}


def test_another_option_is_applied_to_the_photos_that_are_known(
    services: Services, shelf: Any, drain: Drain, write_rules: Callable[..., None], clock: TestClock
) -> None:
    take_in(services, drain)
    upload(shelf, name="CH123_front.jpg")
    poll_photos(services)
    rules = json.loads(services.settings.plugin_json.read_text())
    rules["connections"]["dam"]["shelf"]["sources"] = {"names": ["{any}-{sku}_{view}"]}
    write_rules(**rules)
    other: Any = services.dam("shelf")  # it has the same photos
    other.photos, other._changed_photos = shelf.photos, []
    other.put_photo("2", BLUE, name="new-CH123_back.jpg")
    poll_photos(services)
    clock.forward(600)
    poll_photos(services)
    assert set(services.products.get("CH123").sources) == {"back"}


def test_the_test_of_the_connection_says_whose_the_photos_are(services: Services, shelf: Any) -> None:
    assert list(check_photos(services, "shelf")) == [
        "photos: none are listed yet; upload one to see which product it belongs to"
    ]
    upload(shelf, name="CH123_front.jpg", folder="Elsewhere")
    with pytest.raises(Refused, match="none of the first 1 photos has an SKU: CH123_front"):
        list(check_connection(services, "shelf"))
    upload(shelf, name="CH124_back.jpg")
    lines = list(check_connection(services, "shelf"))
    assert lines[-2:] == [
        "photos: 1 of the first 2 have an SKU; CH124_back.jpg can be read and is of CH124 "
        "(no product here yet), its view back",
        "photos: no source: CH123_front.jpg: it is not in the folder Photos",
    ]
    upload(shelf, b"%PDF", name="CH124_back.jpg")
    with pytest.raises(Refused, match="is no picture"):
        list(check_photos(services, "shelf"))


@pytest.mark.parametrize(
    ("sources", "problem"),
    [
        ({"sku_from": "tag"}, "/sources/sku_from: Must be one of: field, folder, name."),
        ({"sku_from": "field"}, "/sources/sku_field: name the DAM's field that holds the SKU"),
        ({"names": ["{sku}_{colour}"]}, "/sources/names: {colour} is none of {sku}, {view}, {any}"),
        ({"names": ["{view}"]}, "/sources/names: '{view}' needs one {sku}"),
        ({"views": {"vorne": "vorne"}}, "/sources/views/vorne: Must be one of: front"),
        ({"sku_feild": "x"}, '/sources/sku_feild: unknown key, did you mean "sku_field"?'),
    ],
)
def test_each_mistake_in_the_option_has_its_place(sources: dict[str, Any], problem: str) -> None:
    found = list(option_problems("dam", "shelf", "memory", {"sources": sources}))
    assert len(found) == 1 and f"/connections/dam/shelf{problem}" in found[0]


def test_a_wrong_option_never_comes_into_force(
    services: Services, shelf: Any, drain: Drain, write_rules: Callable[..., None]
) -> None:
    take_in(services, drain)
    upload(shelf)
    poll_photos(services)
    rules = json.loads(services.settings.plugin_json.read_text())
    rules["connections"]["dam"]["shelf"]["sources"] = {"names": ["no placeholder"]}
    write_rules(**rules)
    take_in(services, drain, color="green")
    assert set(services.products.get("CH123").sources) == {"front"}
    problem = services.rules.problem
    assert problem and "/connections/dam/shelf/sources/names: 'no placeholder' needs one" in str(problem)


def test_a_file_that_is_gone_when_it_is_read_is_no_source(
    services: Services, shelf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(shelf)

    def gone(ref: str) -> bytes:
        raise NotFound("shelf", "photo_bytes", ref)

    monkeypatch.setattr(shelf, "photo_bytes", gone)
    assert "the file is gone" in sync_photo(
        services, "shelf", "CH123_front.jpg", shelf.photo("CH123_front.jpg")
    )
