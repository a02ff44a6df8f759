"""The contract suite of `SuppliesPhotos`: product photos in every DAM, on fake servers with faults."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.domain.photo_sources import PhotoSources, place_of
from dam_connector.errors import (
    AdapterError,
    BadOutput,
    ConfigError,
    DeliveryError,
    NotFound,
    RateLimited,
    Refused,
    Unavailable,
)
from dam_connector.ports import Blobs, FinishedFile, PhotoChange
from dam_connector.store.blobs import open_blobs
from tests.contracts.dams.harness import FakeDam
from tests.contracts.test_dams import FAKES, push
from tests.support import picture

PHOTO, OTHER = picture(), picture(size=(440, 400))
BY_FIELD = {"sku_field": "sku"}
WITH_FOLDERS = ("directus", "cloudinary", "aem")
WITH_WEBHOOKS = ("directus", "cloudinary", "aem")
MANY = 205  # photos: more than any adapter lists at once


@pytest.fixture
def blobs(tmp_path: object) -> Blobs:
    return open_blobs(f"{tmp_path}/blobs")


@pytest.fixture(params=list(FAKES))
def server(request: pytest.FixtureRequest) -> Iterator[FakeDam]:
    started = FAKES[request.param]()
    yield started
    started.stop()


@pytest.fixture
def dam(server: FakeDam, context: AdapterContext) -> Any:
    return server.open(context, sources=BY_FIELD)


def listed(dam: Any, cursor: str = "") -> tuple[dict[str, PhotoChange], str]:
    """All changes, page by page, until a page brings nothing new."""
    found: dict[str, PhotoChange] = {}
    for _ in range(20):
        changes, following = dam.changed_photos(cursor)
        new = {each.ref: each for each in changes if found.get(each.ref) != each}
        found |= new
        cursor, before = following, cursor
        if not new or following == before:
            return found, cursor
    raise AssertionError("it lists for ever")


def photos(dam: Any, cursor: str = "") -> dict[str, str]:
    """The names of the listed photos that are there, by reference."""
    return {ref: each.photo.facts.name for ref, each in listed(dam, cursor)[0].items() if each.photo}


def test_all_photos_that_are_there_are_listed_first_with_their_facts(server: FakeDam, dam: Any) -> None:
    ref = server.put_photo("CH123_front.jpg", PHOTO, sku="CH123")
    (change,) = listed(dam)[0].values()
    photo = change.photo
    assert photo and photo.ref == ref and photo == dam.photo(ref)
    assert photo.facts.name == "CH123_front.jpg" and photo.facts.fields == {"sku": "CH123"}
    place = place_of(photo.facts, PhotoSources(sku_from="field", sku_field="sku"))
    assert (place.sku, place.view) == ("CH123", "front")
    assert dam.photo_bytes(ref) == PHOTO
    if server.vendor in WITH_FOLDERS:
        assert photo.facts.folder == "Photos"


def test_what_the_connector_pushed_is_no_photo(server: FakeDam, dam: Any, blobs: Blobs) -> None:
    push(dam, blobs)
    ref = server.put_photo("CH123_front.jpg", PHOTO, sku="CH123")
    found, cursor = listed(dam)
    assert {name for name, each in found.items() if each.photo} == {ref}
    assert [each for each in server.file_refs() if each != ref and dam.photo(each)] == []
    push(dam, blobs, 2)
    assert photos(dam, cursor).keys() <= {ref}


def test_a_replaced_photo_is_listed_with_another_revision_and_its_new_bytes(
    server: FakeDam, dam: Any
) -> None:
    ref = server.put_photo("CH123_front.jpg", PHOTO, sku="CH123")
    first, cursor = listed(dam)
    assert listed(dam, cursor)[0].items() <= first.items()  # nothing changed
    server.put_photo("CH123_front.jpg", OTHER, sku="CH123", ref=ref)
    found = listed(dam, cursor)[0][ref].photo
    assert found and first[ref].photo and found.fingerprint != first[ref].photo.fingerprint
    assert dam.photo_bytes(ref) == OTHER


def test_a_photo_that_is_replaced_in_the_second_in_which_it_was_listed_is_noticed(
    server: FakeDam, dam: Any
) -> None:
    server.in_one_second = True
    ref = server.put_photo("CH123_front.jpg", PHOTO, sku="CH123")
    first, cursor = listed(dam)
    server.put_photo("CH123_front.jpg", OTHER, sku="CH124", ref=ref)
    found = listed(dam, cursor)[0][ref].photo
    assert found and first[ref].photo and found.fingerprint != first[ref].photo.fingerprint
    assert dam.changed_photos(listed(dam, cursor)[1])[0] == []  # and nothing is listed for ever


def test_a_photo_that_is_gone_is_none_and_has_no_bytes(server: FakeDam, dam: Any) -> None:
    ref = server.put_photo("CH123_front.jpg", PHOTO, sku="CH123")
    _, cursor = listed(dam)
    server.remove_photo(ref)
    assert dam.photo(ref) is None
    with pytest.raises((NotFound, Refused)):
        dam.photo_bytes(ref)
    assert ref not in photos(dam, cursor)


def test_more_photos_of_one_second_than_a_page_holds_are_all_listed(server: FakeDam, dam: Any) -> None:
    server.in_one_second = True
    refs = {server.put_photo(f"S{n}_front.jpg", PHOTO, sku=f"S{n}") for n in range(MANY)}
    found, cursor = listed(dam)
    assert {ref for ref, each in found.items() if each.photo} == refs
    server.in_one_second = False
    later = server.put_photo("LATER_front.jpg", PHOTO, sku="LATER")
    assert later in photos(dam, cursor)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("429", RateLimited),
        ("500", Unavailable),
        ("403", Refused),
        ("closed", Unavailable),
        ("slow", Unavailable),
        ("no json", BadOutput),
        ("lost", Unavailable),
    ],
)
def test_after_a_failure_the_same_changes_are_listed_again(
    server: FakeDam, dam: Any, fault: str, error: type[AdapterError]
) -> None:
    ref = server.put_photo("CH123_front.jpg", PHOTO, sku="CH123")
    server.faults["read"] = [fault]
    with pytest.raises(error) as raised:
        dam.changed_photos("")
    assert raised.value.vendor == server.vendor and "key_fake" not in str(raised.value)
    server.faults["read"] = [fault]
    with pytest.raises(error):
        dam.photo(ref)
    if fault not in ("slow", "no json"):  # a file may take long, and may be anything
        server.faults["read"] = [fault]
        with pytest.raises(error):
            dam.photo_bytes(ref)
    assert photos(dam) == {ref: "CH123_front.jpg"}


@pytest.mark.parametrize("server", WITH_WEBHOOKS, indirect=True)
def test_a_webhook_names_the_photo_and_is_proved(
    server: FakeDam, dam: Any, context: AdapterContext, blobs: Blobs
) -> None:
    ref = server.put_photo("CH123_front.jpg", PHOTO, sku="CH123")
    inbound = server.photo_webhook(ref, context)
    assert dam.verify(inbound).key and dam.photo_refs(inbound) == [ref]
    with pytest.raises(DeliveryError):
        dam.verify(replace(inbound, headers={}))
    with pytest.raises((BadOutput, DeliveryError)):
        dam.photo_refs(replace(inbound, body=b"{"))
    version = push(dam, blobs)
    decided = server.webhook(version, context)
    assert dam.parse_webhook(decided) == [version]
    assert [each for each in dam.photo_refs(decided) if dam.photo(each)] == []  # no photo


@pytest.mark.parametrize("server", ["resourcespace", "bynder"], indirect=True)
def test_a_dam_without_folders_says_so(server: FakeDam, context: AdapterContext) -> None:
    for wrong in ({"sku_from": "folder"}, {"folder": "Photos"}):
        with pytest.raises(ConfigError, match="no folders; use sku_from field or name"):
            server.open(context, sources=wrong)
    assert list(server.open(context).changed_photos("")[0]) == []


@pytest.mark.parametrize("server", ["aem", "cloudinary", "directus"], indirect=True)
def test_the_folder_of_a_photo_can_name_its_product(server: FakeDam, context: AdapterContext) -> None:
    sources = PhotoSources(sku_from="folder", folder="Photos")
    dam: Any = server.open(context, sources={"sku_from": "folder", "folder": "Photos"})
    ref = server.put_photo("front.jpg", PHOTO, folder="Photos/CH123")
    (change,) = listed(dam)[0].values()
    assert change.ref == ref and change.photo
    assert place_of(change.photo.facts, sources).sku == "CH123"


FINISHED = ["aem", "bynder", "cloudinary", "directus", "resourcespace"]


def finished(dam: Any, *fields: str) -> dict[str, FinishedFile]:
    """All finished files by their names, page by page."""
    found, cursor = {}, ""
    for _ in range(20):
        files, cursor = dam.finished_files(cursor, fields)
        found |= {each.file.facts.name: each for each in files}
        if not cursor:
            return found
    raise AssertionError("it lists for ever")


@pytest.mark.parametrize("server", FINISHED, indirect=True)
def test_finished_pictures_and_models_are_listed_without_ours(
    server: FakeDam, context: AdapterContext, blobs: Blobs
) -> None:
    dam: Any = server.open(context)
    push(dam, blobs)
    glb = b"glTF" + bytes(40)
    refs = [
        server.put_photo("CH123_packshot.jpg", PHOTO, sku="CH123"),
        server.put_photo("CH123_3d.glb", glb, sku="CH123"),
    ]
    server.put_photo("CH123.pdf", b"%PDF", sku="CH123") if server.vendor == "resourcespace" else None
    for ref in refs:
        server.approve_file(ref)
    found = finished(dam, "sku")
    assert set(found) == {"CH123_packshot.jpg", "CH123_3d.glb"}
    model = found["CH123_3d.glb"]
    assert model.file.facts.fields == {"sku": "CH123"} and dam.photo_bytes(model.file.ref) == glb
    if server.vendor in ("aem", "resourcespace"):
        assert model.approved_by == "rita"


@pytest.mark.parametrize("server", FINISHED, indirect=True)
def test_more_finished_files_than_a_page_holds_are_all_listed(
    server: FakeDam, context: AdapterContext
) -> None:
    dam: Any = server.open(context)
    for n in range(MANY):
        server.approve_file(server.put_photo(f"S{n}_packshot.jpg", PHOTO, sku=f"S{n}"))
    assert len(finished(dam)) == MANY


@pytest.mark.parametrize("server", ["aem"], indirect=True)
def test_what_nobody_approved_in_aem_is_not_finished(server: FakeDam, context: AdapterContext) -> None:
    server.put_photo("CH123_packshot.jpg", PHOTO, sku="CH123")
    assert finished(server.open(context)) == {}


@pytest.mark.parametrize("server", ["bynder"], indirect=True)
@pytest.mark.parametrize("kind", ["document", "3d"])
def test_a_glb_in_bynder_is_known_by_its_extension(server: Any, context: AdapterContext, kind: str) -> None:
    ref = server.put_photo("CH123_3d.glb", b"glTF" + bytes(40), sku="CH123")
    server.media[ref]["type"] = kind
    assert set(finished(server.open(context))) == {"CH123_3d.glb"}
    assert [each.photo for each in server.open(context, sources={}).changed_photos("")[0]] in ([], [None])


@pytest.mark.parametrize("server", ["cloudinary"], indirect=True)
@pytest.mark.parametrize("status", ["pending", "rejected"])
def test_what_a_moderation_in_cloudinary_holds_back_is_not_finished(
    server: Any, context: AdapterContext, status: str
) -> None:
    ref = server.put_photo("CH123_packshot.jpg", PHOTO, sku="CH123")
    dam = server.open(context)
    assert set(finished(dam)) == {"CH123_packshot.jpg"}  # it was never moderated
    server.stored["image", ref]["moderation"] = [{"kind": "manual", "status": status}]
    assert finished(dam) == {}


@pytest.mark.parametrize("server", FINISHED, indirect=True)
@pytest.mark.parametrize(("fault", "error"), [("429", RateLimited), ("500", Unavailable), ("403", Refused)])
def test_a_failure_of_the_list_of_finished_files_says_what_to_do_next(
    server: FakeDam, context: AdapterContext, fault: str, error: type[AdapterError]
) -> None:
    server.approve_file(server.put_photo("CH123_packshot.jpg", PHOTO, sku="CH123"))
    dam: Any = server.open(context)
    server.faults["read"] = [fault]
    with pytest.raises(error):
        finished(dam)
    assert set(finished(dam)) == {"CH123_packshot.jpg"}
