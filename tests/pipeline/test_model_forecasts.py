"""Rules that ask for a forecast: who makes the model, what is refused, and what a sheet shows beforehand."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dam_connector.cli import batches as batch_commands
from dam_connector.cli.preview_text import preview_facts, preview_lines
from dam_connector.domain.model_forecast import FORECASTS
from dam_connector.domain.product import View
from dam_connector.domain.rules_effect import effect_lines
from dam_connector.errors import Refused, StateConflict
from dam_connector.usecases import retries, review
from dam_connector.usecases.batch_preview import BatchPreview
from dam_connector.usecases.estimates import record_forecast
from dam_connector.usecases.rules_change import plan_change
from dam_connector.usecases.run_planning import plan_runs
from dam_connector.wiring import Services
from tests.pipeline.helpers import chair, client_of, send, versions
from tests.support import PhotoServer, picture
from tests.unit.shapes import ball
from worker.modeling.glb_export import write_glb
from worker.steps import make_model

CUBE = {"width": 30, "height": 30, "depth": 30, "unit": "cm"}


@pytest.fixture
def rules(services: Services, write_rules: Callable) -> Callable[..., None]:
    """Rules by which `local` makes a model only with a forecast of .5; the provider is called `gen`."""

    def write(*generator: str, least: float = 0.5, more: tuple[dict, ...] = ()) -> None:
        connections = json.loads(services.settings.plugin_json.read_text())["connections"]
        model = {"name": "model", "kind": "model", "formats": ["glb"], "texture_px": 512}
        model |= {"generator": list(generator), "when": {"local": {"min_forecast": least}}}
        write_rules(
            connections={**connections, "provider": {"gen": {"adapter": "memory", "polls": 1}}},
            deliverables=[model, *more],
        )
        services.provider("gen").results = (write_glb(ball(3.0), "remote"),)

    write("local", "gen")
    return write


@pytest.fixture
def nothing_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let our own code fail the test when it begins to make a model."""

    def refuse(*_: object) -> None:
        raise AssertionError("a model was made")

    monkeypatch.setattr(make_model, "_make_locally", refuse)


def send_chair(services: Services, photos: PhotoServer, rounds: Callable, **changes: object) -> None:
    send(services, chair(photos, dimensions=CUBE, **changes))
    rounds()


@pytest.mark.usefixtures("rules", "nothing_local")
def test_below_the_forecast_the_provider_makes_it_and_our_code_makes_nothing(
    services: Services, photos: PhotoServer, rounds: Callable
) -> None:
    send_chair(services, photos, rounds)
    assert versions(services)["model"].provenance["generator"] == "gen"


@pytest.mark.usefixtures("rules")
def test_from_the_forecast_on_our_code_makes_it(
    services: Services, photos: PhotoServer, rounds: Callable
) -> None:
    send_chair(services, photos, rounds, name="Vase")
    assert versions(services)["model"].provenance["generator"] == "local"


@pytest.mark.issue("model.forecast")
@pytest.mark.usefixtures("nothing_local")
def test_with_nobody_left_nothing_is_made_and_the_product_says_what_would_help(
    services: Services, photos: PhotoServer, rules: Callable, rounds: Callable
) -> None:
    rules("local")
    send_chair(services, photos, rounds)
    assert "model" not in versions(services)
    (run,) = services.runs.page(sku="CH123", state="failed")
    found = services.products.get("CH123")
    assert found is not None and not found.flagged  # its other assets are made
    (issue,) = [i for i in found.issues if i.code == "model.forecast"]
    assert run.error == f"model.forecast: {issue.message}" and issue.limit == "0.5"
    assert f"is {issue.measured}, and the rules ask for 0.5: one view of a seat: seldom good." in run.error
    assert "What would help: a provider, or a model made elsewhere." in run.error
    services.clock.forward(5)  # type: ignore[attr-defined]
    rules("local", "gen")
    plan_runs(services, found.product, found.sources)
    rounds()
    assert versions(services)["model"].provenance["generator"] == "gen"
    found = services.products.get("CH123")
    assert found is not None and not found.issues  # the model is there now


@pytest.fixture
def refused(services: Services, photos: PhotoServer, rules: Callable, rounds: Callable) -> Services:
    """A chair whose model was refused by its forecast, by rules that were relaxed afterwards."""
    rules("local")
    send_chair(services, photos, rounds)
    services.clock.forward(5)  # type: ignore[attr-defined]
    rules("local", least=0.001)
    return services


def test_a_retry_is_made_by_the_rules_in_force(refused: Services, rounds: Callable) -> None:
    (run,) = refused.runs.page(sku="CH123", state="failed")
    assert retries.can_retry_help(refused, run)
    queued = retries.retry_run(refused, run)
    assert queued is not None and queued.id != run.id
    assert queued.rules_fingerprint == refused.rules.current().fingerprint
    rounds()
    assert versions(refused)["model"].provenance["generator"] == "local"
    assert [r.state for r in refused.runs.page(sku="CH123", deliverable="model", limit=2)][1] == "cancelled"
    assert not refused.products.get("CH123").issues
    with pytest.raises(StateConflict, match="model of CH123 is made by the rules in force already"):
        retries.retry_run(refused, refused.runs.get(run.id))


def test_all_of_a_cause_are_retried_by_the_rules_in_force(refused: Services, rounds: Callable) -> None:
    (group,) = retries.failure_causes(refused)
    assert group.can_retry_help and retries.retry_cause(refused, group.cause) == 1
    rounds()
    assert "model" in versions(refused)


def test_a_dismissed_one_can_be_retried_once_the_rules_allow_it(refused: Services, rounds: Callable) -> None:
    (run,) = refused.runs.page(sku="CH123", state="failed")
    retries.dismiss_run(refused, run, by="ann")
    client = client_of(refused, "merchandiser")
    assert f"/runs/{run.id}/retry" in client.get("/runs?state=cancelled").text
    assert retries.count_missing(refused, refused.products.get("CH123")) == 1
    page = client.post(f"/runs/{run.id}/retry", data={"state": "cancelled"}, follow_redirects=True).text
    assert "The rules have changed since." in page
    rounds()
    assert "model" in versions(refused)


def test_the_api_reads_rules_that_changed_since_the_last_request(
    services: Services, photos: PhotoServer, rules: Callable, rounds: Callable
) -> None:
    rules("local")
    send_chair(services, photos, rounds)
    client = client_of(services, "merchandiser")
    (run,) = services.runs.page(sku="CH123", state="failed")
    assert f"/runs/{run.id}/retry" not in client.get("/runs?state=failed").text  # it would fail again
    refused = client.post(f"/api/v1/runs/{run.id}/retry")
    assert refused.status_code == 409 and "What would help: a provider" in refused.text
    assert services.runs.get(run.id).state == "failed"
    services.clock.forward(5)  # type: ignore[attr-defined]
    rules("local", least=0.001)
    answer = client.post(f"/api/v1/runs/{run.id}/retry").json
    assert (answer["id"] != run.id, answer["state"], answer["deliverable"]) == (True, "queued", "model")


@pytest.mark.usefixtures("nothing_local")
def test_rules_that_ask_for_it_no_longer_make_nothing_by_a_retry(
    refused: Services, write_rules: Callable
) -> None:
    (run,) = refused.runs.page(sku="CH123", state="failed")
    refused.clock.forward(5)  # type: ignore[attr-defined]
    write_rules()
    client = client_of(refused, "merchandiser")
    answer = client.post(f"/api/v1/runs/{run.id}/retry")
    assert answer.status_code == 409 and "no model is made of CH123" in answer.text
    page = client.post(f"/runs/{run.id}/retry", follow_redirects=True).text
    assert "Nothing is tried again: by the rules in force, no model is made of CH123" in page
    assert retries.retry_cause(refused, run.error) == 0 and refused.runs.get(run.id).state == "failed"


@pytest.mark.usefixtures("nothing_local")
def test_after_a_providers_refusal_the_run_names_both_reasons(
    services: Services, photos: PhotoServer, rules: Callable, rounds: Callable
) -> None:
    rules("gen", "local")
    services.provider("gen").fail_with = Refused("gen", "submit", "moderated")
    send_chair(services, photos, rounds)
    (run,) = services.runs.page(sku="CH123", state="failed")
    assert "model" not in versions(services)
    assert "moderated" in run.error and "the rules ask for 0.5: one view of a seat: seldom good" in run.error


def test_a_person_who_chooses_our_code_gets_its_model(
    services: Services, photos: PhotoServer, rules: Callable, rounds: Callable
) -> None:
    rules("local", "gen", least=1.0)
    send_chair(services, photos, rounds)
    first = versions(services)["model"]
    assert first.provenance["generator"] == "gen"
    review.regenerate(services, first, note="", by="ann", generator="local")
    rounds()
    assert versions(services)["model"].provenance["generator"] == "local"


@pytest.mark.usefixtures("nothing_local")
def test_a_model_from_elsewhere_has_no_forecast(
    services: Services, photos: PhotoServer, rules: Callable, rounds: Callable
) -> None:
    rules("local", least=1.0)
    photos.files["ball.glb"] = write_glb(ball(3.0), "elsewhere")
    send_chair(services, photos, rounds, model_url=photos.url("ball.glb"))
    assert versions(services)["model"].provenance["generator"] == "brought"
    record = services.products.get("CH123")
    assert record is not None and record_forecast(services, record) is None


@pytest.fixture
def preview(services: Services, photos: PhotoServer, tmp_path: Path) -> Callable[[], BatchPreview]:
    """The check of a sheet: a vase from three sides, a folding chair, and a stool that brings its model."""
    photos.files["a.jpg"] = picture()
    photos.files["a.glb"] = write_glb(ball(3.0), "elsewhere")
    url, size = photos.url("a.jpg"), "30,30,30,cm"
    sheet = tmp_path / "s.csv"
    sheet.write_text(
        "sku,product_name,category,width,height,depth,unit,"
        "image_url,image_url_right,image_url_top,model_url\n"
        f"V1,Vase,decor,{size},{url},{url},{url},\n"
        f"C1,Folding chair,decor,{size},{url},,,\n"
        f"C2,Bar stool,decor,{size},{url},,,{photos.url('a.glb')}\n"
    )

    def check() -> BatchPreview:
        found = batch_commands.run_import(
            services, sheet, name="x", owner="ada", columns={}, pictures=None, dry_run=True
        )
        return found[1]

    return check


def test_a_sheet_shows_forecasts_and_counts_who_makes_the_models(
    rules: Callable, preview: Callable[[], BatchPreview]
) -> None:
    rules("local", "gen")
    found = preview()
    assert found.version_counts == {"model": 3} and found.billed_counts == {"gen": 1}
    assert found.not_made_counts == {} and [found.forecast_counts[v] for v in FORECASTS] == [1, 0, 1]
    lines, facts = "\n".join(preview_lines(found)), preview_facts(found)
    assert "forecast of our own models: 1 mostly good, 1 seldom good" in lines
    assert "row 3 C1: 0.0" in lines and "one view of a seat: seldom good; " in lines and " V1: 0" not in lines
    assert [(row["sku"], row["verdict"]) for row in facts["forecast_rows"]] == [
        ("V1", "mostly good"),
        ("C1", "seldom good"),
    ]
    assert facts["forecasts"] == found.forecast_counts and "provider" in facts["forecast_rows"][1]["remedy"]
    json.dumps(facts)


def test_a_sheet_counts_what_nobody_makes_and_what_would_be_rendered_from_it(
    rules: Callable, preview: Callable[[], BatchPreview]
) -> None:
    rendered = {
        "name": "turn",
        "kind": "rendition",
        "made_from": "model",
        "size_px": 320,
        "formats": ["jpeg"],
    }
    rules("local", more=(rendered,))
    found = preview()
    assert found.version_counts == {"model": 2, "turn": 2}
    assert found.not_made_counts == {"model": 1, "turn": 1}
    assert (
        "  model: 1 not made, since the rules leave no generator" in preview_lines(found)
        and preview_facts(found)["not_made"]["turn"] == 1
    )


@pytest.mark.parametrize("least", [0.001, 0.3, 0.6])
def test_another_forecast_makes_nothing_again_that_it_does_not_change(
    services: Services, photos: PhotoServer, rules: Callable, rounds: Callable, least: float
) -> None:
    send_chair(services, photos, rounds, name="Vase")
    services.clock.forward(5)  # type: ignore[attr-defined]
    rules("local", "gen", least=least)
    assert plan_change(services).is_nothing
    record = services.products.get("CH123")
    assert record and plan_runs(services, record.product, record.sources) == 0


def test_what_a_lower_forecast_lets_through_is_made_for_the_first_time(refused: Services) -> None:
    effect = plan_change(refused)
    assert effect.new == {"model": 1} and not effect.anew and not effect.not_made


def test_the_plan_of_changed_rules_counts_what_is_no_longer_made(
    services: Services, photos: PhotoServer, rules: Callable, rounds: Callable
) -> None:
    send_chair(services, photos, rounds)
    services.clock.forward(5)  # type: ignore[attr-defined]
    rules("local", least=0.6)
    effect = plan_change(services)
    assert effect.not_made == {"model": 1} and not effect.anew and not effect.is_nothing
    assert "1 versions not made, since the rules leave no generator: model 1" in list(effect_lines(effect))
    assert effect.as_json()["not_made"] == {"model": 1}


@pytest.mark.usefixtures("rules")
def test_a_stored_product_has_its_forecast_where_our_code_may_make_its_model(
    services: Services, photos: PhotoServer, rounds: Callable, write_rules: Callable
) -> None:
    send_chair(services, photos, rounds)
    record = services.products.get("CH123")
    assert record is not None and View.FRONT in record.sources
    found = record_forecast(services, record)
    assert found is not None and found.verdict == "seldom good"
    written = json.loads(services.settings.plugin_json.read_text())
    model = {**written["deliverables"][0], "generator": ["gen"], "when": {}}
    services.clock.forward(5)  # type: ignore[attr-defined]
    write_rules(connections=written["connections"], deliverables=[model])
    assert record_forecast(services, record) is None
