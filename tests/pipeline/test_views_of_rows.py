"""Views that deliverables need and rows lack: the check of a sheet names them before anything is made."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dam_connector.cli.batches import run_import
from dam_connector.cli.preview_text import preview_lines
from dam_connector.domain.product import View
from dam_connector.store.batch_records import Batch, RowState
from dam_connector.usecases import batch_exports, intake
from dam_connector.usecases.batch_preview import BatchPreview
from dam_connector.usecases.photo_uploads import upload_photo
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, versions
from tests.support import PhotoServer, picture, product, rules_json

PACKSHOT = {**rules_json()["deliverables"][0], "formats": ["jpeg"]}
DETAIL = {**PACKSHOT, "name": "detail-shot", "views": ["detail"]}
MODEL = {"name": "model", "kind": "model", "formats": ["glb"], "texture_px": 512, "max_triangles": 4000}
TURNED = {**PACKSHOT, "name": "turned", "made_from": "model"}
NAMING = {"default": "{sku}_{deliverable}_V{version}_{format:upper}"}
HEADER = "sku,product_name,image_url,image_url_detail,image_url_hero\n"
REMEDY = "Add a photo of this view"
Bring = Callable[..., tuple[Batch | None, BatchPreview]]


@pytest.fixture
def bring(services: Services, photos: PhotoServer, tmp_path: Path, write_rules: Callable[..., None]) -> Bring:
    """Import rows of these cells by rules with these deliverables."""
    photos.files |= {"a.jpg": picture(), "d.jpg": picture(ground=210)}

    def bring(rows: str, *deliverables: dict[str, Any], dry_run: bool = False, name: str = "b") -> Any:
        services.clock.forward(60)  # type: ignore[attr-defined]
        if deliverables:
            write_rules(deliverables=list(deliverables), naming=NAMING, products={"required": ["sku"]})
        sheet = tmp_path / "s.csv"
        cells = rows.replace("FRONT", photos.url("a.jpg")).replace("DETAIL", photos.url("d.jpg"))
        sheet.write_text(HEADER + cells + "\n")
        options: dict[str, Any] = {"name": name, "owner": "ada", "columns": {}, "pictures": None}
        return run_import(services, sheet, dry_run=dry_run, **options)

    return bring


def failed_texts(services: Services, batch: Batch) -> list[str]:
    return [row["error"] for row in csv.DictReader(io.StringIO(batch_exports.failed_csv(services, batch)))]


def test_a_row_without_the_only_view_is_bad_and_changes_nothing(
    bring: Bring, services: Services, drain: Drain
) -> None:
    batch, preview = bring("A1,Chair,FRONT,\nA2,Chair,FRONT,DETAIL", DETAIL)
    (bad,) = preview.rows[RowState.FAILED]
    said = f"image_url_detail: detail-shot needs a photo of the detail. {REMEDY}"
    assert (bad.sku, bad.error, bad.codes) == ("A1", said, ("source.missing_view",))
    assert preview.version_counts == {"detail-shot": 1}
    drain()
    assert batch and failed_texts(services, batch) == [said]
    assert services.products.get("A1") is None and set(versions(services, "A2")) == {"detail-shot"}


def test_a_row_that_lacks_a_view_for_one_of_several_is_good_and_says_so(
    bring: Bring, services: Services, drain: Drain
) -> None:
    batch, preview = bring("A1,Chair,FRONT,\nA2,Chair,FRONT,DETAIL\nA3,Chair,FRONT,", PACKSHOT, DETAIL)
    assert preview.counts[RowState.WAITING] == 3
    assert preview.version_counts == {"packshot": 3, "detail-shot": 1}
    said = f"detail-shot needs a photo of the detail. {REMEDY}."
    assert f"Rows 2, 4 lack a view, so that this is not made: {said}" in preview.notes
    assert f"  note: Rows 2, 4 lack a view, so that this is not made: {said}" in preview_lines(preview)
    drain()
    assert batch and services.batches.progress(batch.id).failed == 0
    assert set(versions(services, "A1")) == {"packshot"}


@pytest.mark.parametrize(
    ("deliverable", "cells", "is_bad"),
    [
        (PACKSHOT, ",DETAIL", True),
        (MODEL, ",DETAIL", True),
        ({**MODEL, "views": ["back"]}, "FRONT,", True),
        ({**PACKSHOT, "views": ["detail", "front"]}, "FRONT,", False),
        (MODEL, "FRONT,DETAIL", False),
    ],
)
def test_what_the_check_says_is_what_the_pipeline_does(
    bring: Bring,
    services: Services,
    photos: PhotoServer,
    drain: Drain,
    deliverable: dict[str, Any],
    cells: str,
    is_bad: bool,
) -> None:
    _, preview = bring(f"A1,Chair,{cells}", deliverable, dry_run=True)
    assert preview.counts[RowState.FAILED] == is_bad
    named = {"front": photos.url("a.jpg"), "detail": photos.url("d.jpg")}
    images = {view: url for view, url in named.items() if view.upper() in cells}
    intake.add_product(services, product("A2", name="Chair", category="", images=images), by="ada")
    drain()
    (run,) = services.runs.page(sku="A2")
    assert run.error.startswith("source.missing_view: ") == is_bad


def test_what_is_rendered_from_a_model_that_lacks_its_view_is_not_counted(bring: Bring) -> None:
    _, preview = bring("A1,Chair,FRONT,", {**MODEL, "views": ["back"]}, TURNED, PACKSHOT, dry_run=True)
    assert preview.version_counts == {"packshot": 1} and preview.not_made_counts == {}
    _, preview = bring("A1,Chair,FRONT,", {**MODEL, "views": ["back"]}, TURNED, dry_run=True)
    assert preview.counts[RowState.FAILED] == 1


def test_a_view_that_the_product_has_already_is_not_missing(
    bring: Bring, services: Services, photos: PhotoServer
) -> None:
    intake.add_product(services, product("A1", images={"front": photos.url("a.jpg")}), by="ada")
    stored = services.products.get("A1")
    assert stored
    upload_photo(services, stored, View.DETAIL, picture(ground=200), by="ann")
    _, preview = bring("A1,Chair,FRONT,", DETAIL, dry_run=True)
    assert preview.counts[RowState.WAITING] == 1


def test_a_product_with_a_usable_version_stays_good(bring: Bring, services: Services, drain: Drain) -> None:
    bring("A1,Chair,FRONT,", PACKSHOT)
    drain()
    batch, preview = bring("A1,Armchair,FRONT,", DETAIL, name="second")
    assert preview.counts[RowState.WAITING] == 1 and "Row 2 lacks a view" in " ".join(preview.notes)
    drain()
    assert batch and services.batches.progress(batch.id).failed == 0


def test_a_provider_that_needs_another_view_is_not_counted_on(
    bring: Bring, services: Services, photos: PhotoServer, write_rules: Callable[..., None]
) -> None:
    """It refuses a product without a photo of the front; the check names the row, and bills nothing."""
    connections = rules_json()["connections"]
    write_rules(
        connections={**connections, "provider": {"gen": {"adapter": "memory"}}},
        deliverables=[{**MODEL, "generator": ["gen"]}, DETAIL],
        products={"required": ["sku"]},
        naming=NAMING,
    )
    assert services.provider("gen").capabilities.views[0] == "front"
    _, preview = bring("A1,Chair,FRONT,DETAIL\nA2,Chair,,DETAIL,FRONT", dry_run=True)
    assert preview.billed_counts == {"gen": 1} and preview.not_made_counts == {"model": 1}
    assert "Row 3 gets no model: the rules leave no generator for it." in preview.notes
