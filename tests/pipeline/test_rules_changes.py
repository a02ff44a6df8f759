"""A changed plugin.json: its effect is shown first, and it is applied when somebody says so."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dam_connector.cli import main
from dam_connector.cli import rules as rules_commands
from dam_connector.domain.product import Capture, View
from dam_connector.domain.rules import LOCAL, Deliverable
from dam_connector.domain.rules_effect import effect_lines
from dam_connector.domain.run import RunKind
from dam_connector.errors import StateConflict
from dam_connector.rules_file import RulesFile
from dam_connector.store.runs import Runs
from dam_connector.usecases import rules_change
from dam_connector.usecases.estimates import capture_seconds, estimate_seconds
from dam_connector.usecases.photo_uploads import upload_photo
from dam_connector.usecases.rules_change import apply_rules, continue_change, plan_change
from dam_connector.wiring import Services
from tests.pipeline.helpers import PACKSHOT, Drain, Rules, approve, chair, in_channel, made, newest, send
from tests.support import PhotoServer, picture


def written(shop: Services) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shop.settings.plugin_json.read_text())
    return found


def finish(shop: Services, drain: Drain) -> None:
    """Let the poller apply what is to be applied."""
    while continue_change(shop):
        pass
    drain()
    continue_change(shop)
    drain()


@pytest.fixture
def live(shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules) -> Services:
    """A chair whose packshot is live in `shop`, made by rules whose changes wait."""
    shop.clock.forward(5)  # type: ignore[attr-defined]
    write_rules(
        **{**written(shop), "deliverables": [{**PACKSHOT, "channels": ["shop"]}]}
        | {"changes": {"apply": "confirm"}}
    )
    shop.rules.current()
    continue_change(shop)
    approve(shop, made(shop, photos, drain))
    drain()
    assert in_channel(shop, "shop") == ["V1"] and plan_change(shop).is_nothing
    return shop


def change(shop: Services, write_rules: Rules, mode: str = "confirm", **packshot: Any) -> None:
    shop.clock.forward(5)  # type: ignore[attr-defined]
    rules = written(shop)
    rules["connections"]["channel"]["feed"] = {"adapter": "memory"}
    detail = {**PACKSHOT, "name": "detail", "channels": []}
    rules["deliverables"] = [{**PACKSHOT, "channels": ["shop"], **packshot}, detail]
    rules["changes"] = {"apply": mode}
    write_rules(**rules)


def test_a_change_waits_until_it_is_applied(
    live: Services, drain: Drain, write_rules: Rules, photos: PhotoServer
) -> None:
    before = live.rules.current()
    change(live, write_rules, size_px=400, channels=["feed"])
    assert live.rules.current() == before and live.rules.pending
    effect = plan_change(live)
    assert effect.is_pending and effect.anew == {"packshot": 1} and effect.new == {"detail": 1}
    assert effect.published == {"feed": 1} and effect.withdrawn == {"shop": 1} and effect.seconds > 0
    lines = list(effect_lines(effect))
    assert "1 versions made anew: packshot 1" in lines and "1 assets published to feed" in lines
    assert lines[0].startswith("Changed: /connections/channel/feed, /deliverables") and "$0.00" in lines[-1]
    finish(live, drain)  # nobody applied it
    assert newest(live).number == 1 and in_channel(live, "shop") == ["V1"]
    with pytest.raises(StateConflict, match="has changed since"):
        apply_rules(live, by="ann", fingerprint="another")
    rules = apply_rules(live, by="ann", fingerprint=effect.fingerprint)
    assert live.rules.current() == rules and not live.rules.pending
    finish(live, drain)
    assert newest(live).number == 2 and in_channel(live, "feed") == ["V1"] and in_channel(live, "shop") == []
    assert plan_change(live).is_nothing and rules_change.progress(live)["done"]
    assert all(run.bulk for run in live.runs.page(sku="CH123") if run.deliverable == "detail")
    assert next(e for e in live.audit.page() if e.action == "rules_applied").by == "ann"


def test_a_change_that_is_taken_back_waits_no_longer(live: Services, write_rules: Rules) -> None:
    text = live.settings.plugin_json.read_text()
    change(live, write_rules, size_px=400)
    assert live.rules.current() and live.rules.pending
    live.settings.plugin_json.write_text(text)
    assert live.rules.current() and not live.rules.pending


def test_another_process_sees_that_a_change_was_applied(live: Services, write_rules: Rules) -> None:
    other = RulesFile(live.settings.plugin_json, live.rules_archive)
    assert other.current() == live.rules.current()
    change(live, write_rules, size_px=400)
    assert other.current() == live.rules.current() and other.pending
    applied = apply_rules(live, by="ann")
    assert other.current() == applied == live.rules.current() and not other.pending


def test_an_automatic_change_is_applied_at_once(live: Services, drain: Drain, write_rules: Rules) -> None:
    change(live, write_rules, mode="automatic")
    apply_rules(live, by="ann")
    finish(live, drain)
    change(live, write_rules, mode="automatic", size_px=400)
    continue_change(live)
    finish(live, drain)
    assert newest(live).number == 2 and plan_change(live).is_nothing


def test_a_later_change_holds_for_what_comes_next_and_is_applied_on_request(
    live: Services, drain: Drain, write_rules: Rules, photos: PhotoServer
) -> None:
    change(live, write_rules, mode="later")
    apply_rules(live, by="ann")
    finish(live, drain)
    change(live, write_rules, mode="later", size_px=400)
    finish(live, drain)
    assert newest(live).number == 1 and plan_change(live).anew == {"packshot": 1}
    apply_rules(live, by="ann")
    finish(live, drain)
    assert newest(live).number == 2


def test_a_photo_that_an_asset_does_not_use_applies_no_rules(
    live: Services, drain: Drain, write_rules: Rules
) -> None:
    change(live, write_rules, mode="later")
    apply_rules(live, by="ann")
    finish(live, drain)
    change(live, write_rules, mode="later", size_px=400)

    def upload(view: View, ground: int) -> int:
        live.clock.forward(5)  # type: ignore[attr-defined]
        stored = live.products.get("CH123")
        assert stored
        return upload_photo(live, stored, view, picture(ground=ground), by="ann").planned

    assert upload(View.DETAIL, 180) == 0
    assert plan_change(live).anew == {"packshot": 1}
    assert upload(View.FRONT, 200) == 2  # the packshot and the detail, which use it
    drain()
    assert newest(live).number == 2 and plan_change(live).is_nothing


def test_a_channel_that_wants_other_texts_gets_them(
    live: Services, drain: Drain, write_rules: Rules, photos: PhotoServer
) -> None:
    german = chair(photos, translations={"de": {"name": "Stuhl"}})
    live.clock.forward(5)  # type: ignore[attr-defined]
    send(live, german, message="m2", kind="product.updated")
    drain()
    rules = written(live)
    sequence = live.channel_listings.of_product("CH123")["shop"].sequence
    for number, options in enumerate([{"locale": "de"}, {"locale": "de", "order": ["packshot"]}, {}]):
        live.clock.forward(5)  # type: ignore[attr-defined]
        rules["connections"]["channel"]["shop"] = {"adapter": "memory", **options}
        write_rules(**rules)
        assert live.rules.current() and plan_change(live).published == {"shop": 1}
        apply_rules(live, by="ann")
        finish(live, drain)
        assert plan_change(live).is_nothing and rules_change.progress(live)["done"]
        sent = live.channel_listings.of_product("CH123")["shop"]
        assert sent.sequence == sequence + [1, 1, 2][number], "the order of one picture changes nothing"


def test_an_application_goes_on_after_an_interruption(
    live: Services, drain: Drain, write_rules: Rules, photos: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sku in ("A", "B", "C"):
        send(live, {**chair(photos), "sku": sku}, message=sku)
    drain()
    change(live, write_rules, size_px=400)
    apply_rules(live, by="ann")
    monkeypatch.setattr(rules_change, "PAGE", 1)
    add, calls = Runs.add, 0

    def fail_once(self: Runs, runs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("killed")
        return add(self, runs)

    monkeypatch.setattr(Runs, "add", fail_once)
    with pytest.raises(RuntimeError):
        finish(live, drain)
    finish(live, drain)
    assert {newest(live, sku=sku).number for sku in ("A", "B", "C", "CH123")} == {2}


def test_the_commands(live: Services, write_rules: Rules, monkeypatch: pytest.MonkeyPatch) -> None:
    change(live, write_rules, size_px=400)
    monkeypatch.setattr(rules_commands, "open_services", lambda folder: live)
    planned = CliRunner().invoke(main, ["rules", "plan"])
    assert "1 versions made anew: packshot 1" in planned.output and "rules apply" in planned.output
    as_json = json.loads(CliRunner().invoke(main, ["rules", "plan", "--json"]).output)
    assert as_json["anew"] == {"packshot": 1} and as_json["is_pending"]
    assert "Apply this?" in CliRunner().invoke(main, ["rules", "apply"], input="n\n").output
    assert live.rules.pending
    applied = CliRunner().invoke(main, ["rules", "apply", "--yes"])
    assert applied.exit_code == 0 and "is being applied" in applied.output
    assert live.rules.current().deliverables[0].size_px == 400
    planned = CliRunner().invoke(main, ["rules", "plan"])
    assert "It is being applied" in planned.output and "rules apply" not in planned.output


def test_a_plugin_json_that_disappears_changes_nothing_and_is_said(
    services: Services, write_rules: Callable[..., None]
) -> None:
    write_rules(deliverables=[{"name": "hero", "kind": "rendition"}])
    assert [d.name for d in services.rules.current().deliverables] == ["hero"]
    path = services.settings.plugin_json
    text = path.read_text()
    path.unlink()
    assert [d.name for d in services.rules.current().deliverables] == ["hero"]
    assert services.rules.problem and "the file has disappeared" in str(services.rules.problem)
    later = RulesFile(path, services.rules_archive)  # of a process that starts meanwhile
    assert [d.name for d in later.current().deliverables] == ["hero"] and later.problem
    path.write_text(text)
    assert services.rules.current() and services.rules.problem is None


def test_a_file_at_the_default_path_that_disappears_is_not_replaced_by_the_examples(
    services: Services, write_rules: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(services.settings.plugin_json.parent)
    rules = RulesFile(Path("plugin.json"), services.rules_archive)
    write_rules(deliverables=[{"name": "hero", "kind": "rendition"}])
    assert [d.name for d in rules.current().deliverables] == ["hero"]
    settings = replace(services.settings, plugin_json=Path("plugin.json"))
    path = Path(settings.child_environ()["DAM_CONNECTOR_PLUGIN_JSON"])
    assert path.is_absolute() and path.samefile("plugin.json")
    Path("plugin.json").unlink()
    assert [d.name for d in rules.current().deliverables] == ["hero"] and rules.problem
    fresh = RulesFile(Path("plugin.json"), services.rules_archive)
    assert len(fresh.current().deliverables) > 1 and fresh.problem is None  # none was there at its start


def test_the_commands_say_that_the_file_has_disappeared_too(
    services: Services, write_rules: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(services.settings.plugin_json.parent)
    write_rules(deliverables=[{"name": "hero", "kind": "rendition"}])
    RulesFile(Path("plugin.json"), services.rules_archive).current()
    settings = replace(services.settings, plugin_json=Path("plugin.json"))
    monkeypatch.setattr("dam_connector.cli.service.load_settings", lambda *_: settings)
    assert CliRunner().invoke(main, ["check-config"]).exit_code == 0
    monkeypatch.setattr("dam_connector.cli.common.load_settings", lambda *_: settings)
    Path("plugin.json").unlink()
    Path("sheet.csv").write_text("sku\nA1\n")
    Path("product.json").write_text('{"sku": "A1", "name": "Chair"}')
    others = (["import", "sheet.csv", "--name", "x", "--dry-run"], ["product", "add", "product.json"])
    for command in (["check-config"], ["doctor"], *others):
        ran = CliRunner().invoke(main, command)
        assert ran.exit_code == (2 if command[0] == "import" else 1)
        assert "plugin.json: the file does not exist; the service has other rules" in ran.output


@pytest.mark.parametrize("command", [["check-config"], ["web"], ["up"], ["doctor"]])
def test_a_path_that_is_set_must_exist(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAM_CONNECTOR_PLUGIN_JSON", str(tmp_path / "none.json"))
    monkeypatch.setenv("DAM_CONNECTOR_DATA_DIR", str(tmp_path / "data"))
    found = CliRunner().invoke(main, command)
    assert found.exit_code == 1 and "none.json: the file does not exist" in found.output


def test_the_plan_says_why_another_least_probability_makes_pictures_anew(
    live: Services, write_rules: Rules
) -> None:
    live.clock.forward(5)  # type: ignore[attr-defined]
    write_rules(**{**written(live), "imaging": {"min_probability": 0.8}})
    effect = plan_change(live)
    assert effect.anew == {"packshot": 1}
    assert any("made and reviewed anew, not only judged again" in line for line in effect_lines(effect))


def test_spins_and_walks_take_longer_in_estimates(shop: Services) -> None:
    model = Deliverable(name="model", kind=RunKind.MODEL)
    spin = [Capture.SPIN.key(number) for number in range(1, 25)]
    walk = [Capture.WALK.key(number) for number in range(1, 33)]
    extra = {
        "photos": capture_seconds(model, LOCAL, ["front"]),
        "spin": capture_seconds(model, LOCAL, spin),
        "both": capture_seconds(model, LOCAL, [*spin, *walk]),
        "walk": capture_seconds(model, LOCAL, walk),
        "provider": capture_seconds(model, "tripo", walk),
        "picture": capture_seconds(Deliverable(name="packshot", kind=RunKind.IMAGE), LOCAL, walk),
    }
    assert extra["photos"] == extra["provider"] == extra["picture"] == 0
    assert 0 < extra["spin"] == extra["both"] < extra["walk"]
    usual = estimate_seconds(shop, {"model": 1}, [model])
    assert estimate_seconds(shop, {"model": 1}, [model], extra["walk"]) == usual + extra["walk"]
