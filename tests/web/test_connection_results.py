"""The result of a connection's test stays beside the connection: what was proved, what failed, the remedy."""

import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from dam_connector.errors import ConfigError, Refused
from dam_connector.usecases.connection_tests import REMEDIES, last_tests, run_test
from dam_connector.wiring import Services

Visitor = Callable[[str], FlaskClient]


@pytest.fixture
def shelf(services: Services) -> Services:
    """Rules with a DAM in memory."""
    rules = json.loads(services.settings.plugin_json.read_text())
    rules["connections"]["dam"]["shelf"] = {"adapter": "memory"}
    services.settings.plugin_json.write_text(json.dumps(rules))
    return services


def test_what_works_stays_on_the_page_with_the_steps(shelf: Services, browser_like: Visitor) -> None:
    client = browser_like("admin")
    assert client.get("/connections").text.count("never") == len(
        [name for name in client.get("/connections").text.split('id="connection-')][1:]
    )
    answer = client.post("/connections/shelf/test")
    assert answer.status_code == 302 and answer.location.endswith("/connections#connection-shelf")
    for viewer in (client, browser_like("viewer")):
        page = viewer.get("/connections").text
        assert ">works</span>" in page and "by admin" in page and "the file was removed again" in page
        assert "What failed" not in page


def test_what_fails_stays_with_the_step_and_the_remedy(
    shelf: Services, browser_like: Visitor, api: Visitor
) -> None:
    client = browser_like("admin")
    refusal = Refused("shelf", "push", "<b>may not write</b>")
    shelf.dam("shelf").fail_with = refusal  # type: ignore[attr-defined]
    client.post("/connections/shelf/test")
    page = client.get("/connections").text
    remedy = next(text for kind, text in REMEDIES if kind is Refused)
    assert "&lt;b&gt;may not write" in page and remedy in page and ">failed</span>" in page
    found = {c["name"]: c["last_test"] for c in api("viewer").get("/api/v1/connections").json}
    assert found["main"] is None and found["shelf"]["remedy"] == remedy
    assert found["shelf"]["good"] is False and found["shelf"]["by"] == "admin"
    api("admin").post("/api/v1/connections/shelf/test")
    assert ">works</span>" in client.get("/connections").text


def test_a_result_of_other_settings_is_marked(shelf: Services, browser_like: Visitor) -> None:
    assert list(run_test(shelf, "shelf", by="ann")) and last_tests(shelf)["shelf"].good
    rules = json.loads(shelf.settings.plugin_json.read_text())
    rules["connections"]["dam"]["shelf"] = {"adapter": "library"}
    shelf.settings.plugin_json.write_text(json.dumps(rules))
    assert last_tests(shelf)["shelf"].is_outdated
    assert "changed in plugin.json since" in browser_like("viewer").get("/connections").text


def test_a_connection_that_is_gone_leaves_no_result(shelf: Services, browser_like: Visitor) -> None:
    with pytest.raises(ConfigError):
        list(run_test(shelf, "none", by="ann"))
    assert last_tests(shelf) == {}
    page = browser_like("admin").post("/connections/none/test", follow_redirects=True).text
    assert "no connection" in page
