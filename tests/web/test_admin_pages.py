"""The pages for admins: failures by cause, connections and their test, refused rules in the navigation."""

import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from dam_connector.domain.run import RunState
from dam_connector.errors import Unavailable
from dam_connector.usecases import intake
from dam_connector.usecases.known_adoption import continue_adoption
from dam_connector.wiring import Services
from tests.support import PhotoServer, picture, product

Visitor = Callable[[str], FlaskClient]


@pytest.fixture
def failed(services: Services, photos: PhotoServer) -> list[str]:
    """Three failed runs of two causes."""
    photos.files["front.jpg"] = picture()
    images = {"front": photos.url("front.jpg")}
    for number, cause in enumerate(["no photo", "no photo", "<b>no credit</b>"]):
        intake.add_product(services, product(f"F{number}", images=images), by="test")
        for run in services.runs.page(sku=f"F{number}"):
            leased = services.runs.lease(run.id, "test", 60)
            assert leased
            services.runs.finish(leased, RunState.FAILED, error=cause)
    return [run.id for run in services.runs.page(state="failed")]


def test_failed_runs_are_grouped_by_cause_and_retried_together(
    failed: list[str], browser_like: Visitor, services: Services
) -> None:
    client = browser_like("merchandiser")
    page = client.get("/runs?state=failed").text
    count = sum(run.error == "no photo" for run in services.runs.page(state="failed"))
    assert f"Retry {count}" in page and "&lt;b&gt;no credit" in page
    answer = client.post("/runs/retry", data={"cause": "no photo"}, follow_redirects=True)
    assert f"{count} runs are tried again" in answer.text
    assert {run.error for run in services.runs.page(state="failed")} == {"<b>no credit</b>"}
    again = client.post("/runs/retry", data={"cause": "no photo"}, follow_redirects=True)
    assert "No failed run has this cause" in again.text


def test_viewers_cannot_retry(failed: list[str], browser_like: Visitor) -> None:
    client = browser_like("viewer")
    assert "Retry" not in client.get("/runs?state=failed").text
    assert client.post("/runs/retry", data={"cause": "no photo"}).status_code == 403


def test_a_connection_shows_its_last_webhook_and_is_tested(browser_like: Visitor, services: Services) -> None:
    client = browser_like("admin")
    page = client.get("/connections").text
    assert "Last webhook" in page and "/connections/main/test" in page
    answer = client.post("/connections/main/test", follow_redirects=True)
    assert answer.status_code == 200 and ("main works" in answer.text or "main does not work" in answer.text)
    assert "there is no connection" in client.post("/connections/none/test", follow_redirects=True).text
    assert browser_like("reviewer").post("/connections/main/test").status_code == 403


def test_a_refused_plugin_json_is_marked_on_every_page(browser_like: Visitor, services: Services) -> None:
    client = browser_like("viewer")
    assert "count alarm" not in client.get("/batches").text
    good = services.settings.plugin_json.read_text()
    services.settings.plugin_json.write_text("{")
    client.get("/batches")
    assert 'Rules <span class="count alarm">errors</span>' in client.get("/batches").text
    services.settings.plugin_json.write_text(good)


def test_the_effect_of_rules_is_shown_and_applied_by_an_admin(
    browser_like: Visitor, api: Visitor, services: Services
) -> None:
    client = browser_like("admin")
    assert "Show what applying it does" in client.get("/rules").text
    page = client.get("/rules?effect=1").text
    assert "Nothing to do" in page and "/rules/apply" in page
    stale = client.post("/rules/apply", data={"fingerprint": "another"}, follow_redirects=True).text
    assert "Not applied: plugin.json has changed since" in stale
    assert "is being applied" in client.post("/rules/apply", follow_redirects=True).text
    assert browser_like("reviewer").post("/rules/apply").status_code == 403
    machine = api("viewer")
    effect = machine.get("/api/v1/rules/plan").json
    assert effect["anew"] == {} and not effect["is_pending"]
    asked = {"fingerprint": effect["fingerprint"]}
    assert machine.post("/api/v1/rules/apply", json=asked).status_code == 403


def test_finished_files_are_shown_and_adopted_by_an_admin(
    browser_like: Visitor, api: Visitor, services: Services, drain: Callable[[], int]
) -> None:
    client, machine = browser_like("admin"), api("admin")
    assert "Not begun: /adopt" in client.post("/adoption/checks", follow_redirects=True).text
    assert machine.post("/api/v1/adoption/checks").status_code == 409
    assert "has no section" in client.get("/adoption").text
    assert "Not begun: /adopt" in client.post("/adoption", follow_redirects=True).text
    assert machine.get("/api/v1/adoption/plan").json["problem"].startswith("/adopt: say where")
    assert machine.post("/api/v1/adoption").status_code == 409
    rules = json.loads(services.settings.plugin_json.read_text())
    rules["connections"]["dam"]["shelf"] = {"adapter": "memory"}
    rules["adopt"] = {"packshot": {"dam": "shelf", "names": ["{sku}_shot"]}}
    services.settings.plugin_json.write_text(json.dumps(rules))
    services.dam("shelf").put_photo("1", picture(), name="CH123_shot.jpg")  # type: ignore[attr-defined]
    services.products.upsert(product(), connection="", ref="CH123", source_time=services.clock.now())
    assert "Show what would be adopted" in client.get("/adoption").text
    page = client.get("/adoption?files=1").text
    assert "1 of 1 finished files" in page and "CH123_shot.jpg" in page and "<td>rita</td>" in page
    plan = machine.get("/api/v1/adoption/plan").json
    assert plan["adoptable"] == 1 and plan["rows"][0]["name"] == "CH123_shot.jpg"
    assert "not checked yet" in page and "1 files are being checked" in (
        client.post("/adoption/checks", follow_redirects=True).text
    )
    assert machine.get("/api/v1/adoption/plan").json["waiting"] == 1
    assert machine.post("/api/v1/adoption/checks").json == {"requested": 0}
    drain()
    assert "checked, good" in client.get("/adoption?files=1").text
    assert machine.post("/api/v1/adoption").json["progress"]["done"] is False
    assert machine.post("/api/v1/adoption").status_code == 409  # under way
    assert "They are being adopted" in client.get("/adoption").text
    while continue_adoption(services):
        pass
    assert machine.get("/api/v1/adoption").json["progress"] == {
        "by": "admin",
        "adopted": 1,
        "done": True,
        "problem": "",
    }
    drain()
    (version,) = services.assets.of_product("CH123")
    assert "Make V1 live<" in client.get(f"/versions/{version.id}").text
    services.dam("shelf").fail_with = Unavailable("shelf", "finished_files", "away")
    assert "away" in client.get("/adoption?files=1").text
    assert browser_like("reviewer").post("/adoption").status_code == 403
