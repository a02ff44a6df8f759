"""Bulk: a sheet in, its products made, each row on its own."""

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dam_connector.cli.batches import run_import
from dam_connector.domain.version import VersionState
from dam_connector.errors import InputError, NotFound, StateConflict
from dam_connector.store.batch_records import BatchState, RowState
from dam_connector.usecases import batch_exports, batches, intake, maintenance
from dam_connector.wiring import Services
from schemas.sheet_reader import read_sheet
from tests.pipeline.helpers import Drain, versions
from tests.support import PhotoServer, TestClock, picture, product, rules_json

HEADER = "sku,product_name,image_url,category,request_type,number_of_images\n"


@pytest.fixture(autouse=True)
def small_rules(write_rules: Callable) -> None:
    lifestyle = {
        "name": "room",
        "kind": "rendition",
        "style": "lifestyle",
        "size_px": 320,
        "formats": ["webp"],
        "channels": ["viewer"],
    }
    patterns = {"room": "{sku}_{name:pascal}_Room_{slot}_V{version}_{format:upper}"}
    naming = {**rules_json()["naming"], "patterns": patterns}
    write_rules(deliverables=[rules_json()["deliverables"][0], lifestyle], naming=naming)


def sheet(tmp_path: Path, *rows: str, name: str = "s.csv") -> Path:
    path = tmp_path / name
    path.write_text(HEADER + "\n".join(rows) + "\n")
    return path


def import_sheet(services: Services, file: Path, name: str = "autumn", **more: object):
    options = {"owner": "ada", "columns": {}, "pictures": None, "dry_run": False, **more}
    return run_import(services, file, name=name, **options)  # type: ignore[arg-type]


@pytest.mark.issue("row.value", "row.duplicate", "source.url_refused")
def test_good_rows_are_made_bad_rows_are_returned_and_corrected_rows_are_made(
    services: Services, photos: PhotoServer, drain: Drain, tmp_path: Path
) -> None:
    photos.files["a.jpg"] = picture()
    good = photos.url("a.jpg")
    file = sheet(
        tmp_path,
        f"A1,Chair,{good},seating,Studio,",
        f",Nameless,{good},seating,,",
        f"A2,Stool,{good},seating,Lifestyle,3",
        "A3,Lost,http://" + photos.host + ":1/none.jpg,seating,Studio,",
        f"A5,Once,{good},seating,,",
        f"A5,Twice,{good},seating,,",
        f"A4,Odd,{good},seating,Poster,",
    )
    batch, preview = import_sheet(services, file)
    assert batch is not None and preview.counts == {
        RowState.WAITING: 2,
        RowState.FAILED: 5,
        RowState.UNCHANGED: 0,
        RowState.MAKES_NOTHING: 0,
    }
    assert (
        preview.version_counts == {"packshot": 1, "room": 3}
        and preview.billed_counts == {}
        and preview.generation_s == pytest.approx(4 * 1.8)
    )
    drain()
    assert set(versions(services, "A1")) == {"packshot"} and set(versions(services, "A2")) == {"room"}
    assert len(services.assets.of_product("A2")) == 3
    progress = services.batches.progress(batch.id)
    assert (progress.in_review, progress.failed, progress.in_progress, progress.total) == (2, 5, 0, 7)
    assert batches.find(services, "autumn").state is BatchState.DONE
    assert {c for row in preview.rows[RowState.FAILED] for c in row.codes} == {
        "row.value",
        "row.duplicate",
        "source.url_refused",
    }
    mended = batch_exports.failed_csv(services, batch)
    assert mended.splitlines()[0] == HEADER.strip() + ",error"
    assert (
        "The SKU is missing" in mended
        and mended.count("A5 is in the rows 6, 7. Keep one of them, or give each product a SKU of its own")
        == 2
        and "none.jpg" in mended
        and mended.count("\n") == 6
    )
    photos.files["none.jpg"] = picture()
    again = tmp_path / "mended.csv"
    again.write_text(
        mended.replace("http://" + photos.host + ":1/none.jpg", photos.url("none.jpg")).replace(
            "Poster", "Studio"
        )
    )
    second, preview = import_sheet(services, again, "autumn, mended")
    assert second is not None and preview.counts[RowState.WAITING] >= 2
    drain()
    assert set(versions(services, "A3")) == {"packshot"} and set(versions(services, "A4")) == {"packshot"}


def test_failed_rows_of_a_sheet_with_semicolons_have_semicolons(services: Services, tmp_path: Path) -> None:
    file = tmp_path / "s.csv"
    file.write_text('sku;name;width (cm)\n;"Stuhl; rot";80,5\n')
    batch, _ = import_sheet(services, file)
    assert batch is not None
    found = batches.find(services, "autumn")
    assert (found.columns, found.delimiter) == (("sku", "name", "width (cm)"), ";")
    mended = batch_exports.failed_csv(services, found)
    assert mended.splitlines()[0] == "sku;name;width (cm);error"
    assert "".join(batch_exports.status_csv(services, found)).startswith("sku;name;width (cm);status;error")
    again = read_sheet(mended.encode())
    assert [dict(cells)["name"] for _, cells in again.rows] == ["Stuhl; rot"]
    assert next(again.rows)[1]["width (cm)"] == "80,5"


def test_the_same_file_again_makes_nothing_again(
    services: Services, photos: PhotoServer, drain: Drain, tmp_path: Path
) -> None:
    photos.files["a.jpg"] = picture()
    file = sheet(tmp_path, f"A1,Chair,{photos.url('a.jpg')},seating,Studio,")
    import_sheet(services, file)
    drain()
    nothing, preview = import_sheet(services, file, "again")
    assert (
        nothing is None
        and preview.counts[RowState.UNCHANGED] == 1
        and len(services.assets.of_product("A1")) == 1
    )


@pytest.mark.issue("row.picture")
def test_pictures_beside_the_sheet(services: Services, drain: Drain, tmp_path: Path) -> None:
    folder, package = tmp_path / "photos", tmp_path / "photos.zip"
    folder.mkdir()
    (folder / "chair one.jpg").write_bytes(picture())
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("deep/../chair one.jpg", picture())
    for number, beside in enumerate((folder, package)):
        file = sheet(
            tmp_path,
            f"P{number},Chair,chair one.jpg,seating,Studio,",
            f"Q{number},Chair,other.jpg,seating,Studio,",
        )
        batch, preview = import_sheet(services, file, f"with pictures {number}", pictures=beside)
        assert (
            batch is not None
            and preview.counts[RowState.FAILED] == 1
            and "row.picture" in preview.rows[RowState.FAILED][0].codes
        )
        drain()
        assert versions(services, f"P{number}")["packshot"].state is VersionState.IN_REVIEW
    with pytest.raises(InputError, match="neither a folder nor a ZIP"):
        import_sheet(services, file, "none", pictures=tmp_path / "s.csv")


def test_pause_resume_cancel_and_retry(
    services: Services, photos: PhotoServer, drain: Drain, tmp_path: Path
) -> None:
    photos.files["a.jpg"] = picture()
    rows = [f"R{n},Chair,{photos.url('a.jpg')},seating,Studio," for n in range(12)]
    batch, _ = import_sheet(services, sheet(tmp_path, *rows))
    assert batch is not None
    batches.control(services, batch, "pause")
    drain()
    assert services.batches.progress(batch.id).waiting == 12
    batches.control(services, batches.find(services, batch.id), "resume")
    batches.advance(services, batches.find(services, batch.id).wake_token)
    assert services.batches.progress(batch.id).waiting == 12 - batches.MIN_ROWS
    batches.control(services, batches.find(services, batch.id), "cancel")
    drain()
    progress = services.batches.progress(batch.id)
    assert (progress.cancelled, progress.in_review) == (12 - batches.MIN_ROWS, batches.MIN_ROWS)
    with pytest.raises(StateConflict, match="cannot resume"):
        batches.control(services, batches.find(services, batch.id), "resume")
    with pytest.raises(StateConflict, match="choose another name"):
        import_sheet(
            services, sheet(tmp_path, "Z9,Chair,https://x.example/z.jpg,seating,Studio,", name="z.csv")
        )
    with pytest.raises(NotFound):
        batches.find(services, "nothing")


def test_a_batch_cancelled_while_its_last_rows_are_taken_stays_cancelled(
    services: Services, photos: PhotoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos.files["a.jpg"] = picture()
    batch, _ = import_sheet(services, sheet(tmp_path, f"C1,Chair,{photos.url('a.jpg')},seating,Studio,"))
    assert batch is not None
    ingest_row = batches._ingest_row

    def cancelling(*args: object) -> None:
        ingest_row(*args)  # type: ignore[arg-type]
        batches.control(services, batches.find(services, batch.id), "cancel")

    monkeypatch.setattr(batches, "_ingest_row", cancelling)
    batches.advance(services, batches.find(services, batch.id).wake_token)
    assert batches.find(services, batch.id).state is BatchState.CANCELLED


def test_retry_takes_failed_rows_again(
    services: Services, photos: PhotoServer, drain: Drain, tmp_path: Path
) -> None:
    batch, _ = import_sheet(services, sheet(tmp_path, f"T1,Chair,{photos.url('late.jpg')},seating,Studio,"))
    assert batch is not None
    drain()
    assert services.batches.progress(batch.id).failed == 1
    photos.files["late.jpg"] = picture()
    assert batches.control(services, batches.find(services, batch.id), "retry") == "1 row is retried"
    drain()
    assert services.batches.progress(batch.id).in_review == 1


def test_a_lost_job_is_found_by_the_sweeper(
    services: Services, photos: PhotoServer, drain: Drain, tmp_path: Path, clock: TestClock
) -> None:
    photos.files["a.jpg"] = picture()
    batch, _ = import_sheet(services, sheet(tmp_path, f"S1,Chair,{photos.url('a.jpg')},seating,Studio,"))
    assert batch is not None
    from redis import Redis

    Redis.from_url(services.settings.effective_redis_url).flushall()
    clock.forward(60)
    maintenance.sweep(services, "me")
    drain()
    assert services.batches.progress(batch.id).in_review == 1


def test_of_two_wake_ups_for_one_turn_one_takes_the_rows(
    services: Services, photos: PhotoServer, tmp_path: Path
) -> None:
    photos.files["a.jpg"] = picture()
    batch, _ = import_sheet(
        services, sheet(tmp_path, *(f"W{n},Chair,{photos.url('a.jpg')},seating,Studio," for n in range(3)))
    )
    assert batch is not None
    for _ in range(3):
        batches.advance(services, batch.wake_token)
    assert services.batches.progress(batch.id).waiting == 3 - batches.MIN_ROWS
    batches.advance(services, batches.find(services, batch.id).wake_token)
    assert services.batches.progress(batch.id).waiting == 0


def test_what_breaks_one_row_leaves_the_others(
    services: Services, photos: PhotoServer, drain: Drain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos.files["a.jpg"] = picture()
    batch, _ = import_sheet(
        services, sheet(tmp_path, *(f"B{n},Chair,{photos.url('a.jpg')},seating,Studio," for n in range(3)))
    )
    assert batch is not None
    ingest_row = batches._ingest_row

    def breaking(*args: object) -> None:
        if args[2].sku == "B1":  # type: ignore[attr-defined]
            raise RuntimeError("nobody foresaw this")
        ingest_row(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(batches, "_ingest_row", breaking)
    drain()
    progress = services.batches.progress(batch.id)
    assert (progress.in_review, progress.failed) == (2, 1) and batches.find(
        services, batch.id
    ).state is BatchState.DONE
    assert "RuntimeError" in batch_exports.failed_csv(services, batch)


def test_a_row_with_one_missing_photo_of_two_makes_nothing_and_is_given_back(
    services: Services, photos: PhotoServer, drain: Drain, tmp_path: Path
) -> None:
    photos.files["right.jpg"] = picture()
    file = tmp_path / "two.csv"
    file.write_text(
        "sku,product_name,image_url,image_url_right,category\n"
        f"R1,Chair,{photos.url('none.jpg')},{photos.url('right.jpg')},seating\n"
    )
    batch, preview = import_sheet(services, file)
    assert batch is not None and preview.counts[RowState.FAILED] == 1
    drain()
    assert versions(services, "R1") == {} and services.batches.progress(batch.id).failed == 1
    assert "R1" in batch_exports.failed_csv(services, batch)
    photos.files["none.jpg"] = picture()
    batches.control(services, batch, "retry")
    drain()
    assert versions(services, "R1") and services.batches.progress(batch.id).in_review == 1


def test_what_a_batch_asks_for_waits_in_a_lane_of_its_own(
    services: Services, photos: PhotoServer, tmp_path: Path
) -> None:
    photos.files["a.jpg"] = picture()
    batch, _ = import_sheet(services, sheet(tmp_path, f"L1,Chair,{photos.url('a.jpg')},seating,Studio,"))
    assert batch is not None
    batches.advance(services, batch.wake_token)
    intake.add_product(services, product("L2", images={"front": photos.url("a.jpg")}), by="test")
    assert services.queue.length("advance_bulk_run") == 2  # the batch's own job, never done here, and its run
    assert services.queue.length("advance_run") == 2  # of the single product
    assert {r.sku: r.bulk for r in services.runs.page()} == {"L1": True, "L2": False}


def test_a_row_without_a_request_follows_the_rules_and_old_hashes_stay(services: Services) -> None:
    from dam_connector.domain.planning import input_hash
    from dam_connector.domain.row_request import RowRequest

    rules = services.rules.current()
    plain = product()
    one = input_hash(plain, {}, rules.deliverables[0], 1, rules)
    assert one == input_hash(
        plain.with_request(RowRequest(types=("studio",))), {}, rules.deliverables[0], 1, rules
    )
    prompted = plain.with_request(RowRequest(prompt="in the snow"))
    assert one == input_hash(prompted, {}, rules.deliverables[0], 1, rules)
    remote = replace(rules.deliverables[0], generator=("openai", "local"))
    assert input_hash(plain, {}, remote, 1, rules) != input_hash(prompted, {}, remote, 1, rules)
    room = replace(rules.deliverables[0], style="lifestyle")  # our own code reads sets and colours
    assert input_hash(plain, {}, room, 1, rules) == input_hash(prompted, {}, room, 1, rules)
    marble = plain.with_request(RowRequest(prompt="on marble"))
    assert input_hash(plain, {}, room, 1, rules) != input_hash(marble, {}, room, 1, rules)


def test_the_sheet_must_name_its_sku_column(services: Services, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("Nummer,Foto\nA1,https://x.example/a.jpg\n")
    with pytest.raises(InputError, match="No column holds the SKU"):
        import_sheet(services, file)
    with pytest.raises(InputError, match="There is no such column"):
        import_sheet(services, file, columns={"sku": "Zahl"})
    _, preview = import_sheet(services, file, columns={"sku": "Nummer", "image_url": "Foto"}, dry_run=True)
    assert preview.total == 1


def test_a_row_with_too_many_cells_comes_back_whole(services: Services, tmp_path: Path) -> None:
    file = tmp_path / "s.csv"
    file.write_text(
        "sku,name,image_url,height,width,depth,unit\n"
        "A1,Mug broken, row,http://shop.example/a.jpg,10,12,9,cm\n"
        "A2,,http://shop.example/a.jpg,10,12,9,furlong\n"
    )
    batch, _ = import_sheet(services, file)
    assert batch is not None
    mended = batch_exports.failed_csv(services, batch).splitlines()
    assert mended[0] == "sku,name,image_url,height,width,depth,unit,error"
    assert mended[1].startswith("A1,Mug broken,row,http://shop.example/a.jpg,10,12,9,cm,")
    status = "".join(batch_exports.status_csv(services, batch)).splitlines()
    assert status[1].endswith(",,cm")
    joined = "\n".join([mended[0], mended[1].replace("Mug broken,row", '"Mug broken, row"')])
    [(_, cells)] = read_sheet(joined.encode()).rows
    assert cells["unit"] == "cm" and "8 cells" in cells["error"] and not cells.problem
