"""Answers that prove nothing: web pages, redirects, unknown hosts, messages that nobody took."""

import importlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dam_connector.adapters import SHIPPED, load_setup, open_adapter
from dam_connector.adapters.common.api_client import ApiClient
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.common.http_errors import UnknownHost
from dam_connector.cli import connections as commands
from dam_connector.domain.rules import Connection
from dam_connector.errors import AdapterError, BadOutput, ConfigError, Refused, SubmitUnknown, Unavailable
from dam_connector.usecases.connection_tests import remedy_of, run_test
from dam_connector.usecases.connections import check_connection
from dam_connector.wiring import Services
from tests.contracts.pim_servers import FakePim, FakePimReply
from tests.support import SECRET, http_to

PAGE = b"<!doctype html><title>Please log\n in</title>Hello"


class Answers:
    """A server that gives one answer to every request."""

    def __init__(self) -> None:
        self.reply: FakePimReply = (200, PAGE, {"Content-Type": "text/html"})
        self.messages: list[Any] = []
        self.server = FakePim(self._take)

    def _take(self, method: str, path: str, query: Any, headers: Any, body: Any) -> FakePimReply:
        self.messages.append(body)
        return self.reply


@pytest.fixture
def answers() -> Iterator[Answers]:
    found = Answers()
    yield found
    found.server.stop()


class Client(ApiClient):
    vendor = "acme"
    non_repeatable = ("submit",)


def asked(context: AdapterContext, answers: Answers, operation: str = "push") -> Exception:
    client = Client(http_to(answers.server.host, context), answers.server.url, {})
    with pytest.raises(AdapterError) as raised:
        client.request("POST", "/things", operation, json={})
    return raised.value


@pytest.mark.parametrize(
    "page", [PAGE, b"\n <HTML><p>", b'<?xml version="1.0"?>\n<!-- a --><html lang="en">']
)
def test_a_page_is_no_answer_of_an_api(context: AdapterContext, answers: Answers, page: bytes) -> None:
    answers.reply = (200, page, {})
    assert isinstance(asked(context, answers), BadOutput)
    assert isinstance(asked(context, answers, "submit"), SubmitUnknown)
    answers.reply = (200, b'{"html": "<html>"}', {"Content-Type": "text/html"})  # as PHP answers
    assert Client(http_to(answers.server.host, context), answers.server.url, {}).request("GET", "", "x").body


def test_the_title_of_a_page_and_the_message_of_an_error_are_named(
    context: AdapterContext, answers: Answers
) -> None:
    assert "web page ('Please log in') instead of data" in str(asked(context, answers))
    answers.reply = (302, b"", {"Location": "https://other.example/login?key=1"})
    error = asked(context, answers)
    assert isinstance(error, Refused) and "it leads to https://other.example/login," in str(error)
    wrong = {"errors": [{"message": "Invalid user credentials.", "extensions": {"code": "INVALID"}}]}
    answers.reply = (401, wrong, {})
    assert str(asked(context, answers)).endswith("HTTP 401: Invalid user credentials. (INVALID)")
    for body in ({"errors": {"sku": ["x"]}}, ["x"], {"errors": [7]}, {"message": "m", "extensions": ["x"]}):
        answers.reply = (403, body, {})
        assert "HTTP 403: " in str(asked(context, answers))


def test_only_receivers_of_webhooks_may_answer_with_a_page() -> None:
    for modules in SHIPPED.values():
        for module in modules.values():
            importlib.import_module(f"dam_connector.adapters.{module}")
    found, classes = list(ApiClient.__subclasses__()), set[type[ApiClient]]()
    while found:
        each = found.pop()
        classes.add(each)
        found += each.__subclasses__()
    assert len(classes) > 20 and {c.__name__ for c in classes if c.takes_pages} == {"WebhookChannel"}


def use(services: Services, monkeypatch: pytest.MonkeyPatch, port: str, adapter: Any, vendor: str) -> None:
    rules = services.rules.current()
    monkeypatch.setattr(type(services), port, lambda self, name: adapter)
    named = {**getattr(rules, port), "it": Connection(adapter=vendor, options={})}
    changed = replace(rules, **{port: named})  # type: ignore[arg-type]
    monkeypatch.setattr(type(services.rules), "current", lambda self: changed)


def test_a_directus_behind_a_page_stores_nothing(
    services: Services, context: AdapterContext, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = replace(context, http=http_to(answers.server.host, context), secret=lambda _: "t")
    connection = Connection(adapter="directus", options={"base_url": answers.server.url})
    use(services, monkeypatch, "dam", open_adapter("dam", "it", connection, context), "directus")
    done: list[str] = []
    with pytest.raises(BadOutput, match="web page"):
        done.extend(check_connection(services, "it"))
    assert not any("pushed" in line for line in done)


def test_a_webhook_is_tested_by_a_signed_message(
    services: Services, context: AdapterContext, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = replace(context, http=http_to(answers.server.host, context), secret=lambda _: SECRET)
    connection = Connection(adapter="webhook", options={"url": answers.server.url})
    use(services, monkeypatch, "channel", open_adapter("channel", "it", connection, context), "webhook")
    lines = list(check_connection(services, "it"))
    assert lines[1:] == ["it took a signed message of the type connection.test: HTTP 200"]
    assert [(m["type"], m["data"]) for m in answers.messages] == [("connection.test", {})]
    answers.reply = (500, b"", {})
    with pytest.raises(Unavailable, match="HTTP 500"):
        list(check_connection(services, "it"))


def test_a_refused_login_names_its_variable_and_an_unknown_host_itself(
    services: Services, monkeypatch: pytest.MonkeyPatch, context: AdapterContext
) -> None:
    use(services, monkeypatch, "dam", None, "directus")
    rules = services.rules.current()
    options = {"base_url": "https://dam.example"}
    changed = replace(rules, dam={"it": Connection(adapter="directus", options=options)})
    monkeypatch.setattr(type(services.rules), "current", lambda self: changed)
    monkeypatch.setenv("DIRECTUS_TOKEN", "t")
    remedy = remedy_of(services, "it", Refused("directus", "push", "HTTP 401: who are you"))
    assert "DIRECTUS_TOKEN" in remedy
    assert "DIRECTUS_TOKEN" not in remedy_of(services, "it", Refused("directus", "push", "HTTP 422: no"))
    with pytest.raises(UnknownHost, match="not known"):
        Client(http_to("nowhere.invalid", context), "http://nowhere.invalid", {}).request("GET", "/", "x")
    assert "name of the host" in remedy_of(services, "it", UnknownHost("directus", "push", "x"))


def test_what_can_only_send_is_not_called_good(
    services: Services, write_rules: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    connections = json.loads(services.settings.plugin_json.read_text())["connections"]
    connections["pim"]["sheets"] = {"adapter": "csv", "path": str(tmp_path / "sheets")}
    write_rules(connections=connections)
    sheet = tmp_path / "sheets/p.csv"
    sheet.parent.mkdir()
    sheet.write_text("sku,name\nA1,Chair\nA2,Stool\n")
    monkeypatch.setattr(commands, "open_services", lambda folder: services)
    (sender,) = (name for name in connections["pim"] if connections["pim"][name]["adapter"] == "standard")
    ran = CliRunner().invoke(commands.test_connection, [sender])
    assert ran.exit_code == 0 and f"{sender}: not asked" in ran.output and "good" not in ran.output
    ran = CliRunner().invoke(commands.test_connection, ["sheets"])
    assert ran.exit_code == 0 and "p.csv has 2 products" in ran.output and "sheets: good" in ran.output
    sheet.write_text("sku,name\nA1,Chair\n,Stool\n")
    (tmp_path / "sheets/q.csv").write_text("colour\nred\n")
    ran = CliRunner().invoke(commands.test_connection, ["sheets"])
    assert ran.exit_code == 1 and "p.csv line 3: " in ran.output and "q.csv: No column holds" in ran.output
    assert list(tmp_path.glob("sheets/*")) and "p.csv has 1 product" in ran.output
    with pytest.raises(BadOutput):
        list(run_test(services, "sheets", by="ann"))


def test_connect_says_to_repeat_only_what_a_repeat_can_mend(
    services: Services, answers: Answers, monkeypatch: pytest.MonkeyPatch, context: AdapterContext
) -> None:
    context = replace(context, http=http_to(answers.server.host, context), secret=lambda _: "t")
    monkeypatch.setattr(commands, "open_services", lambda folder: replace(services, adapter_context=context))
    again = "run the same command again"
    for reply, repeats in (((401, {}, {}), False), ((302, b"", {}), False), ((500, {}, {}), True)):
        answers.reply = reply
        ran = CliRunner().invoke(commands.connect, ["dam", "directus", "--url", answers.server.url])
        assert ran.exit_code == 1 and (again in ran.output) == repeats, ran.output
    ran = CliRunner().invoke(commands.connect, ["dam", "directus", "--url", "dam.example"])
    assert "write e.g. https://dam.example" in ran.output
    with pytest.raises(ConfigError, match="there is no dam adapter 'foo'; known: "):
        load_setup("dam", "foo")
    with pytest.raises(ConfigError, match=r"docs/connections/bynder\.md"):
        load_setup("dam", "bynder")
