"""Models that a product brings along, from its record or a sheet to a version, and the next one."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from dam_connector.cli import products as product_commands
from dam_connector.cli.batches import run_import
from dam_connector.cli.products import product as product_command
from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import CheckOutcome
from dam_connector.domain.version import CONVERTED_MODEL, ORIGINAL_MODEL, Version
from dam_connector.store.batch_records import RowState
from dam_connector.usecases import brought_models
from dam_connector.wiring import Services
from tests.pipeline.helpers import PACKSHOT, chair, send, versions
from tests.support import MODEL, PhotoServer, picture
from tests.unit.glb_cases import SIZE, varying_colours
from tests.unit.test_adoption import MTL, OBJ, as_gltf, textured_chair, zipped
from worker.adoption.process import convert
from worker.modeling.usdz_export import convert_glb

Write = Callable[..., None]
Drain = Callable[[], int]
BOX = {"width": SIZE[0] * 2, "height": SIZE[1] * 2, "depth": SIZE[2] * 2, "unit": "m"}


@pytest.fixture(autouse=True)
def _rules(write_rules: Write) -> None:
    write_rules(deliverables=[{**MODEL, "formats": ["glb"]}, {**PACKSHOT, "channels": ["viewer"]}])


def numbers(services: Services) -> dict[str, int]:
    return {name: version.number for name, version in versions(services).items()}


def model_of(services: Services) -> Version:
    return versions(services)["model"]


def test_a_detail_beside_a_model_makes_it_not_again(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Write
) -> None:
    write_rules(deliverables=[{**MODEL, "formats": ["glb"]}])
    photos.files |= {"chair.glb": varying_colours(), "detail.jpg": picture()}
    facts = {"model_url": photos.url("chair.glb"), "dimensions": BOX}
    for number, images in enumerate(({}, {"detail": photos.url("detail.jpg")})):
        services.clock.forward(5)  # type: ignore[attr-defined]
        send(services, chair(photos, images=images, **facts), message=f"msg_{number}")
        drain()
    assert numbers(services) == {"model": 1}


def test_a_models_whole_way_from_its_address(services: Services, photos: PhotoServer, drain: Drain) -> None:
    glb = varying_colours()
    photos.files["chair.glb"] = glb
    send(services, chair(photos, model_url=photos.url("chair.glb"), dimensions=BOX))
    drain()
    version = model_of(services)
    facts = version.report.facts
    assert version.provenance["generator"] == "brought"
    assert services.blobs.get(version.provenance[ORIGINAL_MODEL]) == glb  # type: ignore[arg-type]
    assert CONVERTED_MODEL not in version.provenance
    assert str(version.provenance["digital_source_type"]).endswith("digitalCreation")
    assert facts["size_m"] == " x ".join(f"{2 * side:.3f}" for side in SIZE)
    assert facts["brought_as"] == "glb" and facts["kept_as_it_is"] == "vertex colours"
    rows = {row.check: row for row in version.report.rows}
    assert rows["likeness to the original"].outcome is CheckOutcome.PASS
    assert numbers(services) == {"model": 1, "packshot": 1}


def test_another_file_makes_the_next_model_and_nothing_else(
    services: Services, photos: PhotoServer, drain: Drain
) -> None:
    record = chair(photos, model_url=photos.url("chair.glb"))
    photos.files["chair.glb"] = textured_chair()
    send(services, record)
    drain()
    photos.files["again.glb"] = photos.files["chair.glb"]
    send(services, {**record, "model_url": photos.url("again.glb")}, message="msg_2")
    drain()
    assert numbers(services) == {"model": 1, "packshot": 1}
    photos.files["again.glb"] = varying_colours()
    send(services, {**record, "model_url": photos.url("again.glb")}, message="msg_3")
    drain()
    assert numbers(services) == {"model": 2, "packshot": 1}


@pytest.mark.issue("model.converted")
def test_files_beside_a_model_are_fetched_with_it(
    services: Services, photos: PhotoServer, drain: Drain
) -> None:
    files = as_gltf(textured_chair())
    photos.files |= {f"a/{name.replace(' ', '%20')}": content for name, content in files.items()}
    photos.files |= {"b/chair.obj": OBJ.encode(), "b/chair.mtl": MTL.encode()}
    photos.files |= {"b/b.png": files["maps/picture 0.png"], "b/tex/Wood.png": files["maps/picture 0.png"]}
    send(services, chair(photos, model_url=photos.url("a/chair.gltf")))
    drain()
    version = model_of(services)
    assert version.report.facts["brought_as"] == "gltf" and CONVERTED_MODEL in version.provenance
    send(services, chair(photos, model_url=photos.url("b/chair.obj")), message="msg_2")
    drain()
    version = model_of(services)
    assert (version.number, version.report.facts["brought_as"]) == (2, "obj")
    converted = [i for i in version.report.issues if i.code == "model.converted"]
    assert [i.measured for i in converted] == ["bump map"]


@pytest.mark.issue("source.not_a_model")
def test_no_model_is_made_in_place_of_one_that_cannot_be_had(
    services: Services, photos: PhotoServer, drain: Drain
) -> None:
    photos.files["page.html"] = b"<html>"
    for number, name in enumerate(("none.glb", "page.html")):
        send(services, chair(photos, model_url=photos.url(name)), message=f"msg_{number}")
        drain()
        found = services.products.get("CH123")
        codes = [i.code for i in found.issues if i.pointer == "/model_url"]
        assert codes == [("source.not_found", "source.not_a_model")[number]]
        assert numbers(services) == {"packshot": 1}


def test_an_uploaded_model_stays_when_the_pim_sends_the_product_again(
    services: Services, photos: PhotoServer, drain: Drain
) -> None:
    send(services, chair(photos, images={}))
    drain()
    package = convert_glb(textured_chair(), "CH123").data
    brought_models.upload_model(services, services.products.get("CH123"), package, by="ann")
    drain()
    assert model_of(services).report.facts["brought_as"] == "usdz"
    send(services, chair(photos, images={}, color="green"), message="msg_2")
    drain()
    stored = services.products.get("CH123")
    assert stored.product.color == "green" and stored.product.model_url.startswith("held:")
    assert model_of(services).number == 2
    assert model_of(services).provenance["generator"] == "brought"


def test_a_product_with_a_model_needs_no_photo(services: Services, photos: PhotoServer, drain: Drain) -> None:
    photos.files["chair.glb"] = textured_chair()
    send(services, chair(photos, images={}, model_url=photos.url("chair.glb")))
    drain()
    assert numbers(services) == {"model": 1} and not services.products.get("CH123").flagged


def test_models_beside_a_sheet(services: Services, tmp_path: Path, drain: Drain) -> None:
    sheet, package = tmp_path / "s.csv", tmp_path / "files.zip"
    sheet.write_text("sku,name,category,3D model\nA1,C,chair,a.glb\nA2,C,chair,none.glb\n")
    package.write_bytes(zipped({"models/a.glb": textured_chair(), "a.jpg": b"x"}))
    options = {"owner": "ada", "columns": {}, "pictures": package}
    _, preview = run_import(services, sheet, name="x", dry_run=True, **options)  # type: ignore[arg-type]
    assert preview.rows[RowState.FAILED][0].error.startswith("3D model: No such file")
    assert preview.counts[RowState.WAITING] == 1
    run_import(services, sheet, name="x", dry_run=False, **options)  # type: ignore[arg-type]
    drain()
    assert versions(services, "A1")["model"].provenance["generator"] == "brought"


def test_a_model_by_command(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_commands, "open_services", lambda folder: services)
    for name, content in as_gltf(textured_chair()).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    record = tmp_path / "chair.json"
    record.write_text(json.dumps({"sku": "A1", "name": "Chair", "category": "chair"}))
    arguments = ["add", str(record), "--model", str(tmp_path / "chair.gltf")]
    ran = CliRunner().invoke(product_command, arguments)
    assert ran.exit_code == 0 and "1 run planned" in ran.output, ran.output
    (tmp_path / "chair.bin").unlink()
    ran = CliRunner().invoke(product_command, arguments)
    assert ran.exit_code == 1 and "chair.bin" in ran.output


@pytest.mark.parametrize("is_folder", [False, True], ids=["ZIP", "folder"])
def test_a_gltf_with_its_files_beside_a_sheet(services: Services, tmp_path: Path, *, is_folder: bool) -> None:
    sheet, beside = tmp_path / "s.csv", tmp_path / "files"
    sheet.write_text("sku,name,category,model_url\nA1,C,chair,chair.gltf\n")
    for name, content in as_gltf(textured_chair()).items():
        (beside / "a" / name).parent.mkdir(parents=True, exist_ok=True)
        (beside / "a" / name).write_bytes(content)
    files = {f"a/{name}": content for name, content in as_gltf(textured_chair()).items()}
    if not is_folder:
        beside = tmp_path / "files.zip"
        beside.write_bytes(zipped(files))
    options = {"owner": "ada", "columns": {}, "pictures": beside}
    _, preview = run_import(services, sheet, name="x", dry_run=True, **options)  # type: ignore[arg-type]
    run_import(services, sheet, name="x", dry_run=False, **options)  # type: ignore[arg-type]
    (row,) = preview.rows[RowState.WAITING]
    stored = services.blobs.get(Sha256(row.product.model_url.removeprefix("held:")))
    assert convert(stored).format == "gltf"
