"""Tests of the setup of a Directus: records are listed first, created once, and found the second time."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner

from dam_connector.adapters import load_setup
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.cli import connections
from dam_connector.errors import ConfigError, Refused
from dam_connector.wiring import Services
from tests.contracts.pim_servers import FakePim, FakePimReply
from tests.support import ROOT, http_to


class FakeSystemCollections:
    """The system collections of a fake Directus. POST creates a record; a missing one gets 403."""

    def __init__(self) -> None:
        self.created: list[tuple[str, Any]] = []
        self.role: Any = {"id": "r"}

    def __call__(
        self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: Any
    ) -> FakePimReply:
        if path == "/users/me":
            return 200, {"data": {"role": self.role}}, {}
        if method == "POST":
            self.created.append((path, body))
            return 200, {"data": {"id": body.get("id")}}, {}
        if method == "PATCH":
            return 200, {"data": {}}, {}
        kind, *rest = path.strip("/").split("/")
        records = [b for p, b in self.created if p == f"/{kind}"]
        if kind == "presets":
            return 200, {"data": records}, {}
        names = {str(b.get("id") or b.get("collection")) for b in records} | {
            f"{b.get('collection')}/{b.get('field')}" for b in records
        }
        return (
            (200, {"data": {"id": "x"}}, {})
            if "/".join(rest) in names
            else (403, {"errors": [{"extensions": {"code": "FORBIDDEN"}}]}, {})
        )


@pytest.fixture
def system() -> FakeSystemCollections:
    return FakeSystemCollections()


@pytest.fixture
def server(system: FakeSystemCollections) -> Iterator[FakePim]:
    found = FakePim(system)
    yield found
    found.stop()


def prepare(context: AdapterContext, server: FakePim, **more: Any) -> list[Any]:
    own = replace(context, http=http_to(server.host, context), secret=lambda _: "token")
    options = {"base_url": server.url, "token": "env/T", **more}
    return list(load_setup("dam", "directus").prepare(options, own, "https://dam.example/webhooks/directus"))


def test_what_is_needed_is_made_once(
    context: AdapterContext, server: FakePim, system: FakeSystemCollections
) -> None:
    preparations = prepare(context, server)
    assert (
        len(preparations) > 9 and not any(each.exists for each in preparations) and system.created == []
    )  # shown, and nothing made
    for each in preparations:
        each.create()
    assert all(each.exists for each in prepare(context, server))
    sent = json.dumps(system.created)
    assert (
        "https://dam.example/webhooks/directus" in sent
        and "{{$env.CONNECTOR_SECRET}}" in sent
        and "token" not in sent.replace("tokens", "")
    )


def test_what_broke_off_goes_on_where_it_was(
    context: AdapterContext, server: FakePim, system: FakeSystemCollections
) -> None:
    for each in prepare(context, server)[:4]:
        each.create()
    assert [each.exists for each in prepare(context, server)][:5] == [True, True, True, True, False]


def test_reviewers_may_say_two_things_and_the_connector_no_more_than_it_must() -> None:
    setup = load_setup("dam", "directus")
    (update,) = [p for p in setup.ROLES["DAM reviewer"]("asset_versions") if p["action"] != "read"]
    assert update["fields"] == ["status", "reject_reason"]
    assert update["validation"] == {"status": {"_in": ["approved", "rejected", "withdrawn"]}}
    writes = {
        p["collection"] for p in setup.ROLES["DAM connector"]("asset_versions") if p["action"] != "read"
    }
    assert writes == {"asset_versions", "asset_versions_files", "directus_files", "directus_folders"}


def test_a_token_without_admin_rights_is_reported(
    context: AdapterContext, server: FakePim, system: FakeSystemCollections
) -> None:
    system.role = None
    with pytest.raises(Refused, match="not an admin"):
        prepare(context, server)


def test_a_setup_that_must_be_done_by_hand_is_reported() -> None:
    with pytest.raises(
        ConfigError, match="supported: dam directus, dam resourcespace, pim saleor, pim vendure"
    ):
        load_setup("dam", "bynder")
    result = CliRunner().invoke(
        connections.connect, ["dam", "directus", "--url", "https://x.example", "--token", "the-secret-itself"]
    )
    assert result.exit_code == 1 and "env/NAME" in result.output and "the-secret-itself" not in result.output


def test_with_photos_as_sources_a_second_flow_tells_of_them(
    context: AdapterContext, server: FakePim, system: FakeSystemCollections
) -> None:
    for each in prepare(context, server):
        each.create()
    missing = [each for each in prepare(context, server, sources={"sku_field": "sku"}) if not each.exists]
    assert [each.description for each in missing] == [
        "flow `Notify dam-connector of photos`: POST https://dam.example/webhooks/directus"
    ]
    missing[0].create()
    _, flow = next(each for each in reversed(system.created) if each[0] == "/flows")
    assert flow["options"] == {
        "type": "action",
        "scope": ["files.upload", "items.update", "items.delete"],
        "collections": ["directus_files"],
    }
    assert all(each.exists for each in prepare(context, server, sources={"sku_field": "sku"}))


def test_the_command_knows_the_options_of_a_connection_that_is_in_plugin_json(
    services: Services, write_rules: Callable[..., None]
) -> None:
    own = {"adapter": "directus", "base_url": "https://old.example", "sources": {"sku_field": "sku"}}
    rules = json.loads(services.settings.plugin_json.read_text())["connections"]
    write_rules(connections={**rules, "dam": {**rules["dam"], "directus": own}})
    assert connections._options_in_file(services, "dam", "directus")["sources"] == {"sku_field": "sku"}
    assert connections._options_in_file(services, "dam", "other") == {}


def test_the_lines_for_resourcespaces_configuration_are_the_same_and_whole_in_command_and_page() -> None:
    page = (ROOT / "docs/connections/resourcespace.md").read_text()
    for text in (page, " ".join(load_setup("dam", "resourcespace").BY_HAND)):
        lines = re.findall(r"`(\$(?:additional_archive_states|lang)[^`]*)`", text)
        assert lines == ["$additional_archive_states = [4];", '$lang["status4"] = "Rejected";']
