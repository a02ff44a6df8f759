"""Rows that the check of a sheet calls bad change nothing: products keep their photos and facts."""

import csv
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from dam_connector.cli.batches import run_import
from dam_connector.domain.product import Product, SourceImage, View
from dam_connector.store.batch_records import Batch, RowState
from dam_connector.usecases import batch_exports, batches, intake
from dam_connector.usecases.batch_preview import BatchPreview
from dam_connector.usecases.source_images import check_image_url, store_source_images
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain
from tests.support import PhotoServer, huge_png, picture, product, rules_json

WHOLE = picture(size=(900, 900))
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 3000
FILES = {
    "good.jpg": picture(ground=190),
    "cut.jpg": WHOLE[: len(WHOLE) // 2],
    "cut95.jpg": WHOLE[: len(WHOLE) * 95 // 100],
    "tiny.jpg": picture(size=(120, 120)),
    "huge.png": huge_png(),
    "phone.jpg": HEIC,
    "page.jpg": b"<!doctype html><html><body>404</body></html>" * 20,
    "empty.jpg": b"",
}
BAD = sorted(set(FILES) - {"good.jpg"})
FACTS = {"name": "Chair", "category": "seating", "color": "red", "brand": "Acme"}


@pytest.fixture(autouse=True)
def one_packshot(write_rules: Callable[..., None]) -> None:
    write_rules(deliverables=[rules_json()["deliverables"][0]])


@pytest.fixture(params=["zip", "folder"])
def beside(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The files of this test beside a sheet."""
    if request.param == "folder":
        (tmp_path / "photos").mkdir()
        for name, data in FILES.items():
            (tmp_path / "photos" / name).write_bytes(data)
        return tmp_path / "photos"
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return tmp_path / "photos.zip"


def known(services: Services, photos: PhotoServer, *skus: str) -> dict[str, object]:
    """Add products with a good front and facts; return how they are stored."""
    photos.files["front.jpg"] = picture()
    for sku in skus:
        intake.add_product(services, product(sku, **FACTS, images={"front": photos.url("front.jpg")}), by="x")
    return stored(services, *skus)


def stored(services: Services, *skus: str) -> dict[str, object]:
    return {sku: services.products.get(sku) for sku in skus}


def bring(
    services: Services, folder: Path, drain: Drain, rows: str, pictures: Path | None
) -> tuple[Batch, BatchPreview]:
    """Import a sheet of these rows, and work until nothing is left."""
    services.clock.forward(60)  # type: ignore[attr-defined]
    file = folder / "s.csv"
    file.write_text(f"sku,name,category,image_url,image_url_back\n{rows}\n")
    options = {"name": "b", "owner": "ada", "columns": {}, "pictures": pictures, "dry_run": False}
    batch, preview = run_import(services, file, **options)  # type: ignore[arg-type]
    assert batch
    drain()
    return batch, preview


def assert_check_and_batch_agree(services: Services, batch: Batch, preview: BatchPreview) -> None:
    """What is bad in the check failed in the batch, with the same words in its file of failed rows."""
    checked = {row.sku: row.error for row in preview.rows.get(RowState.FAILED, ())}
    failed = {
        row["sku"]: row["error"]
        for row in csv.DictReader(io.StringIO(batch_exports.failed_csv(services, batch)))
    }
    assert failed == checked
    assert services.batches.progress(batch.id).failed == preview.counts[RowState.FAILED] == len(checked)


@pytest.mark.parametrize("place", ["front", "back"])
def test_bad_files_change_no_product_and_make_none(
    place: str, services: Services, photos: PhotoServer, beside: Path, tmp_path: Path, drain: Drain
) -> None:
    old, new = [f"A{n}" for n in range(len(BAD))], [f"N{n}" for n in range(len(BAD))]
    before = known(services, photos, *old)
    drain()
    cells = [f"{file}," if place == "front" else f"good.jpg,{file}" for file in BAD]
    rows = [
        f"{sku},Stool,seating,{cell}" for skus in (old, new) for sku, cell in zip(skus, cells, strict=True)
    ]
    batch, preview = bring(
        services, tmp_path, drain, "\n".join([*rows, "G1,Stool,seating,good.jpg,"]), beside
    )
    assert (preview.counts[RowState.FAILED], preview.counts[RowState.WAITING]) == (len(rows), 1)
    assert_check_and_batch_agree(services, batch, preview)
    assert stored(services, *old) == before
    assert not any(stored(services, *new).values()) and services.products.get("G1")
    assert "no row can be retried" in batches.control(services, batches.find(services, batch.id), "retry")


def test_a_dead_address_changes_no_product_and_is_tried_again(
    services: Services, photos: PhotoServer, tmp_path: Path, drain: Drain
) -> None:
    before = known(services, photos, "A1")
    photos.files["good.jpg"] = FILES["good.jpg"]
    good, dead = photos.url("good.jpg"), photos.url("later.jpg")
    rows = f"A1,Stool,seating,{good},{dead}\nN1,Stool,seating,{good},{dead}\nG1,Stool,seating,{good},"
    batch, preview = bring(services, tmp_path, drain, rows, None)
    assert preview.counts[RowState.FAILED] == 2
    assert_check_and_batch_agree(services, batch, preview)
    assert stored(services, "A1", "N1") == {**before, "N1": None} and services.products.get("G1")
    photos.files["later.jpg"] = picture(ground=180)
    assert batches.control(services, batches.find(services, batch.id), "retry") == "2 rows are retried"
    drain()
    assert services.batches.progress(batch.id).failed == 0
    assert {set(each.sources) == {"front", "back"} for each in stored(services, "A1", "N1").values()} == {
        True
    }  # type: ignore[union-attr]


def test_an_address_that_dies_after_the_check_changes_nothing_either(
    services: Services, photos: PhotoServer, tmp_path: Path, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = known(services, photos, "A1")
    photos.files["good.jpg"] = FILES["good.jpg"]
    start = batches.start

    def dying(*args: object, **more: object) -> Batch:
        del photos.files["good.jpg"]
        return start(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(batches, "start", dying)
    batch, preview = bring(services, tmp_path, drain, f"A1,Stool,seating,{photos.url('good.jpg')},", None)
    assert preview.counts[RowState.WAITING] == 1 and services.batches.progress(batch.id).failed == 1
    assert stored(services, "A1") == before
    assert "image_url: " in batch_exports.failed_csv(services, batch)


def test_the_images_of_a_row_are_fetched_once(
    services: Services, photos: PhotoServer, tmp_path: Path, drain: Drain
) -> None:
    photos.files["good.jpg"] = FILES["good.jpg"]
    name = f"A1,Stool,seating,{photos.url('good.jpg')},"
    asked = []
    fetch = services.http.get

    def counted(url: str, **more: object) -> bytes:
        asked.append(url)
        return fetch(url, **more)  # type: ignore[arg-type]

    object.__setattr__(services.http, "get", counted)
    bring(services, tmp_path, drain, name, None)
    assert services.products.get("A1") and len(asked) == 1


def test_a_row_that_makes_nothing_is_bad_by_its_photo_too(
    services: Services,
    photos: PhotoServer,
    beside: Path,
    tmp_path: Path,
    drain: Drain,
    write_rules: Callable[..., None],
) -> None:
    before = known(services, photos, "A1")
    drain()
    write_rules(deliverables=[{**rules_json()["deliverables"][0], "categories": ["lamps"]}])
    rows = "A1,Stool,seating,cut.jpg,\nA2,Stool,seating,good.jpg,"
    batch, preview = bring(services, tmp_path, drain, rows, beside)
    assert (preview.counts[RowState.FAILED], preview.counts[RowState.MAKES_NOTHING]) == (1, 1)
    assert_check_and_batch_agree(services, batch, preview)
    assert stored(services, "A1") == before and services.products.get("A2")


def test_a_file_that_was_uploaded_before_is_judged_like_one_beside_the_sheet(
    services: Services, photos: PhotoServer, tmp_path: Path, drain: Drain
) -> None:
    names = [name for name in BAD if name != "empty.jpg"]
    skus = [f"A{n}" for n in range(len(names))]
    before = known(services, photos, *skus)
    for name in names:
        services.blobs.put(FILES[name])
    held = [f"held:{sha256(FILES[name]).hexdigest()}" for name in names]
    rows = [f"{sku},Stool,seating,{url}," for sku, url in zip(skus, held, strict=True)]
    batch, preview = bring(services, tmp_path, drain, "\n".join(rows), None)
    assert preview.counts[RowState.FAILED] == len(names)
    assert_check_and_batch_agree(services, batch, preview)
    assert stored(services, *skus) == before


def test_a_name_that_two_files_have_is_bad_in_the_batch_too(
    services: Services, tmp_path: Path, drain: Drain
) -> None:
    """One of the files is named by its path in another row, and it must not be taken for both."""
    for folder in ("A1", "A2"):
        (tmp_path / "p" / folder).mkdir(parents=True)
        (tmp_path / "p" / folder / "front.jpg").write_bytes(
            picture(ground=180 + len(folder) + int(folder[1]))
        )
    rows = "A1,Stool,seating,A1/front.jpg,\nA2,Stool,seating,front.jpg,"
    batch, preview = bring(services, tmp_path, drain, rows, tmp_path / "p")
    assert preview.counts[RowState.FAILED] == 1
    assert_check_and_batch_agree(services, batch, preview)
    assert services.products.get("A1") and services.products.get("A2") is None


def test_the_first_frame_of_a_spin_is_judged_alike(
    services: Services, photos: PhotoServer, tmp_path: Path, drain: Drain
) -> None:
    before = known(services, photos, "A1", "A2")
    (tmp_path / "p" / "spin").mkdir(parents=True)
    for n in range(8):
        photos.files[f"{n}.jpg"] = picture(ground=180 + n)
        data = FILES["cut.jpg"] if n == 0 else photos.files[f"{n}.jpg"]
        (tmp_path / "p" / "spin" / f"{n}.jpg").write_bytes(data)
    frames = " ".join(photos.url(f"{n}.jpg") for n in ("none", *range(1, 8)))
    services.clock.forward(60)  # type: ignore[attr-defined]
    file = tmp_path / "s.csv"
    file.write_text(f"sku,name,category,spin_images\nA1,Stool,seating,{frames}\nA2,Stool,seating,spin\n")
    options = {"name": "b", "owner": "ada", "columns": {}, "pictures": tmp_path / "p", "dry_run": False}
    batch, preview = run_import(services, file, **options)  # type: ignore[arg-type]
    assert batch
    drain()
    assert preview.counts[RowState.FAILED] == 2 == services.batches.progress(batch.id).failed
    assert stored(services, "A1", "A2") == before


def test_limits_of_the_service_hold_in_the_batch(
    services: Services, photos: PhotoServer, beside: Path, tmp_path: Path, drain: Drain
) -> None:
    before = known(services, photos, "A1")
    small = replace(services, settings=replace(services.settings, max_picture_pixels=250 * 250))
    batch, preview = bring(small, tmp_path, drain, "A1,Stool,seating,good.jpg,", beside)
    assert preview.counts[RowState.FAILED] == 1
    assert_check_and_batch_agree(services, batch, preview)
    assert stored(services, "A1") == before


def test_each_frame_beside_the_sheet_is_judged(
    services: Services, photos: PhotoServer, tmp_path: Path, drain: Drain
) -> None:
    """One that is damaged spoils its spin: the model would be made from the first frame alone."""
    before = known(services, photos, "A1", "A2")
    for folder, bad in (("cut", "cut.jpg"), ("small", "tiny.jpg")):
        (tmp_path / "p" / folder).mkdir(parents=True)
        for n in range(8):
            data = FILES[bad] if n == 5 else picture(ground=180 + n)
            (tmp_path / "p" / folder / f"{n}.jpg").write_bytes(data)
    services.clock.forward(60)  # type: ignore[attr-defined]
    file = tmp_path / "s.csv"
    file.write_text("sku,name,category,spin_images\nA1,Stool,seating,cut\nA2,Stool,seating,small\n")
    options = {"name": "b", "owner": "ada", "columns": {}, "pictures": tmp_path / "p", "dry_run": False}
    batch, preview = run_import(services, file, **options)  # type: ignore[arg-type]
    assert batch
    drain()
    assert preview.counts[RowState.FAILED] == 2
    assert "cut/5.jpg is cut off" in preview.rows[RowState.FAILED][0].error
    assert_check_and_batch_agree(services, batch, preview)
    assert stored(services, "A1", "A2") == before


def test_masks_among_the_addresses_of_a_spin_are_bad_in_the_check(
    services: Services, photos: PhotoServer, tmp_path: Path
) -> None:
    names = [f"{n}.jpg" for n in range(7)] + ["3_mask.png"]
    photos.files |= dict.fromkeys(names, FILES["good.jpg"])
    file = tmp_path / "s.csv"
    file.write_text(f"sku,name,spin_images\nA1,Stool,{' '.join(map(photos.url, names))}\n")
    options = {"name": "b", "owner": "ada", "columns": {}, "pictures": None, "dry_run": True}
    _, preview = run_import(services, file, **options)  # type: ignore[arg-type]
    (row,) = preview.rows[RowState.FAILED]
    said = "spin_images: 1 of 8 pictures of the spin are no frames by their names (3_mask.png), wanted: "
    assert row.error.startswith(said)


def test_a_photo_that_is_away_has_one_reason_in_the_check_and_in_the_batch(
    services: Services, photos: PhotoServer
) -> None:
    photos.statuses["away.jpg"] = 503
    url = photos.url("away.jpg")
    checked = check_image_url(services, url, "/images/front")
    found = Product(sku="A1", images=(SourceImage(view=View.FRONT, url=url),))
    _, [stored] = store_source_images(services, found, connection="", last_try=True)
    assert checked and (stored.code, stored.message) == (checked.code, checked.message)
    assert "picture fetch" not in stored.message
