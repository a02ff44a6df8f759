"""Pictures that a sheet does not name stay; those that go away are named by the check first."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from dam_connector.cli import batches as commands
from dam_connector.cli import main
from dam_connector.cli.batches import run_import
from dam_connector.domain.ids import Sku
from dam_connector.domain.product import View
from dam_connector.store.batch_records import RowState
from dam_connector.usecases import intake
from dam_connector.usecases.batch_preview import BatchPreview
from dam_connector.usecases.photo_uploads import upload_photo
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, chair, send
from tests.support import PhotoServer, picture, product, rules_json

FACTS = {"name": "Chair", "category": "seating", "dimensions": None, "color": "", "brand": "", "material": ""}
UPLOADED = picture(ground=222)
Import = Callable[..., BatchPreview]


@pytest.fixture
def chair_with_photos(services: Services, photos: PhotoServer) -> Services:
    """A product with a front, a top and an inspiration image by address, and a back that was uploaded."""
    for name in ("front", "top", "mood"):
        photos.files[f"{name}.jpg"] = picture(ground=200 + len(name))
    images = {view: photos.url(f"{view}.jpg") for view in ("front", "top")}
    intake.add_product(
        services,
        product("A1", **FACTS, images=images, inspiration_image=photos.url("mood.jpg")),
        by="test",
    )
    stored = services.products.get("A1")
    assert stored
    upload_photo(services, stored, View.BACK, UPLOADED, by="ann")
    return services


@pytest.fixture
def bring(chair_with_photos: Services, tmp_path: Path, drain: Drain) -> Import:
    """Import a sheet whose one row is of this product, and return its check."""
    names = iter("abcdef")

    def bring(columns: str, cells: str, *, dry_run: bool = False) -> BatchPreview:
        chair_with_photos.clock.forward(60)  # type: ignore[attr-defined]
        file = tmp_path / "s.csv"
        file.write_text(f"sku,name,category,{columns}\nA1,Chair,seating,{cells}\n")
        options = {"name": next(names), "owner": "ada", "columns": {}, "pictures": None, "dry_run": dry_run}
        _, preview = run_import(chair_with_photos, file, **options)  # type: ignore[arg-type]
        drain()
        return preview

    return bring


def pictures(services: Services) -> dict[str, str]:
    """The pictures of the product: by view, and by field."""
    stored = services.products.get(Sku("A1")).product  # type: ignore[union-attr]
    named = {image.view.value: image.url for image in stored.images}
    fields = {name: getattr(stored, name) for name in ("inspiration_image", "model_url", "swatch")}
    return named | {name: value for name, value in fields.items() if value}


@pytest.mark.parametrize(
    ("columns", "cells"),
    [
        ("image_url,image_url_back,image_url_top,inspiration_image,spin_images,model_url,swatch", ",,,,,,"),
        ("brand", ""),
    ],
    ids=["empty cells", "no column"],
)
def test_what_a_row_does_not_say_takes_no_picture_away(
    bring: Import, services: Services, columns: str, cells: str
) -> None:
    before = pictures(services)
    assert set(before) == {"front", "back", "top", "inspiration_image"}
    sources = services.products.get(Sku("A1")).sources  # type: ignore[union-attr]
    preview = bring(columns, cells)
    assert (preview.counts[RowState.UNCHANGED], preview.losing_rows) == (1, 0)
    assert bring(f"description,{columns}", f"Oak,{cells}").counts[RowState.WAITING] == 1
    stored = services.products.get(Sku("A1"))
    assert stored and stored.product.description == "Oak"
    assert pictures(services) == before and stored.sources == sources


def test_the_check_says_that_pictures_of_empty_cells_stay_and_how_to_remove_them(bring: Import) -> None:
    note = next(n for n in bring("description,image_url_back", "Oak,", dry_run=True).notes if "stay" in n)
    assert note.startswith("Row 2 has empty cells of pictures") and 'Write "remove"' in note
    assert not [n for n in bring("description", "Oak", dry_run=True).notes if "stay" in n]


def test_a_word_removes_a_picture_and_the_check_names_it(bring: Import, services: Services) -> None:
    columns = "image_url_back,image_url_top,inspiration_image"
    preview = bring(columns, "Remove, REMOVE ,remove", dry_run=True)
    assert [row.gone for row in preview.losses] == [
        (
            "image_url_back: the uploaded photo of the back is removed",
            "image_url_top: the photo of the top is removed",
            "inspiration_image: the inspiration image is removed",
        )
    ]
    assert set(pictures(services)) == {"front", "back", "top", "inspiration_image"}
    bring(columns, "Remove, REMOVE ,remove")
    assert set(pictures(services)) == {"front"}
    assert bring(columns, "remove,remove,remove").counts[RowState.UNCHANGED] == 1


def test_an_upload_that_a_row_replaces_is_named(
    bring: Import, services: Services, photos: PhotoServer
) -> None:
    photos.files["other.jpg"] = picture(ground=180)
    preview = bring("image_url,image_url_back", f"{photos.url('other.jpg')},{photos.url('other.jpg')}")
    assert [row.gone for row in preview.losses] == [
        ("image_url_back: the uploaded photo of the back is replaced",)
    ]
    assert pictures(services)["back"] == pictures(services)["front"] == photos.url("other.jpg")


def test_a_row_may_be_good_by_a_photo_that_stays_and_is_bad_without_any(
    bring: Import, write_rules: Callable[..., None]
) -> None:
    write_rules(products={"required": ["images.front"]})
    assert bring("brand,image_url", "Acme,", dry_run=True).counts[RowState.WAITING] == 1
    removed = bring("brand,image_url", "Acme,remove", dry_run=True)
    assert removed.counts[RowState.FAILED] == 1 and not removed.losses
    assert "image_url: A photo of the front is missing" in removed.rows[RowState.FAILED][0].error


def test_facts_that_a_row_empties_are_named(bring: Import) -> None:
    first = bring("brand,color", "Acme,red")
    assert not [n for n in first.notes if "facts" in n]
    notes = bring("brand", "", dry_run=True).notes
    assert "Row 2 empties facts that the product has: brand, color." in notes


def test_what_is_uploaded_while_a_row_waits_is_not_lost(
    chair_with_photos: Services, tmp_path: Path, drain: Drain
) -> None:
    """The check knows another product than the one that the row is taken in for."""
    services = chair_with_photos
    file = tmp_path / "s.csv"
    file.write_text("sku,name,category,image_url\nA1,Chair,seating,remove\n")
    options = {"name": "later", "owner": "ada", "columns": {}, "pictures": None, "dry_run": False}
    services.clock.forward(60)  # type: ignore[attr-defined]
    run_import(services, file, **options)  # type: ignore[arg-type]
    stored = services.products.get("A1")
    assert stored
    services.clock.moment = stored.source_time  # type: ignore[attr-defined]
    upload_photo(services, stored, View.LEFT, picture(ground=190), by="ann")
    services.clock.forward(3600)  # type: ignore[attr-defined]
    drain()
    assert set(pictures(services)) == {"back", "left", "top", "inspiration_image"}


def test_a_deleted_product_that_a_sheet_brings_back_keeps_what_people_uploaded_alone(
    bring: Import, services: Services, photos: PhotoServer
) -> None:
    services.products.mark_deleted("", "A1", services.clock.now())
    preview = bring("image_url", photos.url("front.jpg"))
    assert preview.counts[RowState.WAITING] == 1 and not preview.losses
    assert set(pictures(services)) == {"front", "back"}


def test_an_update_of_a_pim_keeps_uploads_in_views_that_it_has_no_photo_of(
    services: Services, photos: PhotoServer, drain: Drain
) -> None:
    photos.files["front.jpg"] = picture()
    send(services, chair(photos))
    drain()
    stored = services.products.get("CH123")
    assert stored
    upload_photo(services, stored, View.BACK, UPLOADED, by="ann")
    services.clock.forward(60)  # type: ignore[attr-defined]
    send(services, chair(photos, description="Oak"), message="msg_2", kind="product.updated")
    drain()
    after = services.products.get("CH123")
    assert after and after.product.description == "Oak"
    back = after.product.image(View.BACK)
    assert back and back.url == f"held:{after.sources['back']}" and set(after.sources) == {"front", "back"}
    photos.files["back.jpg"] = picture(ground=170)
    services.clock.forward(60)  # type: ignore[attr-defined]
    images = {"front": photos.url("front.jpg"), "back": photos.url("back.jpg")}
    send(services, chair(photos, images=images), message="msg_3", kind="product.updated")
    drain()
    newest = services.products.get("CH123")
    assert newest and newest.product.images[1].url == photos.url("back.jpg")


def test_a_sheet_in_a_watched_folder_takes_no_picture_away_either(
    services: Services, tmp_path: Path, drain: Drain, write_rules: Callable[..., None]
) -> None:
    folder = tmp_path / "watched"
    folder.mkdir()
    for name in ("front.jpg", "top.jpg"):
        (folder / name).write_bytes(picture(ground=200 + len(name)))
    connections = rules_json()["connections"]
    sheets = {"adapter": "csv", "path": str(folder)}
    write_rules(connections={**connections, "pim": {**connections["pim"], "sheets": sheets}})

    def poll(cells: str, seconds: int) -> set[str]:
        file = folder / "s.csv"
        file.write_text(f"sku,name,image_url,image_url_top\nA1,Chair,{cells}\n")
        at = services.clock.now().timestamp() - 1000 + seconds
        os.utime(file, (at, at))
        for event in services.pim("sheets").changed_since(services.clock.now() - timedelta(days=1)):
            intake.ingest_event(services, "sheets", event)
        return set(pictures(services))

    assert poll("front.jpg,top.jpg", 0) == {"front", "top"}
    assert poll("front.jpg,", 60) == {"front", "top"}
    assert poll(",remove", 120) == {"front"}


def test_the_command_names_what_goes_away(
    chair_with_photos: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "open_services", lambda folder: chair_with_photos)
    file = tmp_path / "s.csv"
    file.write_text("sku,name,category,image_url_back\nA1,Chair,seating,remove\n")
    ran = CliRunner().invoke(main, ["import", str(file), "--name", "x", "--dry-run"])
    said = "row 2 A1: image_url_back: the uploaded photo of the back is removed"
    assert ran.exit_code == 0 and said in ran.output
    ran = CliRunner().invoke(main, ["import", str(file), "--name", "x", "--dry-run", "--json"])
    assert '"pictures_gone": [{"row": 2, "sku": "A1"' in ran.output
