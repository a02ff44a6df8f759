"""Spins of products: from a PIM, a sheet or by hand, to a model that names its frames."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from dam_connector.cli import main
from dam_connector.cli import products as product_commands
from dam_connector.cli.batches import run_import
from dam_connector.domain.ids import Sku
from dam_connector.domain.product import Capture, Product, captured_pictures, named_photos
from dam_connector.domain.version import Version
from dam_connector.store.batches import RowState
from dam_connector.usecases.source_images import store_source_images
from dam_connector.wiring import Services
from tests.pipeline.helpers import PACKSHOT, Drain, Rules, chair, send, versions
from tests.spins import FRAMES, as_png, spin_frames, spin_pictures
from tests.support import MODEL, PhotoServer, picture
from tests.unit.shapes import as_model
from tests.unit.true_shapes import chair as seat
from tests.unit.true_shapes import cup
from tests.walks import placed_photos, walk_cameras, walk_photos, walk_pictures
from worker.capture import build_walk, captured_model, ground_plate
from worker.steps import make_model as make_model_step

MODEL_ONLY = {**MODEL, "formats": ["glb"], "max_triangles": 1500}
PLAIN = picture(ground=235)


@pytest.fixture
def few_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captured_model, "CELLS", 60_000)
    monkeypatch.setattr(ground_plate, "PLATE_PX", 220)


def held(path: Path) -> str:
    return f"held:{sha256(path.read_bytes()).hexdigest()}"


def served(photos: PhotoServer, pictures: list[bytes]) -> list[str]:
    for number, data in enumerate(pictures):
        photos.files[f"spin/{number}.png"] = data
    return [photos.url(f"spin/{number}.png") for number in range(len(pictures))]


def made(
    services: Services, photos: PhotoServer, drain: Drain, pictures: list[bytes], **changes: object
) -> dict[str, Version]:
    """Return the versions of a cup of which the PIM has nothing but a spin."""
    facts = {"images": {}, "spin_images": served(photos, pictures), "category": "cup", **changes}
    send(services, chair(photos, **facts))
    drain()
    return versions(services)


@pytest.mark.usefixtures("few_cells")
def test_a_product_with_nothing_but_a_spin(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Rules
) -> None:
    write_rules(deliverables=[{**PACKSHOT, "channels": []}, MODEL_ONLY])
    pictures = spin_pictures(cup())
    found = made(services, photos, drain, pictures)
    record = services.products.get(Sku("CH123"))
    assert record and len(record.spin) == FRAMES and list(record.photos) == ["front"]
    model = found["model"]
    facts = model.report.facts or {}
    assert facts["family"] == "spin" and facts["spin_frames"] == FRAMES
    assert model.provenance["source_spin-01"] == record.spin["spin-01"]
    assert "source_spin-01" not in found["packshot"].provenance
    assert found["packshot"].provenance["source_front"] == record.spin["spin-01"]


@pytest.mark.usefixtures("few_cells")
def test_a_detail_beside_a_spin_makes_nothing_again(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Rules
) -> None:
    write_rules(deliverables=[{**PACKSHOT, "channels": []}, MODEL_ONLY])
    pictures = spin_pictures(cup())
    before = made(services, photos, drain, pictures)
    photos.files["detail.png"] = pictures[3]
    images = {"detail": photos.url("detail.png")}
    services.clock.forward(5)  # type: ignore[attr-defined]
    facts = {"images": images, "spin_images": served(photos, pictures), "category": "cup"}
    send(services, chair(photos, **facts), message="msg_2", kind="product.updated")
    drain()
    record = services.products.get(Sku("CH123"))
    assert record and list(record.photos) == ["front", "detail"]
    assert {name: v.number for name, v in versions(services).items()} == dict.fromkeys(before, 1)


@pytest.mark.usefixtures("few_cells")
def test_photos_of_a_walk_may_be_given_as_a_spin(
    services: Services,
    photos: PhotoServer,
    drain: Drain,
    write_rules: Rules,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The cameras are those that the library would find."""
    write_rules(deliverables=[MODEL_ONLY])
    cameras = walk_cameras(seat(), 14)
    taken = walk_photos(seat(), cameras)
    placed = placed_photos(seat(), taken, cameras)
    monkeypatch.setattr(build_walk, "place_photos", lambda given: placed)
    monkeypatch.setattr(make_model_step, "can_place", lambda: True)
    width, height, depth = (float(side) for side in as_model(seat().whole).extent)
    size = {"width": width, "height": height, "depth": depth, "unit": "m"}
    model = made(services, photos, drain, walk_pictures(taken), dimensions=size)["model"]
    facts = model.report.facts or {}
    assert facts["family"] == "walk" and facts["spin_frames"] == 14
    doubt = next((i for i in model.report.issues if i.code == "model.low_confidence"), None)
    assert doubt is None or doubt.pointer == "/spin_images"
    assert not any(i.code == "model.spin_unused" for i in model.report.issues)


@pytest.mark.issue("model.spin_unused")
def test_a_spin_that_cannot_be_used_gives_way_to_the_photos(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Rules
) -> None:
    write_rules(deliverables=[MODEL_ONLY])
    pictures = [picture(ground=235)] * 7 + [picture(size=(300, 200))]
    send(services, chair(photos, spin_images=served(photos, pictures)))
    drain()
    model = versions(services)["model"]
    assert (model.report.facts or {})["family"] != "spin"
    issue = next(i for i in model.report.issues if i.code == "model.spin_unused")
    assert "of another size" in issue.message and issue.pointer == "/spin_images"
    assert "source_front" in model.provenance
    assert issue.message.endswith("The model was made from: front photo.")


def test_a_model_of_the_first_frame_of_a_refused_spin_says_so(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Rules
) -> None:
    write_rules(deliverables=[MODEL_ONLY])
    pictures = [picture(ground=235)] * 7 + [picture(size=(300, 200))]
    send(services, chair(photos, images={}, spin_images=served(photos, pictures)))
    drain()
    model = versions(services)["model"]
    issue = next(i for i in model.report.issues if i.code == "model.spin_unused")
    assert issue.message.endswith("The model was made from: first frame of the spin.")
    assert (model.report.facts or {})["views"] == "first frame of the spin"


def test_masks_among_frames_are_named_and_not_taken_for_photos_of_a_walk(
    services: Services,
    photos: PhotoServer,
    drain: Drain,
    write_rules: Rules,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_rules(deliverables=[MODEL_ONLY])
    frames = spin_frames(cup())
    masks = [as_png(np.repeat(frame.alpha[..., None], 3, axis=2)) for frame in frames[:2]]
    pictures = [as_png(frame.picture) for frame in frames]
    monkeypatch.setattr(make_model_step, "can_place", lambda: True)
    monkeypatch.setattr(
        make_model_step, "build_from_walk", lambda *_, **__: pytest.fail("masks are no photos")
    )
    mixed = [pictures[0], masks[0], *pictures[1:4], masks[1], *pictures[4:]]
    send(services, chair(photos, spin_images=served(photos, mixed)))
    drain()
    model = versions(services)["model"]
    (unused,) = [i for i in model.report.issues if i.code == "model.spin_unused"]
    assert "2 of 10 pictures are black and white, as masks are, counted from 1: 2, 6." in unused.message


@pytest.mark.issue("source.spin")
def test_a_spin_counts_only_as_a_whole(services: Services, photos: PhotoServer) -> None:
    photos.files["front.jpg"] = PLAIN
    urls = served(photos, [PLAIN] * 8)
    product = Product(sku=Sku("A1"), spin_images=(*urls[:3], photos.url("none.jpg"), *urls[4:]))
    sources, issues = store_source_images(services, product, connection="main", last_try=True)
    assert not sources
    assert [(i.code, i.pointer) for i in issues] == [("source.spin", "/spin_images/3")]
    assert "1 of 8 frames" in issues[0].message and "frame 4" in issues[0].message
    few = Product(sku=Sku("A1"), spin_images=tuple(urls[:5]))
    sources, issues = store_source_images(services, few, connection="main", last_try=True)
    assert not sources and issues[0].code == "source.spin" and issues[0].limit == "8 to 72"


def test_photos_that_are_not_read_are_named_by_their_kind(services: Services, photos: PhotoServer) -> None:
    heic = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(400)
    product = Product(sku=Sku("A1"), walk_images=tuple(served(photos, [heic] * 12)))
    _, issues = store_source_images(services, product, connection="main", last_try=True)
    assert (
        issues[0].code == "source.walk" and "is HEIC, which is not read; save it as JPEG" in issues[0].message
    )


def test_masks_among_the_addresses_of_a_spin_are_named(services: Services, photos: PhotoServer) -> None:
    urls = served(photos, [PLAIN] * 9)
    photos.files["spin/0_mask.png"] = PLAIN
    product = Product(sku=Sku("A1"), spin_images=(*urls, photos.url("spin/0_mask.png")))
    sources, issues = store_source_images(services, product, connection="main", last_try=True)
    assert not captured_pictures(sources, Capture.SPIN)
    assert issues[0].code == "source.spin" and "no frames by their names: 0_mask.png" in issues[0].message


def test_the_same_frame_twice_is_two_frames(services: Services, photos: PhotoServer) -> None:
    product = Product(sku=Sku("A1"), spin_images=tuple(served(photos, [PLAIN] * 8)))
    sources, issues = store_source_images(services, product, connection="main", last_try=True)
    assert (
        len(captured_pictures(sources, Capture.SPIN)) == 8
        and list(named_photos(sources)) == ["front"]
        and not issues
    )


def test_a_sheet_names_a_folder_of_frames(services: Services, tmp_path: Path) -> None:
    sheet, beside = tmp_path / "s.csv", tmp_path / "beside"
    sheet.write_text("sku,name,spin\nA1,Cup,cup\nA2,Cup,few\nA3,Cup,none\n")
    for folder, count in {"360/cup": 9, "few": 3}.items():
        (beside / folder).mkdir(parents=True)
        for number in range(1, count + 1):
            (beside / folder / f"frame {number * 4}.jpg").write_bytes(picture(ground=200 + number))
    options = {"name": "x", "owner": "ada", "columns": {}, "dry_run": True, "pictures": beside}
    _, preview = run_import(services, sheet, **options)  # type: ignore[arg-type]
    product = preview.rows[RowState.WAITING][0].product
    assert product and len(product.spin_images) == 9
    # in the order of their numbers: 4, 8, 12, not 12, 16, ..., 4
    first = next(p for p in (beside / "360/cup").iterdir() if p.name == "frame 4.jpg")
    assert product.spin_images[0] == held(first)
    errors = [row.error for row in preview.rows[RowState.FAILED]]
    assert "spin: The folder of the spin holds 3 pictures" in errors[0]
    assert "8 to 72 pictures" in errors[0]
    assert "spin: No such folder of pictures beside the sheet" in errors[1]


def test_the_check_of_a_sheet_names_what_is_left_out_and_why_a_file_is_not_read(
    services: Services, tmp_path: Path
) -> None:
    sheet, beside = tmp_path / "s.csv", tmp_path / "beside"
    sheet.write_text(
        "sku,name,category,spin,image_url\nA1,Cup,cup,cup,\nA2,Cup,cup,phone,\nA3,Cup,cup,,one.heic\n"
        "A4,Cup,cup,two.mp4,\n"
    )
    for folder in ("cup", "phone"):
        (beside / folder).mkdir(parents=True)
    for number in range(9):
        (beside / "cup" / f"{number}.jpg").write_bytes(picture(ground=200 + number))
        (beside / "phone" / f"{number}.heic").write_bytes(b"heic")
    (beside / "cup" / "0_mask.png").write_bytes(picture(format="PNG"))
    for name in ("cup/clip.mov", "one.heic", "two.mp4"):
        (beside / name).write_bytes(b"x")
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", beside)
    for pictures in (beside, Path(packed)):
        options = {"name": "x", "owner": "ada", "columns": {}, "dry_run": True, "pictures": pictures}
        _, preview = run_import(services, sheet, **options)  # type: ignore[arg-type]
        (good,) = preview.rows[RowState.WAITING]
        assert good.product and len(good.product.spin_images) == 9
        (note,) = [note for note in preview.notes if note.startswith("Row 2: spin cup: Left out: ")]
        assert "0_mask.png (its name says that it is no frame" in note and "clip.mov (it is a video" in note
        phone, photo, video = (row.error for row in preview.rows[RowState.FAILED])
        assert "holds 0 pictures" in phone and "and 5 more (it is HEIC, which is not read" in phone
        assert "one.heic is HEIC, which is not read; save it as JPEG" in photo
        assert "two.mp4 is a video" in video
    _, preview = run_import(services, sheet, **{**options, "dry_run": False})  # type: ignore[arg-type]
    rows = services.batches.rows(services.batches.page(limit=1)[0].id)
    assert [row.error.count("which is not read") for row in rows] == [0, 1, 1, 1]


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"images": {"front": "phone.heic"}}, "phone.heic is HEIC, which is not read; save it as JPEG"),
        ({"walk_images": "clip.mp4"}, "clip.mp4 is a video"),
        ({"walk_images": "walk"}, "holds 0 pictures, wanted: 12 to 72; left out: phone.heic (it is HEIC"),
    ],
)
def test_a_product_added_by_hand_is_refused_with_files_that_are_not_read(
    services: Services,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    facts: dict[str, object],
    words: str,
) -> None:
    monkeypatch.setattr(product_commands, "open_services", lambda folder: services)
    (tmp_path / "walk").mkdir()
    for name in ("phone.heic", "clip.mp4", "walk/phone.heic"):
        (tmp_path / name).write_bytes(b"x")
    file = tmp_path / "cup.json"
    file.write_text(json.dumps({"sku": "A1", "name": "Cup", **facts}))
    ran = CliRunner().invoke(main, ["product", "add", str(file)])
    assert ran.exit_code != 0 and words in ran.output
    assert services.products.get(Sku("A1")) is None


def test_a_product_added_by_hand_may_name_a_folder(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_commands, "open_services", lambda folder: services)
    (tmp_path / "spin").mkdir()
    for number in range(1, 11):
        (tmp_path / "spin" / f"{number}.jpg").write_bytes(picture(ground=200 + number))
    file = tmp_path / "cup.json"
    file.write_text(json.dumps({"sku": "A1", "name": "Cup", "spin_images": "spin"}))
    ran = CliRunner().invoke(main, ["product", "add", str(file)])
    assert ran.exit_code == 0, ran.output
    record = services.products.get(Sku("A1"))
    assert record and len(record.spin) == 10
    assert record.product.spin_images[9] == held(tmp_path / "spin" / "10.jpg")
