"""The first event of a PIM, sent by the command, and `run` of a product that is flagged."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from werkzeug.serving import make_server

from dam_connector.app import create_app
from dam_connector.cli import first_steps, main, service
from dam_connector.usecases import intake
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain
from tests.support import record, rules_json


@pytest.fixture
def url(services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the service on loopback."""
    monkeypatch.setattr(first_steps, "load_settings", lambda folder: services.settings)
    monkeypatch.setattr(first_steps, "CLOCK", services.clock)
    server = make_server("127.0.0.1", 0, create_app(services), threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def send(file: Path, content: object, url: str, *options: str) -> tuple[int, str]:
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    ran = CliRunner().invoke(main, ["webhook", "send", str(file), "--url", url, *options])
    return ran.exit_code, ran.output


def test_a_product_record_is_signed_sent_and_taken(
    services: Services, drain: Drain, tmp_path: Path, url: str
) -> None:
    code, output = send(tmp_path / "p.json", record("FIRST"), url)
    assert code == 0 and json.loads(output)["delivery_id"]
    drain()
    assert services.products.get("FIRST")
    deleted = {"type": "product.deleted", "data": {"sku": "FIRST"}}
    assert send(tmp_path / "e.json", deleted, url)[0] == 0


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ("{", (), "is not JSON"),
        ("[]", (), "must be a JSON object"),
        ({"name": "no SKU"}, (), "/data/sku: Missing data"),
        ({"type": "product.made", "data": {"sku": "A"}}, (), "/type: Must be one of"),
        ({"sku": "A"}, ("--connection", "mem"), "known: main"),
        ({"sku": "A", "image": {"front": "https://h/a.jpg"}}, (), 'did you mean "images"'),
        ({"sku": "A", "images": {"front": "a.jpg"}}, (), "dam-connector product add"),
    ],
)
def test_mistakes_are_said_before_anything_is_sent(
    content: object, options: tuple[str, ...], words: str, tmp_path: Path, url: str
) -> None:
    code, output = send(tmp_path / "p.json", content, url, *options)
    assert code == 1 and words in output


def test_a_connection_with_messages_of_its_own_is_told_to_try_them(
    tmp_path: Path, url: str, write_rules: Callable[..., None]
) -> None:
    own = {"adapter": "standard", "secrets": ["env/HOOK_SECRET"], "mapping": {"fields": {"sku": "$.code"}}}
    write_rules(connections={**rules_json()["connections"], "pim": {"own": own}})
    code, output = send(tmp_path / "p.json", record(), url, "--connection", "own")
    assert code == 1 and "it has its own mapping" in output
    assert "dam-connector connection try own FILE" in output


def test_an_address_where_nobody_answers_is_said(tmp_path: Path, url: str) -> None:
    code, output = send(tmp_path / "p.json", record(), "http://127.0.0.1:9")
    assert code == 1 and output.startswith("error: ") and "Traceback" not in output
    assert "dam-connector up" in output


def test_the_service_is_found_where_it_really_listens(
    services: Services, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_steps, "service_address", lambda settings: url)
    file = tmp_path / "p.json"
    file.write_text(json.dumps(record("FIRST")))
    ran = CliRunner().invoke(main, ["webhook", "send", str(file)])
    assert ran.exit_code == 0 and json.loads(ran.output)["new"]


def test_run_of_a_flagged_product_says_why(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support import product

    monkeypatch.setattr(service, "open_services", lambda folder: services)
    intake.add_product(services, product("FLAGGED", images={}), by="test")
    ran = CliRunner().invoke(main, ["run", "FLAGGED"])
    assert ran.exit_code == 1 and "nothing is made until its record is corrected" in ran.output
    assert "images/any" in ran.output
