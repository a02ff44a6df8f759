"""What a batch made, taken away: manifest, status, files; and what people do with many versions at once."""

import csv
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import sqlalchemy as sa
from click import Command
from click.testing import CliRunner

from dam_connector.cli import batches as batch_commands
from dam_connector.cli.batches import run_import
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.issue_codes import CODES
from dam_connector.domain.product import SourceImage, View
from dam_connector.domain.roles import UserRole
from dam_connector.domain.version import Role, VersionState
from dam_connector.errors import ConfigError, StateConflict
from dam_connector.store.batch_records import Batch
from dam_connector.store.gallery import GalleryFilter, ManifestVersion, VersionCard
from dam_connector.store.tables import runs
from dam_connector.usecases import batch_exports, batches, bulk_review, failed_rows, intake, review
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, versions
from tests.support import PhotoServer, picture, product, rules_json


@pytest.fixture
def batch(
    services: Services, photos: PhotoServer, drain: Drain, tmp_path: Path, write_rules: Callable
) -> Batch:
    """Three rows: one is made, one has no picture, one has a picture that cannot be used."""
    write_rules(deliverables=[rules_json()["deliverables"][0]])
    photos.files |= {"a.jpg": picture(), "blank.jpg": picture(lambda rgb: None)}
    rows = [
        f"A1,Oak Chair,{photos.url('a.jpg')},seating,new",
        "A2,Lost,,seating,new",
        f"A3,Blank,{photos.url('blank.jpg')},seating,new",
    ]
    sheet = tmp_path / "autumn.csv"
    sheet.write_text("sku,title,image_url,category,Status\n" + "\n".join(rows) + "\n")
    batch, _ = batch_commands.run_import(
        services, sheet, name="autumn", owner="ada", columns={}, pictures=None, dry_run=False
    )
    assert batch is not None
    drain()
    return batch


def test_the_manifest_lists_every_row(batch: Batch, services: Services) -> None:
    made, lost, blank = batch_exports.manifest(services, batch)
    assert (made["sku"], made["status"], made["image_count"], made["row"]) == (
        "A1",
        "completed",
        len(made["image_urls"]),
        2,
    )
    version = versions(services, "A1")["packshot"]
    assert (
        made["request_id"] == version.run_id
        and made["model_actual"].startswith("local")
        and made["cost_usd"] == 0
    )
    record = made["versions"][0]
    assert (record["id"], record["version"], record["state"]) == (version.id, 1, "in_review")
    assert {f["name"]: f["sha256"] for f in record["files"]} == {
        f.name: f.sha256 for f in version.channel_files
    }
    assert all(url.startswith("http") for url in made["image_urls"])
    assert (
        lost["status"] == blank["status"] == "failed"
        and "A photo is missing" in lost["error"]
        and "cutout.empty" in blank["error"]
    )
    lines = list(batch_exports.json_lines(batch_exports.manifest(services, batch)))
    assert [json.loads(line)["sku"] for line in lines] == ["A1", "A2", "A3"] and all(
        line.count("\n") == 1 for line in lines
    )


def test_a_picture_counts_once_whatever_formats_and_versions_there_are(
    batch: Batch, services: Services, drain: Drain
) -> None:
    version = versions(services, "A1")["packshot"]
    services.decisions.record(version, Decision(verdict=Verdict.APPROVED, by="ann"), "page")
    review.regenerate(services, version, note="", by="ann")
    drain()
    made = next(batch_exports.manifest(services, batch))
    assert [v["version"] for v in made["versions"]] == [2, 1] and len(
        {f.format for f in version.channel_files}
    ) > 1
    assert made["image_count"] == 1 and "_V2_" in made["image_urls"][0]


def test_the_sheet_comes_back_with_each_rows_status(batch: Batch, services: Services) -> None:
    def statuses() -> dict[str, tuple[str, str]]:
        rows = csv.DictReader(io.StringIO("".join(batch_exports.status_csv(services, batch))))
        return {row["sku"]: (row["Status"], row["title"]) for row in rows}

    assert statuses() == {
        "A1": ("In review", "Oak Chair"),
        "A2": ("Failed", "Lost"),
        "A3": ("Failed", "Blank"),
    }
    version = versions(services, "A1")["packshot"]
    services.decisions.record(version, Decision(verdict=Verdict.APPROVED, by="ann"), "page")
    assert statuses()["A1"][0] == "Generated"
    services.assets.transition(version.id, VersionState.PUBLISHED)
    assert statuses()["A1"][0] == "Published"


def test_failed_rows_hold_those_that_could_not_be_made(batch: Batch, services: Services) -> None:
    rows = list(csv.DictReader(io.StringIO(batch_exports.failed_csv(services, batch))))
    assert [row["sku"] for row in rows] == ["A2", "A3"] and all(row["error"] for row in rows)
    assert rows[1]["error"].startswith("image_url: No product was found")
    assert rows[1]["error"].endswith("Supply a photo of the product on a plain background")


def test_a_failed_row_whose_versions_are_blocked_says_what_helps(
    services: Services, photos: PhotoServer, drain: Drain, tmp_path: Path, write_rules: Callable
) -> None:
    write_rules(deliverables=[rules_json()["deliverables"][0]], imaging={"min_probability": 1.0})
    photos.files["a.jpg"] = picture()
    sheet = tmp_path / "s.csv"
    sheet.write_text(f"sku,title,image_url,category\nB1,Chair,{photos.url('a.jpg')},seating\n")
    batch, _ = batch_commands.run_import(
        services, sheet, name="blocked", owner="ada", columns={}, pictures=None, dry_run=False
    )
    assert batch
    drain()
    (row,) = csv.DictReader(io.StringIO(batch_exports.failed_csv(services, batch)))
    assert row["error"].startswith("No usable version: blocked: The product could not be separated")
    assert "Or supply a photo on a plain, contrasting background" in row["error"]


def test_files_go_into_their_folders(batch: Batch, services: Services, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        summary = batch_commands.export(services, batch, "folder", out, follow=False)
    version = versions(services, "A1")["packshot"]
    wanted = {f"seating/A1/{f.name}" for f in version.channel_files if f.role is not Role.PREVIEW}
    assert len(wanted) == len(version.channel_files) - 1  # the page's own preview is no asset
    assert summary["files"] == len(wanted)
    assert {str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()} == wanted | {"manifest.jsonl"}
    batch_commands.export(services, batch, "zip", tmp_path / "out.zip", follow=False)
    with zipfile.ZipFile(tmp_path / "out.zip") as package:
        assert package.testzip() is None and set(package.namelist()) == wanted | {"manifest.jsonl"}
        main = version.ordered_files[0]
        assert package.read(f"seating/A1/{main.name}") == services.blobs.get(main.sha256)
    with pytest.raises(ConfigError, match="--out"):
        batch_commands.export(services, batch, "zip", None, follow=False)


def test_lines_go_to_standard_output_and_the_summary_ends_them(
    batch: Batch, services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = batch_commands.export(services, batch, "jsonl", None, follow=True)
    assert (
        summary == {"completed": 1, "failed": 2, "makes_nothing": 0, "output": "-"}
        and len(capsys.readouterr().out.splitlines()) == 3
    )


def test_many_are_decided_undone_commented_on_and_made_again(
    batch: Batch, services: Services, drain: Drain
) -> None:
    ids = [card.id for card in services.gallery.page(GalleryFilter(batch=batch.id))]
    assert len(ids) == 1
    yes = Decision(verdict=Verdict.APPROVED, by="ann")
    outcome = bulk_review.decide_all(services, [*ids, "ver_none", *ids], yes, delay_s=60, roles=set(UserRole))
    assert (outcome.done, outcome.refused) == (ids, 1)
    assert bulk_review.decide_all(services, ids, yes, delay_s=60, roles=set(UserRole)).refused == 1
    assert (  # the repeat of a request whose answer was lost decided nothing, and can be undone
        bulk_review.undo_all(services, by="ann").done == ids
        and bulk_review.undo_all(services, by="ann").done == []
    )
    assert services.assets.get(ids[0]).state is VersionState.IN_REVIEW
    bulk_review.comment_all(services, ids, text="paler, please", by="ann")
    assert [
        (h.by, h.detail) for h in services.history.entries(version_id=ids[0]) if h.event == "comment"
    ] == [("ann", "paler, please")]
    assert bulk_review.regenerate_all(services, ids, note="paler", by="ann").done == ids
    assert bulk_review.regenerate_all(services, ids, note="paler", by="ann").refused == 1
    drain()
    assert versions(services, "A1")["packshot"].number == 2


@pytest.mark.issue("rendition.upscaled")
def test_an_enlarged_picture_is_the_next_version_and_says_so(
    batch: Batch, services: Services, drain: Drain
) -> None:
    first = versions(services, "A1")["packshot"]
    assert review.upscale(services, first, by="ann") and review.upscale(services, first, by="ann") is None
    drain()
    second = versions(services, "A1")["packshot"]
    assert (
        second.number == 2
        and second.state is VersionState.IN_REVIEW
        and services.assets.get(first.id).state is VersionState.SUPERSEDED
    )
    assert (
        second.report.facts["width_px"] == 2 * first.report.facts["width_px"]
        and second.provenance["upscaled"] == "2 times from V1"
    )
    assert "rendition.upscaled" in {i.code for i in second.report.issues} and "rendition.size" not in {
        i.code for i in second.report.issues
    }
    assert {f.format for f in second.channel_files} == {f.format for f in first.channel_files}
    bulk_review.regenerate_all(services, [second.id], note="", by="ann")
    drain()
    third = versions(services, "A1")["packshot"]
    assert (
        third.number == 3
        and third.report.facts["width_px"] == first.report.facts["width_px"]
        and "upscaled" not in third.provenance
    )


def test_models_are_not_enlarged(services: Services, batch: Batch) -> None:
    from dataclasses import replace

    version = versions(services, "A1")["packshot"]
    with pytest.raises(StateConflict, match="still pictures"):
        review.upscale(services, replace(version, asset=replace(version.asset, kind="model")), by="ann")


def test_a_picture_in_the_dam_is_a_source(
    batch: Batch, services: Services, drain: Drain, tmp_path: Path
) -> None:
    name = (
        versions(services, "A1")["packshot"].file("png").name
        if versions(services, "A1")["packshot"].file("png")
        else ""
    )
    name = name or versions(services, "A1")["packshot"].channel_files[0].name
    sheet = tmp_path / "dam.csv"
    sheet.write_text(
        f"sku,title,image_url,category\nD1,Chair,dam:{name},seating\n"
        f"D2,Chair,dam:library/{name},seating\nD3,Chair,dam:none.jpg,seating\n"
    )
    second, preview = batch_commands.run_import(
        services, sheet, name="from the DAM", owner="ada", columns={}, pictures=None, dry_run=False
    )
    assert (
        second is not None
        and [preview.counts[s] for s in ("waiting", "failed")] == [2, 1]
        and "none.jpg" in preview.rows["failed"][0].error
    )
    drain()
    assert services.batches.progress(second.id).in_review == 2


def test_an_edit_makes_the_next_version_of_what_it_changes(
    services: Services, photos: PhotoServer, drain: Drain, batch: Batch
) -> None:
    record = services.products.get("A1")
    same = intake.edit_product(services, record, record.product, by="ann")
    assert same.planned == 0
    changed = product("A1", name="Oak Armchair", category="seating", dimensions=None)
    changed = type(changed)(
        **{f: getattr(changed, f) for f in changed.__dataclass_fields__}
        | {"images": (SourceImage(view=View.FRONT, url=photos.url("a.jpg")),)}
    )
    assert intake.edit_product(services, record, changed, by="ann").planned == 1
    drain()
    assert (
        versions(services, "A1")["packshot"].number == 2
        and "Armchair" in versions(services, "A1")["packshot"].channel_files[-1].name
    )
    assert [h.detail for h in services.history.entries(sku="A1") if h.event == "edited"] == [
        "name",
        "nothing",
    ]
    assert batches.find(services, "autumn").id == batch.id


def test_the_cause_of_a_blocked_row_is_told_in_words_without_mere_warnings() -> None:
    codes = ("rendition.enlarged", "cutout.uncertain", "uv.overlap")
    made = [ManifestVersion(card=cast(VersionCard, None), run_id="r", provenance={}, codes=codes)]
    meaning = CODES["cutout.uncertain"].meaning.rstrip(".")
    assert failed_rows.blocked_reason(made) == f"blocked: {meaning} (cutout.uncertain)"
    assert failed_rows.blocked_reason(made, with_codes=False) == f"blocked: {meaning}"
    assert failed_rows.blocked_reason([]) == "nothing could be made"
    only = [replace(made[0], codes=("rendition.enlarged",))]  # an error by plugin.json
    assert "rendition.enlarged" in failed_rows.blocked_reason(only)


def test_the_list_of_batches_calls_one_running_until_its_last_row_is_made(
    batch: Batch, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_commands, "open_services", lambda folder: services)

    def listed() -> list[str]:
        ran = CliRunner().invoke(batch_commands.batch_list, [])
        assert ran.exit_code == 0, ran.output
        return ran.output.strip().split("\t")

    assert listed()[:2] == ["autumn", "done"]
    with services.db.write() as c:  # its product is made again
        c.execute(sa.update(runs).where(runs.c.sku == "A1").values(state="queued"))
    name, state, counts = listed()
    assert (name, state) == ("autumn", "running") and "1 generating" in counts


@pytest.mark.parametrize(
    ("command", "file_format", "name"),
    [
        (batch_commands.template_command, "csv", "sheet.xlsx"),
        (batch_commands.template_command, "xlsx", "sheet.CSV"),
        (batch_commands.export_command, "jsonl", "all.zip"),
        (batch_commands.export_command, "zip", "all.csv"),
    ],
)
def test_an_ending_of_another_format_is_refused(
    command: Command, file_format: str, name: str, tmp_path: Path
) -> None:
    options = ["--format", file_format, "--out", str(tmp_path / name)]
    options += ["--batch", "any"] if command is batch_commands.export_command else []
    ran = CliRunner().invoke(command, options)
    assert ran.exit_code == 2 and f"Add --format {Path(name).suffix[1:].lower()}." in ran.stderr
    assert not (tmp_path / name).exists()


def test_a_row_is_live_when_nothing_of_it_waits_for_a_decision(
    services: Services, photos: PhotoServer, drain: Drain, tmp_path: Path, write_rules: Callable
) -> None:
    first = rules_json()["deliverables"][0]
    write_rules(
        deliverables=[first, {**first, "name": "turned"}],
        naming={"default": "{sku}_{deliverable}_V{version}_{format:upper}"},
    )
    photos.files["a.jpg"] = picture()
    sheet = tmp_path / "s.csv"
    sheet.write_text(f"sku,title,image_url\nB1,Chair,{photos.url('a.jpg')}\n")
    found, _ = run_import(services, sheet, name="two", owner="ada", columns={}, pictures=None, dry_run=False)
    drain()
    assert found

    def shown() -> tuple[str, int, int, str, int]:
        record = next(batch_exports.manifest(services, found))
        row = next(csv.DictReader(io.StringIO("".join(batch_exports.status_csv(services, found)))))
        live = services.batches.progress(found.id).live
        assert record["review"] == row["status"]
        return record["review"], record["approved"], record["assets"], row["approved_assets"], live

    def publish(name: str) -> None:
        version = versions(services, "B1")[name]
        services.decisions.record(version, Decision(verdict=Verdict.APPROVED, by="ann"), "page")
        services.assets.transition(version.id, VersionState.PUBLISHED)

    publish("packshot")
    assert shown() == ("In review", 1, 2, "1 of 2", 0)
    publish("turned")
    assert shown() == ("Published", 2, 2, "2 of 2", 1)
