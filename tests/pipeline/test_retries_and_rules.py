"""A retry after plugin.json was edited: it makes what failed by the rules in force, and no other again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dam_connector.cli.batches import run_import
from dam_connector.store.batch_records import Batch, RowState
from dam_connector.store.tables import assets, runs, versions
from dam_connector.usecases import batches, failed_rows, retries
from dam_connector.usecases.rules_change import apply_rules, continue_change, plan_change
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, client_of
from tests.support import PhotoServer, picture, rules_json

ONE = {**rules_json()["deliverables"][0], "formats": ["jpeg"]}
TWO = {**ONE, "name": "turned"}
NAMING = {"default": "{sku}_{deliverable}_V{version}_{format:upper}"}
BROKEN = "make_renditions: ZeroDivisionError: 0"
Write = Callable[..., None]


@pytest.fixture
def batch(services: Services, photos: PhotoServer, drain: Drain, tmp_path: Path, write_rules: Write) -> Batch:
    """A1 and A2, each with a packshot and a turned one; the turned one of A1 failed by a bug."""
    write_rules(deliverables=[ONE, TWO], naming=NAMING)
    found = bring(services, tmp_path, photos, "A1", "A2")
    drain()
    fail(services, "A1", "turned")
    services.clock.forward(60)  # type: ignore[attr-defined]
    return found


def bring(
    services: Services, folder: Path, photos: PhotoServer, *skus: str, name: str = "b", colour: str = "red"
) -> Batch:
    photos.files["a.jpg"] = picture()
    sheet = folder / "s.csv"
    lines = [f"{sku},Chair,{colour},{photos.url('a.jpg')}" for sku in skus]
    sheet.write_text("\n".join(["sku,product_name,color,image_url", *lines, ""]))
    options: dict[str, Any] = {"name": name, "owner": "ada", "columns": {}, "pictures": None}
    found, _ = run_import(services, sheet, dry_run=False, **options)
    assert found
    return found


def fail(services: Services, sku: str, deliverable: str) -> None:
    """Take an asset's version away, and let its run end with an error that is no fault of the input."""
    of_asset = sa.select(assets.c.id).where(assets.c.sku == sku, assets.c.deliverable == deliverable)
    with services.db.write() as c:
        c.execute(sa.update(versions).where(versions.c.asset_id.in_(of_asset)).values(state="superseded"))
        which = (runs.c.sku == sku, runs.c.deliverable == deliverable)
        c.execute(sa.update(runs).where(*which).values(state="failed", error=BROKEN))


def block(services: Services, sku: str, deliverable: str) -> None:
    of_asset = sa.select(assets.c.id).where(assets.c.sku == sku, assets.c.deliverable == deliverable)
    with services.db.write() as c:
        c.execute(sa.update(versions).where(versions.c.asset_id.in_(of_asset)).values(state="blocked"))


def numbers(services: Services, sku: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for version in services.assets.of_product(sku):
        found.setdefault(version.asset.deliverable, []).append(version.number)
    return found


def of_command(services: Services, batch: Batch) -> None:
    batches.control(services, batches.find(services, batch.id), "retry")


def of_batch_page(services: Services, batch: Batch) -> None:
    client_of(services, "merchandiser").post(f"/batches/{batch.id}/retry")


def of_batch_api(services: Services, batch: Batch) -> None:
    client_of(services, "merchandiser").post(f"/api/v1/batches/{batch.id}/retry")


def of_product_page(services: Services, batch: Batch) -> None:
    record = services.products.get("A1")
    assert record
    client_of(services, "merchandiser").post(f"/products/{record.id}/run")


def of_product_api(services: Services, batch: Batch) -> None:
    client_of(services, "merchandiser").post("/api/v1/products/A1/runs")


@pytest.mark.parametrize("retry", [of_command, of_batch_page, of_batch_api, of_product_page, of_product_api])
def test_a_retry_makes_nothing_again_that_only_the_rules_have_changed(
    retry: Callable[[Services, Batch], None],
    services: Services,
    batch: Batch,
    drain: Drain,
    write_rules: Write,
) -> None:
    write_rules(deliverables=[{**ONE, "size_px": 400}, {**TWO, "size_px": 400}], naming=NAMING)
    retry(services, batch)
    drain()
    made = numbers(services, "A1")
    assert made["packshot"] == [1] and made["turned"] == [2, 1]
    newest = next(v for v in services.assets.of_product("A1") if v.asset.deliverable == "turned")
    run = services.runs.get(newest.run_id)
    assert run and run.rules_fingerprint == services.rules.current().fingerprint
    assert plan_change(services).anew == {"packshot": 2, "turned": 1}  # what is left for `rules apply`
    apply_rules(services, by="ann")
    while continue_change(services):
        drain()
    assert numbers(services, "A1")["packshot"] == [2, 1]


def test_a_retry_makes_what_the_rules_ask_for_in_addition(
    services: Services, batch: Batch, drain: Drain, write_rules: Write
) -> None:
    write_rules(deliverables=[ONE, TWO, {**ONE, "name": "square"}], naming=NAMING)
    of_product_page(services, batch)
    drain()
    made = numbers(services, "A1")
    assert set(made) == {"packshot", "turned", "square"} and made["packshot"] == made["square"] == [1]


def test_a_retry_follows_a_new_photo(
    services: Services, batch: Batch, drain: Drain, write_rules: Write, photos: PhotoServer
) -> None:
    write_rules(deliverables=[{**ONE, "size_px": 400}, TWO], naming=NAMING)
    photos.files["a.jpg"] = picture(ground=200)
    of_command(services, batch)
    drain()
    assert numbers(services, "A1") == {"packshot": [2, 1], "turned": [2, 1]}


def test_a_row_that_was_not_taken_in_makes_nothing_again_for_the_rules_either(
    services: Services, batch: Batch, drain: Drain, write_rules: Write, photos: PhotoServer, tmp_path: Path
) -> None:
    """The facts of its row change a date alone, so that nothing is made anew by the former rules."""
    sheet = tmp_path / "s.csv"
    lines = f"A2,Chair,red,{photos.url('a.jpg')},2030-01-01"
    sheet.write_text(f"sku,product_name,color,image_url,live_until\n{lines}\n")
    options: dict[str, Any] = {"name": "later", "owner": "ada", "columns": {}, "pictures": None}
    found, _ = run_import(services, sheet, dry_run=False, **options)
    assert found
    del photos.files["a.jpg"]
    drain()
    assert services.batches.progress(found.id).failed == 1
    photos.files["a.jpg"] = picture()
    write_rules(deliverables=[{**ONE, "size_px": 400}, TWO], naming=NAMING)
    of_command(services, found)
    drain()
    assert numbers(services, "A2") == {"packshot": [1], "turned": [1]}
    record = services.products.get("A2")
    assert record and record.product.live_until


def retryable(services: Services, batch: Batch) -> tuple[int, list[bool]]:
    rows = failed_rows.failed_rows(services, batch)
    return failed_rows.retryable_rows(services, batch).total, [row.can_retry for row in rows]


CHANGED = [
    {"imaging": {"net": "none", "min_probability": 0.2}},
    {"checks": {"severities": {"source.blurred": "off"}}},
    {"deliverables": [{**ONE, "size_px": 400}]},
]


@pytest.mark.parametrize("changed", CHANGED)
def test_rows_whose_versions_were_blocked_by_other_rules_can_be_tried_again(
    services: Services,
    photos: PhotoServer,
    drain: Drain,
    tmp_path: Path,
    write_rules: Write,
    changed: dict[str, Any],
) -> None:
    write_rules(deliverables=[ONE], naming=NAMING)
    batch = bring(services, tmp_path, photos, "A1", "A2")
    drain()
    block(services, "A1", "packshot")
    assert retryable(services, batch) == (0, [False])
    services.clock.forward(60)  # type: ignore[attr-defined]
    write_rules(**{"deliverables": [ONE], "naming": NAMING, **changed})
    assert retryable(services, batch) == (1, [True])
    page = " ".join(client_of(services, "merchandiser").get(f"/batches/{batch.id}").text.split())
    assert "Of 1, 1 can be tried again." in page and "Try 1 row again" in page
    record = services.products.get("A1")
    assert record and retries.count_missing(services, record) == 1
    past = failed_rows.past_outcomes(services, ["A1"])["A1"]
    assert past and past.can_retry
    assert batches.control(services, batches.find(services, batch.id), "retry") == "1 row is retried"
    drain()
    assert numbers(services, "A1") == {"packshot": [2, 1]} and numbers(services, "A2") == {"packshot": [1]}
    assert services.batches.progress(batch.id).in_review == 2


@pytest.mark.parametrize(
    "changed", [{"products": {"required": ["sku"]}}, {"deliverables": [{**ONE, "channels": []}]}]
)
def test_rules_that_change_nothing_of_a_blocked_version_do_not_help_it(
    services: Services,
    photos: PhotoServer,
    drain: Drain,
    tmp_path: Path,
    write_rules: Write,
    changed: dict[str, Any],
) -> None:
    write_rules(deliverables=[ONE], naming=NAMING)
    batch = bring(services, tmp_path, photos, "A1")
    drain()
    block(services, "A1", "packshot")
    services.clock.forward(60)  # type: ignore[attr-defined]
    write_rules(**{"deliverables": [ONE], "naming": NAMING, **changed})
    assert retryable(services, batch) == (0, [False])
    assert "no row can be retried" in batches.control(services, batches.find(services, batch.id), "retry")
    assert not services.batches.rows(batch.id, state=RowState.WAITING)
