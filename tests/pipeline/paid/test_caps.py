"""Caps that cannot be read: plugin.json is refused with place and remedy, and the provider spends nothing."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.provider_client import to_usd
from dam_connector.cli import main
from dam_connector.domain.rules import CAP_OPTIONS, Connection
from dam_connector.errors import ConfigError
from dam_connector.fakes.tripo import FakeTripo
from dam_connector.rules_file import RulesFile
from dam_connector.usecases.broker import Broker
from dam_connector.usecases.provider_orders import spend_caps
from dam_connector.wiring import Services
from schemas.rules_loader import load_rules
from tests.pipeline.paid.helpers import place, run_broker

UNREADABLE: tuple[Any, ...] = ("50", "fifty", -5, True, None, [50], 1e12, float("nan"), float("inf"))


def rules_text(**options: Any) -> str:
    """Return a plugin.json with a provider of these options."""
    raw = json.loads(Path("plugin.json").read_text())
    raw["connections"]["provider"] = {
        "tripo": {"adapter": "tripo", "api_key": "env/TRIPO_API_KEY", **options}
    }
    return json.dumps(raw)


@pytest.mark.parametrize("option", CAP_OPTIONS.values())
@pytest.mark.parametrize("value", UNREADABLE, ids=repr)
def test_a_cap_that_cannot_be_read_is_refused_with_its_place(option: str, value: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        load_rules(rules_text(**{option: value}))
    (problem,) = refused.value.problems
    assert problem.startswith(f"/connections/provider/tripo/{option}: ")
    assert load_rules(rules_text(**{option: 0})).provider["tripo"].options[option] == 0


def test_check_config_names_the_place_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(rules_text(max_usd_per_day="50"))
    done = CliRunner().invoke(main, ["check-config", str(tmp_path / "p.json")])
    assert done.exit_code == 1 and done.stdout.strip() == (
        "/connections/provider/tripo/max_usd_per_day: write a number without quotes, e.g. 50"
    )


@pytest.mark.parametrize("value", ["0.5", True, float("nan")], ids=repr)
def test_a_price_limit_of_a_generator_is_a_number(value: Any) -> None:
    raw = json.loads(rules_text())
    raw["deliverables"][0] |= {"generator": ["tripo"], "when": {"tripo": {"max_usd": value}}}
    with pytest.raises(ConfigError, match=r"^/deliverables/0/when/tripo/max_usd: "):
        load_rules(json.dumps(raw))


@pytest.mark.parametrize("value", UNREADABLE, ids=repr)
def test_a_provider_with_such_a_cap_spends_nothing(
    services: Services,
    broker: Broker,
    rules: Callable,
    fake: FakeTripo,
    value: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rules loader refuses it; should one come by another way, the broker holds the tasks back."""
    rules("tripo")
    place(services, 1)
    good = services.rules.current()
    options = {**good.provider["tripo"].options, "max_usd_per_day": value}
    bad = replace(good, provider={"tripo": Connection(adapter="tripo", options=options)})
    monkeypatch.setattr(RulesFile, "current", lambda self: bad)
    with pytest.raises(ConfigError, match=r"^max_usd_per_day: "):
        spend_caps(services, "tripo")
    run_broker(broker, 2)
    assert fake.billed == 0 and len(services.spend.tasks_in_state("waiting")) == 1


def test_archived_rules_that_are_refused_by_now_do_not_stop_their_runs(
    services: Services, rules: Callable
) -> None:
    rules("tripo")
    services.rules_archive.add("of-an-old-release", rules_text(max_usd_per_day="50"))
    assert services.rules.with_fingerprint("of-an-old-release") == services.rules.current()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -3, 10**400, "7", True])
def test_a_bill_that_is_no_amount_does_not_count(value: Any) -> None:
    assert to_usd(value, 0.01) is None and to_usd(30, 0.01) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("adapter", "options", "problem"),
    [
        ("memory", {"polls": "two"}, "polls: 'two' is no number"),
        ("tripo", {"concurrency": 2.5}, "concurrency: 2.5 is no integer"),
        ("hunyuan3d", {"texture": "false"}, "texture: 'false' is neither true nor false"),
        ("fal", {"model": "fal-ai/trellis", "webhook": "no"}, "webhook: 'no' is neither true nor false"),
        ("openai_images", {"sizes": ["1024x0"]}, "sizes: '1024x0' is no size"),
    ],
)
def test_options_that_cannot_be_read_are_refused(
    services: Services, adapter: str, options: dict[str, Any], problem: str
) -> None:
    context = replace(services.adapter_context, secret=lambda reference: "s3cret")
    with pytest.raises(ConfigError) as refused:
        open_adapter("provider", "p", Connection(adapter=adapter, options=options), context)
    assert f"/connections/provider/p: {problem}" in str(refused.value)
