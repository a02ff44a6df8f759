"""Rows and products of which the rules make nothing: named as such at the check, and never called good."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from dam_connector.cli import batches as commands
from dam_connector.cli import main
from dam_connector.cli import products as product_commands
from dam_connector.cli import service as service_commands
from dam_connector.domain.brought_model import BROUGHT_MODEL
from dam_connector.domain.what_is_made import expected_deliverables, why_nothing
from dam_connector.usecases import batch_exports, batches, intake
from dam_connector.wiring import Services
from schemas.rules_loader import load_rules
from tests.pipeline.helpers import Drain, versions
from tests.support import PhotoServer, picture, product, rules_json

SHEET = "sku,product_name,image_url,category,request_type\n"


def lamps_only(**more: object) -> dict[str, object]:
    return {**rules_json()["deliverables"][0], "categories": ["Lamps"], **more}


@pytest.fixture
def lamp_rules(write_rules: Callable) -> None:
    write_rules(deliverables=[lamps_only()])


@pytest.fixture
def sheet(photos: PhotoServer, lamp_rules: None) -> str:
    photos.files["a.jpg"] = picture()
    url = photos.url("a.jpg")
    rows = [f"L1,Lamp,{url},lamps,", f"L2,Lamp,{url},LAMPS ,", f"S1,Sofa,{url},sofas,", f"X1,No,{url},,"]
    return SHEET + "\n".join([*rows, f"L3,Model,{url},lamps,Model"]) + "\n"


@pytest.fixture
def run_import(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drain: Drain) -> Callable:
    monkeypatch.setattr(commands, "open_services", lambda folder: services)
    monkeypatch.setattr(commands.time, "sleep", lambda seconds: drain())

    def run(text: str, *options: str, name: str = "autumn") -> object:
        (tmp_path / "sheet.csv").write_text(text)
        return CliRunner().invoke(main, ["import", str(tmp_path / "sheet.csv"), "--name", name, *options])

    return run


@pytest.mark.issue("row.makes_nothing")
def test_the_command_counts_them_apart_with_their_reason(run_import: Callable, sheet: str) -> None:
    shown = run_import(sheet, "--dry-run")
    assert shown.exit_code == 1
    assert "5 rows: 2 good, 0 bad, 3 that make nothing, 0 unchanged" in shown.output
    assert "packshot: 2 to make" in shown.output
    assert "row 4 S1: makes nothing: no rule for category sofas; the rules are for Lamps" in shown.output
    assert "row 5 X1: makes nothing: no rule for products without a category" in shown.output
    assert "row 6 L3: makes nothing: it asks for model, and no rule makes that" in shown.output
    facts = json.loads(run_import(sheet, "--dry-run", "--json").output.splitlines()[-1])
    assert facts["rows"] == {"waiting": 2, "makes_nothing": 3, "failed": 0, "unchanged": 0}
    assert [row["sku"] for row in facts["makes_nothing"]] == ["S1", "X1", "L3"] and not facts["failed"]


def test_they_end_as_such_and_a_rule_that_comes_later_makes_them(
    run_import: Callable, sheet: str, services: Services, drain: Drain, write_rules: Callable
) -> None:
    ran = run_import(sheet, "--wait")
    assert ran.exit_code == 1, ran.output
    batch = services.batches.page(limit=1)[0]
    progress = services.batches.progress(batch.id)
    assert (progress.in_review, progress.makes_nothing, progress.failed, progress.total) == (2, 3, 0, 5)
    sofa = next(r for r in batch_exports.manifest(services, batch) if r["sku"] == "S1")
    assert sofa["status"] == "makes_nothing" and "no rule for category sofas" in sofa["error"]
    assert "Makes nothing" in "".join(batch_exports.status_csv(services, batch))
    assert "S1" not in batch_exports.failed_csv(services, batch)
    assert services.products.get("S1") is not None
    write_rules(deliverables=[lamps_only(categories=["Lamps", "Sofas"])])
    assert "are retried" in batches.control(services, batches.find(services, batch.id), "retry")
    drain()
    assert set(versions(services, "S1")) == {"packshot"}
    assert services.batches.progress(batch.id).makes_nothing == 2


def test_rules_that_are_applied_later_take_the_row_out(
    run_import: Callable, sheet: str, services: Services, drain: Drain, write_rules: Callable
) -> None:
    run_import(sheet, "--wait")
    batch = services.batches.page(limit=1)[0]
    write_rules(deliverables=[lamps_only(categories=["Lamps", "Sofas"])])
    record = services.products.get("S1")
    assert record is not None
    intake.edit_product(services, record, record.product, by="ada")
    drain()
    progress = services.batches.progress(batch.id)
    assert (progress.in_review, progress.makes_nothing) == (3, 2)


def test_a_single_product_says_so_too(services: Services, lamp_rules: None, photos: PhotoServer) -> None:
    photos.files["a.jpg"] = picture()
    images = {"front": photos.url("a.jpg")}
    result = intake.add_product(services, product("T1", category="lambs", images=images), by="ada")
    assert result.summary == 'T1: makes nothing: no rule for category lambs; did you mean "Lamps"?'
    again = intake.add_product(services, product("T2", category="lamps", images=images), by="ada")
    assert again.summary == "T2: 1 run planned" and not again.makes_nothing
    repeated = intake.add_product(services, product("T2", category="lamps", images=images), by="ada")
    assert repeated.summary == "T2: 0 runs planned" and not repeated.makes_nothing


def test_product_add_ends_with_1_when_nothing_is_made(
    services: Services,
    lamp_rules: None,
    photos: PhotoServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos.files["a.jpg"] = picture()
    monkeypatch.setattr(product_commands, "open_services", lambda folder: services)
    file, url = tmp_path / "p.json", photos.url("a.jpg")
    for sku, category, image, code in (
        ("L1", "lamps", url, 0),
        ("L1", "lamps", url, 0),  # unchanged
        ("S1", "sofas", url, 1),
        ("L2", "lamps", photos.url("none.jpg"), 1),
    ):
        record = {"sku": sku, "name": "n", "category": category, "images": {"front": image}}
        file.write_text(json.dumps(record))
        ran = CliRunner().invoke(main, ["product", "add", str(file)])
        assert ran.exit_code == code, ran.output
        assert services.products.get(sku) is not None


def test_the_command_run_says_so_too(
    services: Services, lamp_rules: None, photos: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos.files["a.jpg"] = picture()
    images = {"front": photos.url("a.jpg")}
    intake.add_product(services, product("T1", category="sofas", images=images), by="ada")
    monkeypatch.setattr(service_commands, "open_services", lambda folder: services)
    ran = CliRunner().invoke(main, ["run", "T1"])
    assert ran.exit_code == 1 and "T1 makes nothing: no rule for category sofas" in ran.output


def test_a_swatch_makes_a_recolouring_where_a_shape_is_shared() -> None:
    model = {"name": "model", "kind": "model", "formats": ["glb"], "colours": {}}
    rules = load_rules(json.dumps(rules_json(deliverables=[model], naming={})))
    blue = product("B1", parent="CHAIR", swatch="#2846a0", images={})
    assert [d.name for d in expected_deliverables(blue, [], rules)] == ["model"]
    assert "the product has swatch" in why_nothing(blue, [], rules)
    assert not expected_deliverables(product("B1", swatch="#2846a0", images={}), [], rules)


def test_a_row_without_what_the_rules_start_from_makes_nothing() -> None:
    model = {"name": "model", "kind": "model", "formats": ["glb"], "categories": ["lamps"]}
    turned = {"name": "turned", "kind": "rendition", "made_from": "model"}
    rules = load_rules(json.dumps(rules_json(deliverables=[turned, model], naming={})))
    lamp, sofa = product("L1", category="lamps"), product("S1", category="sofas")
    assert [d.name for d in expected_deliverables(lamp, ["front"], rules)] == ["turned", "model"]
    assert not expected_deliverables(sofa, ["front"], rules)
    assert "need the model model; the product has front" in why_nothing(sofa, ["front"], rules)
    assert [d.name for d in expected_deliverables(sofa, ["front"], rules, ["model"])] == ["turned"]
    pictures = load_rules(json.dumps(rules_json(deliverables=[lamps_only()])))
    assert not expected_deliverables(lamp, [BROUGHT_MODEL], pictures)
    assert "need a photo; the product has model" in why_nothing(lamp, [BROUGHT_MODEL], pictures)
