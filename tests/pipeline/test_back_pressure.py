"""Below the reserve of free disk nothing is taken in or made; with room again, all goes on by itself."""

import io
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dam_connector.errors import StorageUnavailable
from dam_connector.ops import doctor
from dam_connector.store import disk_reserve
from dam_connector.store.blobs import FolderBlobs
from dam_connector.store.disk_reserve import DiskReserve
from dam_connector.usecases import batches, intake
from dam_connector.usecases.batch_rows import map_columns
from dam_connector.wiring import Services, build_services
from schemas.uploads import PictureList, read_uploaded_sheet
from tests.support import PhotoServer, TestClock, event_body, picture, product, record, signed
from tests.web.conftest import api, app, browser_like  # noqa: F401

Usage = namedtuple("Usage", "total used free")


class Disk:
    """The free disk that the service sees."""

    free = 50_000_000_000


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk()
    monkeypatch.setattr(disk_reserve.shutil, "disk_usage", lambda path: Usage(10**12, 0, made.free))
    return made


@pytest.fixture
def client(app: Flask) -> FlaskClient:  # noqa: F811
    """A stranger."""
    return app.test_client()


def send(client: FlaskClient, clock: TestClock, facts: dict[str, object], message: str = "m1"):
    body = event_body(facts, at=clock.now())
    return client.post("/webhooks/main", data=body, headers=signed(body, at=clock.now(), message=message))


def test_intake_and_uploads_are_answered_503_and_go_on_with_room_again(
    services: Services,
    disk: Disk,
    clock: TestClock,
    photos: PhotoServer,
    client: FlaskClient,
    api: Callable[[str], FlaskClient],  # noqa: F811
    browser_like: Callable[[str], FlaskClient],  # noqa: F811
    rounds: Callable[..., None],
) -> None:
    photos.files["a.jpg"] = picture()
    facts = record(images={"front": photos.url("a.jpg")})
    admin, merchandiser = api("admin"), browser_like("merchandiser")

    def upload() -> int:
        form = {"file": (io.BytesIO(b"sku,name\nA,Chair\n"), "a.csv")}
        return merchandiser.post("/batches/check", data=form, follow_redirects=True).status_code

    disk.free = 999_000_000
    for refused in (send(client, clock, facts), admin.post("/api/v1/products", json=facts)):
        assert refused.status_code == 503 and int(refused.headers["Retry-After"]) > 0
        assert "reserve" in refused.json["error"]["message"]
    assert upload() == 503 and services.inbox.page() == []
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert ready.status_code == 200 and "1.00 GB are free" in ready.json["disk"]
    assert admin.get("/api/v1/products").status_code == 200  # reading goes on
    disk.free = 1_000_000_000
    assert send(client, clock, facts).status_code == 202 and upload() == 200
    assert client.get("/readyz").json["disk"] == "ok"
    rounds()
    assert [run.state for run in services.runs.page(sku="CH123") if run.kind == "image"] == ["done", "done"]


def test_accepted_deliveries_rows_and_runs_wait_and_go_on_by_themselves(
    services: Services,
    disk: Disk,
    clock: TestClock,
    photos: PhotoServer,
    client: FlaskClient,
    rounds: Callable[..., None],
) -> None:
    photos.files["a.jpg"] = picture()
    intake.add_product(services, product("RUN", images={"front": photos.url("a.jpg")}), by="mira")
    delivery = send(client, clock, record("SENT", images={"front": photos.url("a.jpg")})).json["delivery_id"]
    sheet = read_uploaded_sheet(f"sku,name,front\nROW,Chair,{photos.url('a.jpg')}\n".encode())
    batch = batches.start(services, "b", "mira", sheet, map_columns(sheet, {}), PictureList())
    disk.free = 1
    rounds(20)  # longer than all the tries that a fault of somebody else would have
    found = services.runs.page(sku="RUN")
    assert {run.state.value for run in found} == {"parked"} and all("reserve" in run.error for run in found)
    assert {run.attempts for run in found} == {0}
    waiting = services.inbox.get(delivery)
    assert (waiting.state, waiting.attempts) == ("received", 0)
    assert [row.state.value for row in services.batches.rows(batch.id)] == ["waiting"]
    disk.free = 50_000_000_000
    rounds()
    for sku in ("RUN", "SENT", "ROW"):
        states = [run.state.value for run in services.runs.page(sku=sku) if run.kind == "image"]
        assert states == ["done", "done"], sku


def test_a_disk_that_is_full_all_the_same_fails_no_delivery_and_no_row(
    services: Services,
    clock: TestClock,
    photos: PhotoServer,
    client: FlaskClient,
    rounds: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The storage says so at the write: the reserve is used up by others, or it is a quota."""
    photos.files["a.jpg"] = picture()
    put = FolderBlobs.put

    def refuse(blobs: FolderBlobs, data: bytes) -> str:
        raise StorageUnavailable("storage", "put", "No space left on device")

    monkeypatch.setattr(FolderBlobs, "put", refuse)
    delivery = send(client, clock, record("SENT", images={"front": photos.url("a.jpg")})).json["delivery_id"]
    sheet = read_uploaded_sheet(f"sku,name,front\nROW,Chair,{photos.url('a.jpg')}\n".encode())
    batch = batches.start(services, "b", "mira", sheet, map_columns(sheet, {}), PictureList())
    rounds(20)
    assert services.inbox.get(delivery).state == "received"
    assert [row.state.value for row in services.batches.rows(batch.id)] == ["waiting"]
    monkeypatch.setattr(FolderBlobs, "put", put)
    rounds()
    assert services.inbox.get(delivery).state == "handled"
    assert [row.state.value for row in services.batches.rows(batch.id)] == ["taken"]


def test_doctor_says_that_the_reserve_is_used_up(services: Services, disk: Disk) -> None:
    disk.free = 5
    (found,) = [part for part in doctor.check_parts(services.settings) if part.part == "disk"]
    assert not found.good and "refused" in found.detail and found.remedy


@pytest.mark.parametrize(
    ("database", "storage", "watched"),
    [
        ("sqlite:////nowhere/data/connector.db", "s3://bucket/files", True),
        ("postgresql+psycopg://u@h/n", "/nowhere/files", True),
        ("postgresql+psycopg://u@h/n", "file:///nowhere/files", True),
        ("postgresql+psycopg://u@h/n", "s3://bucket/files", False),
        ("postgresql+psycopg://u@h/n", "gs://bucket", False),
    ],
)
def test_only_disks_that_are_used_are_watched(disk: Disk, database: str, storage: str, watched: bool) -> None:
    disk.free = 10
    assert bool(DiskReserve(database, storage, 1000).shortage()) is watched
    assert DiskReserve(database, storage, 0).shortage() == ""
    disk.free = 1000
    assert DiskReserve(database, storage, 1000).shortage() == ""


def test_the_setting_is_the_reserve(services: Services, disk: Disk, tmp_path: Path) -> None:
    disk.free = 1_500_000_000
    settings = replace(services.settings, min_free_disk_mb=2000, data_dir=tmp_path / "other")
    other = build_services(settings)
    assert not services.disk.shortage() and "2 GB" in other.disk.shortage()
    other.db.close()


def test_a_folder_that_does_not_exist_yet_is_on_the_disk_of_the_one_above(disk: Disk) -> None:
    assert DiskReserve("sqlite:////nowhere/at/all/a.db", "s3://b", 1).shortage() == ""
