"""`connection try`: a message of a PIM as it would be taken in, without anything being stored."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from tests.contracts.test_mapped_pims import EXAMPLES, OWN
from tests.support import rules_json


def test_connection_try_shows_the_product_and_what_is_missing(tmp_path: Any) -> None:
    from dam_connector.cli import main

    connections = rules_json()["connections"]
    own = {**EXAMPLES["own"], "secrets": ["env/HOOK_SECRET"]}
    rules = rules_json(connections={**connections, "pim": {"own": own}})
    (tmp_path / "plugin.json").write_text(json.dumps(rules))
    payload = tmp_path / "payload.json"
    payload.write_text(json.dumps({**OWN, "data": [{**OWN["data"], "title": ""}, {"title": "no code"}]}))
    environ = {"DAM_CONNECTOR_PLUGIN_JSON": str(tmp_path / "plugin.json"), "HOOK_SECRET": "s"}
    words = ["connection", "try", "own", str(payload), "--data-dir", str(tmp_path / "data")]
    done = CliRunner().invoke(main, words, env=environ)
    assert done.exit_code == 1, done.output
    assert "updated OWN-1" in done.output and "images.front" in done.output
    assert "cannot be taken in: /sku: nothing at $['code']" in done.output
    assert "error: " in done.output and "name" in done.output
    assert json.loads(CliRunner().invoke(main, [*words, "--json"], env=environ).output.splitlines()[0])[
        "product"
    ]


def tried(tmp_path: Any, message: Any, *words: str, **environ: str) -> tuple[int, str]:
    """Run `connection try` with the PIM `own`, whose secret is set only if a test sets it."""
    from dam_connector.cli import main

    fields = {"sku": "$.code", "name": "$.title", "name@de": "$.titel", "attributes": "$.more"}
    images = {"each": "$.media", "url": "$.href", "text": "$.alt"}
    mapping = {"products": "$.data", "type": "header:x-event", "types": {"saved": "updated"}}
    own = {
        "adapter": "standard",
        "secrets": ["env/OWN_PIM_SECRET"],
        "product_url": "http://127.0.0.1:9/{sku}",
    }
    own |= {"mapping": {**mapping, "fields": fields, "images": images}}
    rules = rules_json(connections={**rules_json()["connections"], "pim": {"own": own}})
    (tmp_path / "plugin.json").write_text(json.dumps(rules))
    payload = tmp_path / "payload.json"
    payload.write_text(json.dumps(message))
    command = ["connection", "try", "own", str(payload), "--data-dir", str(tmp_path / "data"), *words]
    variables = {"DAM_CONNECTOR_PLUGIN_JSON": str(tmp_path / "plugin.json"), **environ}
    done = CliRunner().invoke(main, command, env=variables)
    return done.exit_code, done.output


RICH = {
    "code": "A",
    "title": "Chair",
    "titel": "Stuhl",
    "more": {"legs": 4, "designer": {"id": 7}, "none": None},
    "media": [
        {"href": "https://x.example/front.jpg", "alt": "front"},
        {"href": "https://x.example/manual.pdf", "alt": "back"},
        {"id": 12},
        {"href": "https://x.example/also-front.jpg", "alt": "front"},
        {"href": "https://x.example/third.jpg"},
    ],
}


def test_connection_try_shows_translations_and_what_is_not_used(tmp_path: Any) -> None:
    code, output = tried(tmp_path, {"data": [RICH]}, "--header", "x-event: saved")
    assert code == 0, output
    assert "name@de" in output and "Stuhl" in output and "attributes.legs" in output
    assert "not used: attributes.designer: {'id': 7} is neither a text nor a number" in output
    assert "not used: images: https://x.example/manual.pdf is no picture by its name" in output
    assert "not used: images: {'id': 12} has no single address at $['href']" in output
    assert "not used: images: https://x.example/third.jpg: another photo has its view" in output
    assert "manual.pdf" not in output.replace("not used: images: https://x.example/manual.pdf", "")
    assert "none" not in output.replace("names none", "")


def test_connection_try_fails_where_a_product_has_an_error(tmp_path: Any) -> None:
    code, output = tried(tmp_path, {"data": [{**RICH, "title": ""}]}, "--header", "x-event: saved")
    assert code == 1 and "error: The name is missing" in output


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 0, "it has no header x-event; known types: saved"),
        (("--header", "x-event: other"), 0, "the header x-event is 'other'; known types: saved"),
        (("--header", "x-event saved"), 2, "write the name, a colon and the value"),
    ],
)
def test_connection_try_says_why_a_message_is_ignored(
    tmp_path: Any, words: tuple[str, ...], code: int, said: str
) -> None:
    assert tried(tmp_path, {"data": [RICH]}, *words)[0] == code
    assert said in tried(tmp_path, {"data": [RICH]}, *words)[1]
