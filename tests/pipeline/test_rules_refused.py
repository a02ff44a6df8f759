"""A changed plugin.json whose connections have errors: the last good rules stay in force."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from dam_connector.rules_file import RulesFile
from dam_connector.wiring import Services
from tests.support import rules_json

OWN = {
    "adapter": "standard",
    "secrets": ["env/OWN_PIM_SECRET"],
    "mapping": {"products": "$.data", "fields": {"sku": "$.code"}},
}


def with_pim(**changes: Any) -> dict[str, Any]:
    connections = rules_json()["connections"]
    return {**connections, "pim": {**connections["pim"], "own": {**OWN, **changes}}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mappng": {}}, '/connections/pim/own/mappng: unknown key, did you mean "mapping"?'),
        ({"mapping": {"fields": {"sku": "$.code", "nmae": "$.x"}}}, "is none of sku"),
        ({"mapping": {"fields": {"name": "$.x"}}}, "mapping/fields: name the place of the SKU"),
        ({"signature": {"header": "x", "content": "{timestamp}"}}, "signature/content"),
    ],
)
def test_a_wrong_option_leaves_the_last_good_rules_in_force(
    services: Services, write_rules: Callable[..., None], changes: dict[str, Any], said: str
) -> None:
    write_rules(connections=with_pim())
    good = services.rules.current()
    assert "own" in good.pim and services.rules.problem is None
    write_rules(connections=with_pim(**changes))
    assert services.rules.current() == good
    assert services.rules.problem and said in str(services.rules.problem)
    other = RulesFile(services.settings.plugin_json, services.rules_archive)
    other.check = services.rules.check  # another process, which starts with the bad file
    assert other.current() == good
    write_rules(connections=with_pim(product_url="https://pim.example/{sku}"))
    assert services.rules.problem is None and services.rules.current().pim["own"].options["product_url"]


def test_a_secret_that_is_not_set_here_is_no_error_of_the_file(
    services: Services, write_rules: Callable[..., None]
) -> None:
    write_rules(connections=with_pim())
    write_rules(connections=with_pim(tokens=["env/NOWHERE_SET"]))
    assert services.rules.problem is None and services.rules.current().pim["own"].options["tokens"]


def test_rules_that_were_in_force_are_not_refused_by_a_later_release(services: Services) -> None:
    text = json.dumps(rules_json())
    services.settings.plugin_json.write_text(text)
    assert services.rules.current()
    later = RulesFile(services.settings.plugin_json, services.rules_archive)
    later.check = lambda rules: ["/connections: an option that this release refuses"]
    assert later.current() == services.rules.current() and later.problem is None
