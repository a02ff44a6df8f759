"""The command `import`: exit codes, columns by hand, and catalog systems' sheets under the shipped rules."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from dam_connector.cli import batches as commands
from dam_connector.cli import main
from dam_connector.store.batches import RowState
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, versions
from tests.support import ROOT, PhotoServer, picture

Import = Callable[..., Result]


@pytest.fixture
def run_import(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drain: Drain) -> Import:
    """Run the command on a sheet; while it waits, the queued work is done."""
    monkeypatch.setattr(commands, "open_services", lambda folder: services)
    monkeypatch.setattr(commands.time, "sleep", lambda seconds: drain())

    def run(sheet: str, *options: str, name: str = "autumn") -> Result:
        file = tmp_path / "sheet.csv"
        file.write_text(sheet)
        return CliRunner().invoke(main, ["import", str(file), "--name", name, *options])

    return run


def test_exit_codes_are_those_of_the_rows(run_import: Import, photos: PhotoServer) -> None:
    photos.files["a.jpg"] = picture()
    good = f"sku,name,image_url\nA1,Chair,{photos.url('a.jpg')}\n"
    bad = good + "A2,Table,none.jpg\n"
    assert run_import(good, "--dry-run").exit_code == 0
    checked = run_import(bad, "--dry-run", "--json")
    facts = json.loads(checked.output.splitlines()[-1])
    assert checked.exit_code == 1 and facts["rows"] == {
        "waiting": 1,
        "makes_nothing": 0,
        "failed": 1,
        "unchanged": 0,
    }
    assert facts["failed"][0]["row"] == 3 and facts["failed"][0]["codes"] == ["row.picture"]
    assert run_import(bad).exit_code == 1
    assert run_import("nothing,known\n1,2\n", "--dry-run").exit_code == 2


def test_wait_shows_progress_to_the_end(run_import: Import, services: Services, photos: PhotoServer) -> None:
    photos.files["a.jpg"] = picture()
    sheet = f"sku,name,image_url\nA1,Chair,{photos.url('a.jpg')}\n"
    ran = run_import(sheet, "--wait", name="[/autumn] 2026")
    assert ran.exit_code == 0, ran.output
    assert set(versions(services, "A1")) == {"packshot", "cutout"}


def test_wait_without_a_worker_says_so_and_ends(
    run_import: Import, photos: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos.files["a.jpg"] = picture()
    waited: list[float] = []
    monkeypatch.setattr(commands, "time", SimpleNamespace(sleep=waited.append))  # nobody works
    ran = run_import(f"sku,name,image_url\nA1,Chair,{photos.url('a.jpg')}\n", "--wait")
    assert ran.exit_code == 2 and "No worker answers" in ran.output and "dam-connector up" in ran.output
    assert "no worker answered for a minute" in ran.output and 50 < len(waited) < 70, ran.output


def test_columns_by_hand_are_found_whatever_their_case(run_import: Import) -> None:
    sheet = "Nummer,Was es ist,Foto\nA1,Chair,https://x.example/a.jpg\n"
    mapped = (
        "--map",
        "SKU=nummer",
        "--map",
        "name=was  es ist",
        "--map",
        "image_url=Foto",
        "--dry-run",
        "--json",
    )
    columns = json.loads(run_import(sheet, *mapped).output.splitlines()[-1])["columns"]
    assert columns == {"sku": "Nummer", "product_name": "Was es ist", "image_url": "Foto"}


@pytest.mark.issue("sheet.header")
@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("sku=Numer", 'no such column: Numer. Did you mean "Nummer"?'),
        ("suk=Nummer", 'no such column: suk. Did you mean "sku"?'),
        ("Nummer", "--map Nummer: write our column, =, and the sheet's column"),
    ],
)
def test_a_wrong_map_is_refused_with_a_near_name(run_import: Import, pair: str, words: str) -> None:
    ran = run_import("Nummer,Foto\nA1,a.jpg\n", "--map", pair, "--dry-run")
    assert ran.exit_code == 2 and words in ran.output


@pytest.mark.parametrize(
    ("sheet", "sku"),
    [
        ("Product Name,Product Image URL\nModern Chair,{url}\n", "MODERN-CHAIR"),
        ("sku,title,image_url,brand,style_tags\nSKU-1,Vase,{url},Tarn,calm\n", "SKU-1"),
        ("Product name,SKU,Image file name,Generation status\nVase,V1,{url},\n", "V1"),
    ],
)
def test_sheets_of_catalog_systems_are_made_by_the_shipped_rules(
    run_import: Import, services: Services, photos: PhotoServer, sheet: str, sku: str
) -> None:
    photos.files["a.jpg"] = picture()
    services.settings.plugin_json.write_text((ROOT / "plugin.json").read_text())
    ran = run_import(sheet.format(url=photos.url("a.jpg")))
    assert ran.exit_code == 0, ran.output
    batch = services.batches.page(limit=1)[0]
    assert [(row.sku, row.state) for row in services.batches.rows(batch.id, limit=9)] == [
        (sku, RowState.WAITING)
    ]
    if sku == "MODERN-CHAIR":
        assert "row 2: the SKU is MODERN-CHAIR" in ran.output


def test_a_dry_run_says_that_the_name_is_taken(run_import: Import, photos: PhotoServer) -> None:
    photos.files["a.jpg"] = picture()
    first, more = (f"sku,name,image_url\n{sku},Chair,{photos.url('a.jpg')}\n" for sku in ("A1", "A2"))
    assert run_import(first, "--dry-run").exit_code == 0 and run_import(first).exit_code == 0
    said = "there is a batch “autumn” already: choose another name"
    checked = run_import(more, "--dry-run")
    assert checked.exit_code == 1 and "1 rows: 1 good" in checked.output and said in checked.output
    facts = json.loads(run_import(more, "--dry-run", "--json").output.splitlines()[-1])
    assert facts["name_problem"] == said and facts["rows"]["waiting"] == 1
    begun = run_import(more)
    assert begun.exit_code == 2 and said in begun.output
    free = json.loads(run_import(more, "--dry-run", "--json", name="winter").output.splitlines()[-1])
    assert free["name_problem"] == "" and run_import(more, "--dry-run", name="winter").exit_code == 0
    assert "visible characters" in run_import(more, "--dry-run", name="\u200b").output


def test_a_folder_that_changed_since_the_dry_run_is_noticed(
    run_import: Import, services: Services, tmp_path: Path
) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "a.jpg").write_bytes(picture())
    sheet, folder = "sku,name,image_url\nA1,Chair,a.jpg\n", ("--pictures", str(beside))
    facts = json.loads(run_import(sheet, "--dry-run", "--json", *folder).output.splitlines()[-1])
    assert f"--check {facts['check']}" in run_import(sheet, "--dry-run", *folder).output
    (beside / "a.jpg").write_bytes(picture(ground=200))
    begun = run_import(sheet, "--check", facts["check"], *folder)
    assert begun.exit_code == 2 and "Row 2 has other pictures now than in the check" in begun.output
    assert services.batches.page() == []
    (beside / "a.jpg").write_bytes(picture())
    assert run_import(sheet, "--check", facts["check"], *folder).exit_code == 0


def test_what_cannot_be_begun_has_a_code_of_its_own_and_json(
    run_import: Import, services: Services, photos: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos.files["a.jpg"] = picture()
    sheet = f"sku,name,image_url\nA1,Chair,{photos.url('a.jpg')}\n"
    refused = run_import(sheet, "--check", "another", "--json")
    found = json.loads(refused.stdout)["error"]
    assert refused.exit_code == 2 and found["code"] == "conflict" and found["message"]
    monkeypatch.setattr("dam_connector.cli.common.disappeared_rules", lambda settings: "no plugin.json")
    gone = run_import(sheet, "--json")
    found = json.loads(gone.stdout)["error"]
    assert gone.exit_code == 2 and found["code"] == "config" and found["message"].startswith("no plugin.json")
    plain = run_import(sheet)
    assert plain.exit_code == 2 and "error: no plugin.json" in plain.stderr and not plain.stdout


def test_an_export_creates_the_folder_and_says_what_cannot_be_written(
    run_import: Import, services: Services, photos: PhotoServer, tmp_path: Path
) -> None:
    photos.files["a.jpg"] = picture()
    assert run_import(f"sku,name,image_url\nA1,Chair,{photos.url('a.jpg')}\n").exit_code == 0

    def export(format: str, out: Path) -> Result:
        return CliRunner().invoke(
            main, ["export", "--batch", "autumn", "--format", format, "--out", str(out)]
        )

    for format in ("csv", "jsonl", "zip", "folder"):
        out = tmp_path / f"new-{format}" / "deep" / "a"
        ran = export(format, out)
        assert ran.exit_code == 0 and out.exists(), ran.output
        (tmp_path / "file").write_text("")
        lost = export(format, tmp_path / "file" / "a")
        assert lost.exit_code == 1 and "cannot be written" in lost.stderr and "Traceback" not in lost.output
    sheet = tmp_path / "none" / "template.csv"
    assert CliRunner().invoke(main, ["template", "--out", str(sheet)]).exit_code == 0 and sheet.exists()


def test_a_batch_that_is_not_there_or_refuses_says_what_to_do(
    run_import: Import, services: Services, photos: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos.files["a.jpg"] = picture()
    run_import(f"sku,name,image_url\nA1,Chair,{photos.url('a.jpg')}\n", "--wait")
    lost = CliRunner().invoke(main, ["batch", "do", "nope", "pause"])
    assert lost.stderr.startswith("error: there is no batch 'nope'; dam-connector batch list")
    done = CliRunner().invoke(main, ["batch", "do", "autumn", "pause"])
    assert done.exit_code == 1 and "it cannot pause; all its rows were taken" in done.stderr
