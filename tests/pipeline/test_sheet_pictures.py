"""Pictures beside a sheet: each row gets its own, or says why it has none."""

import csv
import io
import json
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dam_connector.cli import main
from dam_connector.cli import products as product_commands
from dam_connector.cli.batches import run_import
from dam_connector.store.batches import NewBatchRow, RowState
from dam_connector.usecases import batch_exports
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain
from tests.support import PhotoServer, huge_png, picture

ONE, TWO = picture(ground=235), picture(ground=200)


def checked(services: Services, folder: Path, cells: list[str], files: dict[str, bytes]) -> list[NewBatchRow]:
    """Return the rows of a sheet with these cells as photos, checked beside a ZIP and a folder alike."""
    sheet, package, beside = folder / "s.csv", folder / "p.zip", folder / "beside"
    sheet.write_text("sku,name,image_url\n" + "".join(f"A{n},Chair,{c}\n" for n, c in enumerate(cells, 1)))
    with zipfile.ZipFile(package, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
            (beside / name).parent.mkdir(parents=True, exist_ok=True)
            (beside / name).write_bytes(data)
    both = []
    for pictures in (package, beside):
        options = {"name": "x", "owner": "ada", "columns": {}, "dry_run": True}
        _, preview = run_import(services, sheet, pictures=pictures, **options)  # type: ignore[arg-type]
        rows = sorted((row for rows in preview.rows.values() for row in rows), key=lambda row: row.line)
        both.append([(row.state, row.error, row.product) for row in rows])
    assert both[0] == both[1]
    return rows


@pytest.mark.issue("row.picture")
def test_two_folders_with_one_file_name(services: Services, tmp_path: Path) -> None:
    files = {"A1/front.jpg": ONE, "A2/front.jpg": TWO}
    for row in checked(services, tmp_path, ["front.jpg", "front.jpg"], files):
        assert row.codes == ("row.picture",) and "one of A1/front.jpg, A2/front.jpg" in row.error
    rows = checked(services, tmp_path, ["A1/front.jpg", "A2\\front.jpg"], files)
    held = [row.product.images[0].url for row in rows if row.product]
    assert held == [f"held:{sha256(ONE).hexdigest()}", f"held:{sha256(TWO).hexdigest()}"]


@pytest.mark.issue("source.too_large", "source.too_small", "row.picture")
def test_pictures_beyond_the_limits_are_bad_in_the_check(services: Services, tmp_path: Path) -> None:
    services = replace(services, settings=replace(services.settings, max_picture_bytes=20_000))
    noise = np.random.default_rng(1).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "JPEG", quality=95)
    files = {"huge.png": huge_png(), "tiny.jpg": picture(size=(64, 300)), "heavy.jpg": out.getvalue()}
    huge, tiny, heavy = checked(services, tmp_path, [*files], files)
    assert huge.codes == ("source.too_large",) and tiny.codes == ("source.too_small",)
    assert huge.error.startswith("image_url: The picture has 30000 x 30000 pixels")
    assert "wanted: at most 64,000,000 pixels, e.g. 4000 x 4000" in huge.error
    assert tiny.error.startswith("image_url: The picture has 64 x 300 pixels")
    assert "wanted: at least 200 px on the shorter side" in tiny.error
    said = f"image_url: heavy.jpg has {len(out.getvalue()):,} bytes, more than the limit of 20,000"
    assert heavy.codes == ("row.picture",) and said in heavy.error


@pytest.mark.parametrize("file", ["huge.png", "tiny.jpg"])
def test_a_picture_at_an_address_beyond_the_limits_is_bad_in_the_check_and_as_a_row(
    file: str, services: Services, photos: PhotoServer, tmp_path: Path, drain: Drain
) -> None:
    photos.files |= {"huge.png": huge_png(), "tiny.jpg": picture(size=(64, 300)), "a.jpg": ONE}
    sheet = tmp_path / "s.csv"
    sheet.write_text(f"sku,name,Bild,image_url_back\nA1,Chair,{photos.url('a.jpg')},{photos.url(file)}\n")
    options = {"name": "x", "owner": "ada", "columns": {}, "pictures": None}
    _, preview = run_import(services, sheet, **options, dry_run=True)  # type: ignore[arg-type]
    (row,) = preview.rows[RowState.FAILED]
    assert row.error.startswith("image_url_back: The picture has ") and "wanted: at " in row.error
    batch, _ = run_import(services, sheet, **options, dry_run=False)  # type: ignore[arg-type]
    assert batch
    drain()
    (failed,) = csv.DictReader(io.StringIO(batch_exports.failed_csv(services, batch)))
    assert failed["error"] == row.error


def test_a_photo_is_found_in_its_folder_and_in_any_case(services: Services, tmp_path: Path) -> None:
    rows = checked(services, tmp_path, ["chair.jpg", "photos/CHAIR.jpg"], {"photos/Chair.JPG": ONE})
    assert [row.state for row in rows] == [RowState.WAITING] * 2


@pytest.mark.issue("row.picture")
def test_an_inspiration_picture_beside_the_sheet(services: Services, tmp_path: Path) -> None:
    sheet = tmp_path / "s.csv"
    sheet.write_text("sku,name,image_url,inspiration_image\nA1,C,a.jpg,mood.jpg\nA2,C,a.jpg,none.jpg\n")
    (tmp_path / "beside").mkdir()
    for name, data in {"a.jpg": ONE, "mood.jpg": TWO}.items():
        (tmp_path / "beside" / name).write_bytes(data)
    options = {"name": "x", "owner": "ada", "columns": {}, "dry_run": True, "pictures": tmp_path / "beside"}
    _, preview = run_import(services, sheet, **options)  # type: ignore[arg-type]
    good = preview.rows[RowState.WAITING][0].product
    assert good and good.inspiration_image == f"held:{sha256(TWO).hexdigest()}"
    assert "inspiration_image: No such file" in preview.rows[RowState.FAILED][0].error


def test_a_product_may_name_files_beside_its_record(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_commands, "open_services", lambda folder: services)
    file = tmp_path / "chair.json"
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(ONE)
    record = {"sku": "A1", "name": "Chair", "images": {"front": "photos/a.jpg", "back": "none.jpg"}}
    file.write_text("\ufeff" + json.dumps(record))
    ran = CliRunner().invoke(main, ["product", "add", str(file)])
    assert ran.exit_code == 1 and "/images/back: 'none.jpg' is no address, and there is no file" in ran.output
    for name, data in {"huge.png": huge_png(), "tiny.jpg": picture(size=(64, 300))}.items():
        (tmp_path / "photos" / name).write_bytes(data)
        record["images"]["back"] = f"photos/{name}"  # type: ignore[index]
        file.write_text(json.dumps(record))
        ran = CliRunner().invoke(main, ["product", "add", str(file)])
        assert ran.exit_code == 1 and "The picture has " in ran.output and "wanted: at " in ran.output
        assert services.products.get("A1") is None
    del record["images"]["back"]  # type: ignore[attr-defined]
    file.write_text(json.dumps(record))
    assert CliRunner().invoke(main, ["product", "add", str(file)]).exit_code == 0
    stored = services.products.get("A1")
    assert stored and stored.product.images[0].url == f"held:{sha256(ONE).hexdigest()}"
