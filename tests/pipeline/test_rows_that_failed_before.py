"""Rows that are uploaded again: made already, failed as before, or never tried."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from dam_connector.cli import batches as batch_commands
from dam_connector.cli import main
from dam_connector.store.batch_records import RowState
from dam_connector.store.tables import assets, runs, versions
from dam_connector.usecases import batches, retries
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, client_of
from tests.support import PhotoServer, picture, rules_json

BEFORE = "the same facts and photos as before, which failed: "
DAMAGED = "source.damaged: It is cut off."
BROKEN = "make_renditions: ZeroDivisionError: 0"


@pytest.fixture
def sheet(
    services: Services, photos: PhotoServer, drain: Drain, tmp_path: Path, write_rules: Callable
) -> Path:
    """A sheet of one row that was made."""
    write_rules(deliverables=[rules_json()["deliverables"][0]])
    photos.files |= {"a.jpg": picture(), "b.jpg": picture(size=(500, 400))}
    path = tmp_path / "s.csv"
    path.write_text(f"sku,product_name,image_url\nA1,Chair,{photos.url('a.jpg')}\n")
    batch, _ = bring(services, path, "first")
    assert batch is not None
    drain()
    return path


def bring(services: Services, path: Path, name: str = "again"):
    return batch_commands.run_import(
        services, path, name=name, owner="ada", columns={}, pictures=None, dry_run=False
    )


def spoil(services: Services, *, error: str = "", state: str = "", run_state: str = "failed") -> None:
    """Give A1's version a state, or take it away and let its run end with an error."""
    of_product = sa.select(assets.c.id).where(assets.c.sku == "A1")
    which = versions.c.asset_id.in_(of_product)
    with services.db.write() as c:
        c.execute(sa.update(versions).where(which).values(state=state or "superseded"))
        if not state:
            c.execute(sa.update(runs).where(runs.c.sku == "A1").values(state=run_state, error=error))


@pytest.mark.parametrize(
    ("spoiled", "reason", "codes"),
    [
        ({"state": "blocked"}, "blocked; correct them", ()),
        ({"error": DAMAGED}, "It is cut off; correct them", ("source.damaged",)),
        ({"error": DAMAGED, "run_state": "cancelled"}, "It is cut off; correct them", ("source.damaged",)),
        ({"error": BROKEN}, f"{BROKEN}; try it again on the page of the product", ()),
    ],
)
def test_one_of_which_nothing_usable_was_made_has_failed_as_before(
    services: Services,
    sheet: Path,
    drain: Drain,
    spoiled: dict,
    reason: str,
    codes: tuple,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoil(services, **spoiled)
    monkeypatch.setattr(batch_commands, "open_services", lambda folder: services)
    ran = CliRunner().invoke(main, ["import", str(sheet), "--name", "x", "--dry-run", "--json"])
    (row,) = json.loads(ran.output)["failed"]
    assert ran.exit_code == 1 and row["error"] == BEFORE + reason and tuple(row["codes"]) == codes
    ran = CliRunner().invoke(main, ["import", str(sheet), "--name", "x", "--dry-run"])
    assert ran.exit_code == 1 and "1 rows: 0 good, 1 bad" in ran.output and BEFORE + reason in ran.output
    client = client_of(services, "merchandiser")

    def file() -> tuple[io.BytesIO, str]:
        return io.BytesIO(sheet.read_bytes()), "s.csv"

    page = client.post("/batches/check", data={"file": file(), "name": "y"}, follow_redirects=True).text
    assert (
        "0 good" in page
        and "1 bad" in page
        and BEFORE + reason in page
        and "nothing is to be done" not in page
    )
    body = {"sheet": client.post("/api/v1/uploads", data={"file": file()}).json["sha256"]}
    checked = client.post("/api/v1/batches/check", json=body).json
    assert checked["counts"] == {"waiting": 0, "makes_nothing": 0, "failed": 1, "unchanged": 0}
    batch, _ = bring(services, sheet)
    assert batch is not None
    drain()
    (kept,) = services.batches.rows(batch.id)
    assert kept.state is RowState.FAILED and kept.error == BEFORE + reason
    assert "no row can be retried" in batches.control(services, batches.find(services, batch.id), "retry")


@pytest.mark.parametrize("state", ["in_review", "approved", "rejected", "published", "withdrawn"])
def test_one_with_a_version_that_is_not_blocked_is_made_already(
    services: Services, sheet: Path, state: str
) -> None:
    spoil(services, state=state)
    batch, preview = bring(services, sheet)
    assert batch is None and preview.counts[RowState.UNCHANGED] == 1


def test_one_that_is_being_made_is_made_already(services: Services, sheet: Path) -> None:
    spoil(services, run_state="queued")
    batch, preview = bring(services, sheet)
    assert batch is None and preview.counts[RowState.UNCHANGED] == 1


def test_a_corrected_one_is_made(services: Services, photos: PhotoServer, sheet: Path, drain: Drain) -> None:
    spoil(services, error=DAMAGED)
    sheet.write_text(sheet.read_text().replace("a.jpg", "b.jpg"))
    batch, preview = bring(services, sheet)
    assert batch is not None and preview.counts[RowState.WAITING] == 1
    drain()
    assert services.batches.progress(batch.id).in_review == 1


def test_one_of_which_nothing_was_tried_is_made(
    services: Services, photos: PhotoServer, sheet: Path, drain: Drain
) -> None:
    sheet.write_text(sheet.read_text().replace("A1", "A2"))
    batch, _ = bring(services, sheet, "second")
    batches.advance(services, batch.wake_token)
    with services.db.write() as c:
        c.execute(sa.delete(runs).where(runs.c.sku == "A2"))
    batch, preview = bring(services, sheet)
    assert batch is not None and preview.counts[RowState.WAITING] == 1
    drain()
    assert services.batches.progress(batch.id).in_review == 1


def test_one_that_lacks_a_view_has_failed_as_before_until_it_has_the_view(
    services: Services, photos: PhotoServer, sheet: Path, drain: Drain, write_rules: Callable
) -> None:
    """Its other asset is blocked; a row that lacks the view for all that is made of it is bad at once."""
    services.clock.forward(5)  # type: ignore[attr-defined]
    packshot = rules_json()["deliverables"][0]
    naming = {"default": "{sku}_{deliverable}_V{version}_{format:upper}"}
    write_rules(deliverables=[packshot, {**packshot, "name": "backshot", "views": ["back"]}], naming=naming)
    assert retries.rerun_product(services, "A1") > 0
    drain()
    spoil(services, state="blocked")
    for name in ("third", "fourth"):
        _, preview = bring(services, sheet, name)
        (row,) = preview.rows[RowState.FAILED]
        assert row.error == f"{BEFORE}backshot needs a photo of the back; correct them"
        drain()
    header, line = sheet.read_text().splitlines()
    sheet.write_text(f"{header},image_url_back\n{line},{photos.url('b.jpg')}\n")
    batch, preview = bring(services, sheet, "fifth")
    assert batch is not None and preview.counts[RowState.WAITING] == 1
    drain()
    assert services.batches.progress(batch.id).in_review == 1


def test_one_whose_photo_could_not_be_fetched_is_taken_in_once_it_is_there(
    services: Services, photos: PhotoServer, sheet: Path, drain: Drain
) -> None:
    sheet.write_text(sheet.read_text().replace("A1", "A2").replace("a.jpg", "later.jpg"))
    bring(services, sheet, "second")
    drain()
    photos.files["later.jpg"] = picture()
    batch, preview = bring(services, sheet)
    assert batch is not None and preview.counts[RowState.WAITING] == 1
    drain()
    assert services.batches.progress(batch.id).in_review == 1
