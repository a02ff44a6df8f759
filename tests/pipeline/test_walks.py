"""Walks around products: from a PIM, a sheet or by hand, to a model that names its photos."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner

from dam_connector.cli import main
from dam_connector.cli import products as product_commands
from dam_connector.cli.batches import run_import
from dam_connector.domain.ids import Sku
from dam_connector.domain.product import Capture, Product, captured_pictures, named_photos
from dam_connector.errors import InputError
from dam_connector.store.batches import RowState
from dam_connector.usecases.source_images import store_source_images
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, Rules, chair, send, versions
from tests.spins import as_png, spin_frames
from tests.support import MODEL, PhotoServer, picture
from tests.unit.shapes import as_model
from tests.unit.true_shapes import chair as seat
from tests.unit.true_shapes import cup
from tests.walks import placed_photos, walk_cameras, walk_photos, walk_pictures
from worker.capture import build_walk, captured_model, ground_plate, photo_placing
from worker.steps import make_model as make_model_step

MODEL_ONLY = {**MODEL, "formats": ["glb"], "max_triangles": 1500}
COUNT = 14


@pytest.fixture
def few_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captured_model, "CELLS", 60_000)
    monkeypatch.setattr(ground_plate, "PLATE_PX", 220)


def served(photos: PhotoServer, pictures: list[bytes]) -> list[str]:
    for number, data in enumerate(pictures):
        photos.files[f"walk/{number}.png"] = data
    return [photos.url(f"walk/{number}.png") for number in range(len(pictures))]


@pytest.mark.usefixtures("few_cells")
def test_a_product_with_nothing_but_a_walk(
    services: Services,
    photos: PhotoServer,
    drain: Drain,
    write_rules: Rules,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The cameras are those that the library would find."""
    write_rules(deliverables=[MODEL_ONLY])
    cameras = walk_cameras(seat(), COUNT)
    taken = walk_photos(seat(), cameras)
    placed = placed_photos(seat(), taken, cameras)
    monkeypatch.setattr(build_walk, "place_photos", lambda given: placed)
    monkeypatch.setattr(make_model_step, "require_library", lambda: None)
    monkeypatch.setattr(
        make_model_step, "build_from_spin", lambda *_, **__: pytest.fail("the field says that it is a walk")
    )
    width, height, depth = (float(side) for side in as_model(seat().whole).extent)
    size = {"width": width, "height": height, "depth": depth, "unit": "m"}
    send(
        services,
        chair(photos, images={}, walk_images=served(photos, walk_pictures(taken)), dimensions=size),
    )
    drain()
    record, model = services.products.get(Sku("CH123")), versions(services)["model"]
    assert record and len(record.walk) == COUNT and list(record.photos) == ["front"] and not record.spin
    facts = model.report.facts or {}
    assert facts["family"] == "walk" and facts["walk_photos"] == COUNT and "spin_frames" not in facts
    assert model.provenance["source_walk-01"] == record.walk["walk-01"] == record.photos["front"]


@pytest.mark.usefixtures("few_cells")
def test_frames_of_a_turntable_may_be_given_as_a_walk(
    services: Services,
    photos: PhotoServer,
    drain: Drain,
    write_rules: Rules,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_rules(deliverables=[MODEL_ONLY])

    def refuse(given: object) -> None:
        raise InputError("capture.no_ground", "The photos show too little of one level ground.")

    monkeypatch.setattr(build_walk, "place_photos", refuse)
    monkeypatch.setattr(make_model_step, "require_library", lambda: None)
    frames = [as_png(frame.picture) for frame in spin_frames(cup(), 12)]
    send(services, chair(photos, images={}, walk_images=served(photos, frames), category="cup"))
    drain()
    facts = versions(services)["model"].report.facts or {}
    assert facts["family"] == "spin" and facts["walk_photos"] == 12


@pytest.mark.issue("model.walk_unused")
def test_a_walk_without_the_extra_gives_way_to_the_photos(
    services: Services,
    photos: PhotoServer,
    drain: Drain,
    write_rules: Rules,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_rules(deliverables=[MODEL_ONLY])
    monkeypatch.setattr(photo_placing, "LIBRARY", "a_library_that_nobody_has")
    send(services, chair(photos, walk_images=served(photos, [picture(ground=235)] * 12)))
    drain()
    model = versions(services)["model"]
    assert (model.report.facts or {})["family"] != "walk" and "source_front" in model.provenance
    issue = next(i for i in model.report.issues if i.code == "model.walk_unused")
    assert "pip install 'dam-connector[walk]'" in issue.message and issue.pointer == "/walk_images"


def test_where_the_spin_cannot_be_used_the_walk_is_tried(
    services: Services,
    photos: PhotoServer,
    drain: Drain,
    write_rules: Rules,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_rules(deliverables=[MODEL_ONLY])
    monkeypatch.setattr(photo_placing, "LIBRARY", "a_library_that_nobody_has")
    walk = served(photos, [picture(ground=235)] * 12)
    for number in range(8):
        photos.files[f"spin/{number}.png"] = picture(
            ground=235, size=(300, 200) if number == 7 else (200, 200)
        )
    spin = [photos.url(f"spin/{number}.png") for number in range(8)]
    send(services, chair(photos, walk_images=walk, spin_images=spin))
    drain()
    found = [i.code for i in versions(services)["model"].report.issues if i.code.endswith("_unused")]
    assert found == ["model.spin_unused", "model.walk_unused"]


@pytest.mark.issue("source.walk")
def test_a_walk_counts_only_as_a_whole(services: Services, photos: PhotoServer) -> None:
    urls = served(photos, [picture(ground=235)] * 12)
    product = Product(sku=Sku("A1"), walk_images=tuple(urls))
    sources, issues = store_source_images(services, product, connection="main", last_try=True)
    assert len(captured_pictures(sources, Capture.WALK)) == 12 and not issues
    assert list(named_photos(sources)) == ["front"]
    product = Product(sku=Sku("A1"), walk_images=(*urls[:3], photos.url("none.jpg"), *urls[4:]))
    sources, issues = store_source_images(services, product, connection="main", last_try=True)
    assert not sources and [(i.code, i.pointer) for i in issues] == [("source.walk", "/walk_images/3")]
    assert "1 of 12 photos of the walk" in issues[0].message and "photo 4" in issues[0].message
    few = Product(sku=Sku("A1"), walk_images=tuple(urls[:8]))
    sources, issues = store_source_images(services, few, connection="main", last_try=True)
    assert not sources and issues[0].code == "source.walk" and issues[0].limit == "12 to 72"


def held(path: Path) -> str:
    return f"held:{sha256(path.read_bytes()).hexdigest()}"


def test_a_sheet_names_a_folder_of_photos(services: Services, tmp_path: Path) -> None:
    sheet, beside = tmp_path / "s.csv", tmp_path / "beside"
    sheet.write_text("sku,name,walk,spin\nA1,Cup,around,\nA2,Cup,few,few\n")
    for folder, count in {"walks/around": 13, "few": 9}.items():
        (beside / folder).mkdir(parents=True)
        for number in range(1, count + 1):
            (beside / folder / f"photo {number}.jpg").write_bytes(picture(ground=200 + number))
    options = {"name": "x", "owner": "ada", "columns": {}, "dry_run": True, "pictures": beside}
    _, preview = run_import(services, sheet, **options)  # type: ignore[arg-type]
    product = preview.rows[RowState.WAITING][0].product
    assert product and len(product.walk_images) == 13 and not product.spin_images
    assert product.walk_images[1] == held(beside / "walks/around/photo 2.jpg")  # by their numbers
    (error,) = [row.error for row in preview.rows[RowState.FAILED]]  # nine frames are enough for a spin
    assert "walk: The folder of the walk holds 9 pictures" in error and "12 to 72 photos" in error


def test_a_product_added_by_hand_may_name_a_folder(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_commands, "open_services", lambda folder: services)
    (tmp_path / "walk").mkdir()
    for number in range(1, 13):
        (tmp_path / "walk" / f"{number}.jpg").write_bytes(picture(ground=200 + number))
    file = tmp_path / "cup.json"
    file.write_text(json.dumps({"sku": "A1", "name": "Cup", "walk_images": "walk"}))
    ran = CliRunner().invoke(main, ["product", "add", str(file)])
    assert ran.exit_code == 0, ran.output
    record = services.products.get(Sku("A1"))
    assert record and len(record.walk) == 12
    assert record.product.walk_images[9] == held(tmp_path / "walk" / "10.jpg")
