"""Options of adapters: their schemas know the options that the adapters know, and name each mistake."""

import json
import re

import pytest
from jsonschema import Draft202012Validator

from dam_connector.adapters import SHIPPED, open_adapter
from dam_connector.domain.rules import Connection
from dam_connector.errors import ConfigError
from dam_connector.wiring import Services, check_rules
from schemas.adapter_options import OPTIONS, option_problems
from schemas.plugin import json_schema
from schemas.rules_loader import load_rules
from tests.support import ROOT, rules_json

ADAPTERS = [(port, adapter) for port, adapters in SHIPPED.items() for adapter in adapters]
EXAMPLE = re.compile(r"^```json\n(.*?)\n```", re.M | re.S)


@pytest.mark.parametrize(("port", "adapter"), ADAPTERS)
def test_a_schema_knows_the_options_that_its_adapter_knows(
    port: str, adapter: str, services: Services
) -> None:
    with pytest.raises(ConfigError, match="unknown option 'nonsense'; known: ") as refused:
        open_adapter(
            port, "x", Connection(adapter=adapter, options={"nonsense": 1}), services.adapter_context
        )
    known = refused.value.problems[0].partition("known: ")[2]
    assert set(OPTIONS[port][adapter]) == set(known.split(", ")) - {"none"}


def examples() -> list[dict]:
    """The connections that the documents show, by port."""
    found = []
    for page in sorted((ROOT / "docs" / "connections").glob("*.md")):
        for block in EXAMPLE.findall(page.read_text()):
            try:
                shown = json.loads("{" + block + "}")
            except ValueError:
                continue  # an excerpt
            if set(shown) <= set(OPTIONS):
                found.append(shown)
    return found


def test_the_documents_examples_are_good_and_fit_the_json_schema() -> None:
    assert len(examples()) > 15
    schema = Draft202012Validator(json_schema())
    for shown in examples():
        for port, connections in shown.items():
            for name, options in connections.items():
                rest = {key: value for key, value in options.items() if key != "adapter"}
                assert list(option_problems(port, name, options["adapter"], rest)) == []
        rules = {**rules_json(), "connections": {**rules_json()["connections"], **shown}}
        schema.validate(rules)


@pytest.mark.parametrize(
    ("port", "options", "problem"),
    [
        ("provider", {"adapter": "tripo", "concurrency": "10"}, "/concurrency: write a whole number"),
        ("provider", {"adapter": "tripo", "texture_quality": "best"}, "/texture_quality: Must be one of"),
        ("provider", {"adapter": "tripo", "modle": "x"}, '/modle: unknown key, did you mean "model"?'),
        ("provider", {"adapter": "meshy", "usd_per_credit": -1}, "/usd_per_credit: Must be greater"),
        ("provider", {"adapter": "hunyuan3d", "texture": "no"}, "/texture: write true or false"),
        ("channel", {"adapter": "folder"}, "/path: Missing data for required field."),
        ("channel", {"adapter": "shopify", "base_url": "my-shop"}, "/base_url: must be a URL"),
        ("pim", {"adapter": "csv", "path": "x", "columns": {"skuu": "a"}}, "/columns/skuu"),
        (
            "dam",
            {"adapter": "resourcespace", "base_url": "https://d.example", "user": "u"},
            "/fields: Missing",
        ),
    ],
)
def test_each_mistake_has_its_place_without_any_secret(
    port: str, options: dict, problem: str, services: Services
) -> None:
    connections = rules_json()["connections"]
    connections = {**connections, port: {**connections.get(port, {}), "x": options}}
    rules = load_rules(json.dumps(rules_json(connections=connections)))
    lines = check_rules(rules, services)
    assert any(line.startswith(f"/connections/{port}/x{problem}") for line in lines), lines
    assert not Draft202012Validator(json_schema()).is_valid(rules_json(connections=connections))
