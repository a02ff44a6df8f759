"""The pages for admins: failures by cause, connections and their test, refused rules in the navigation."""

import html
import json
import posixpath
import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from dam_connector.domain.issue_codes import CODES
from dam_connector.domain.run import RunState
from dam_connector.errors import Unavailable
from dam_connector.store.tables import runs
from dam_connector.usecases import adopt_known_products, intake
from dam_connector.usecases.adopt_known_products import continue_adoption
from dam_connector.usecases.rules_change import PLAN_LOCK
from dam_connector.web import help_pages
from dam_connector.web.record_links import RecordLinks
from dam_connector.wiring import Services
from tests.support import PhotoServer, event_body, inbound, picture, product, record, signed

Visitor = Callable[[str], FlaskClient]


def test_failed_runs_are_grouped_by_cause_and_retried_together(
    failed: list[str], browser_like: Visitor, services: Services
) -> None:
    client = browser_like("merchandiser")
    page = client.get("/runs?state=failed").text
    count = sum(run.error == "no photo" for run in services.runs.page(state="failed"))
    assert f"Retry {count}" in page and "&lt;b&gt;no credit" in page
    shown = [
        re.findall(r"no photo\s*<|no credit&lt;/b&gt;\s*<|F\d</a>", part)
        for part in page.partition("</main>")[0].split("<h2")[1:]
    ]
    assert [len([x for x in part if x.startswith("no")]) for part in shown] == [1, 1]  # each cause once
    assert sum(len(part) for part in shown) == 2 + len(failed)  # with its runs below it
    assert client.get("/runs").text.count("same cause") == len(failed) - 2
    answer = client.post("/runs/retry", data={"cause": "no photo"}, follow_redirects=True)
    assert f"{count} runs are tried again" in answer.text
    assert {run.error for run in services.runs.page(state="failed")} == {"<b>no credit</b>"}
    again = client.post("/runs/retry", data={"cause": "no photo"}, follow_redirects=True)
    assert "No failed run has this cause" in again.text


def test_inputs_that_cannot_be_used_are_one_cause_whatever_their_figures(
    browser_like: Visitor, services: Services, photos: PhotoServer
) -> None:
    photos.files["front.jpg"] = picture()
    images = {"front": photos.url("front.jpg")}
    for number in range(3):
        intake.add_product(services, product(f"P{number}", images=images), by="t")
        for run in services.runs.page(sku=f"P{number}"):
            leased = services.runs.lease(run.id, "test", 60)
            assert leased
            error = (
                f"model.forecast: The forecast of our own model is 0.{number}1, and the rules ask for 0.5."
            )
            services.runs.finish(leased, RunState.FAILED, error=error)
    count = len(services.runs.page(state="failed"))
    for address in ("/needs", "/runs?state=failed"):
        page = browser_like("admin").get(address).text
        assert page.count(CODES["model.forecast"].meaning) == 1 and page.count(f"Dismiss {count}") == 1
    assert all(f"is 0.{number}1" in page for number in range(3))
    answer = browser_like("merchandiser").post("/runs/dismiss", data={"cause": error}, follow_redirects=True)
    assert answer.status_code == 200 and not services.runs.page(state="failed")


def test_viewers_cannot_retry(failed: list[str], browser_like: Visitor) -> None:
    client = browser_like("viewer")
    assert "Retry" not in client.get("/runs?state=failed").text
    assert client.post("/runs/retry", data={"cause": "no photo"}).status_code == 403


def test_a_connection_shows_its_last_webhook_and_is_tested(browser_like: Visitor, services: Services) -> None:
    client = browser_like("admin")
    page = client.get("/connections").text
    assert "Last webhook" in page and "/connections/main/test" in page
    answer = client.post("/connections/main/test", follow_redirects=True)
    assert answer.status_code == 200 and ">not tested</span>" in answer.text and "by admin" in answer.text
    assert "It only sends webhooks" in answer.text
    assert "has no connection" in client.post("/connections/none/test", follow_redirects=True).text
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
    effect = api("admin").get("/api/v1/rules/plan").json
    assert effect["anew"] == {} and not effect["is_pending"]
    with services.locks.lock(PLAN_LOCK):
        assert api("admin").get("/api/v1/rules/plan").status_code == 409
        assert "try again" in client.get("/rules?effect=1").text
    assert "Nothing to do" not in browser_like("viewer").get("/rules?effect=1").text
    machine = api("viewer")
    assert machine.get("/api/v1/rules/plan").status_code == 403
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
    assert machine.post("/api/v1/adoption/checks").json == {"requested": 0, "next": ""}
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
    for viewer, address in ((browser_like, "/adoption?files=1"), (api, "/api/v1/adoption/plan")):
        assert viewer("viewer").get(address).status_code == 403
    with services.locks.lock(adopt_known_products.PLAN_LOCK):
        answer = machine.get("/api/v1/adoption/plan")
        assert answer.status_code == 409 and "being read already" in answer.text
        assert machine.post("/api/v1/adoption/checks").status_code == 409
        assert "being read already" in client.get("/adoption?files=1").text


def test_pages_of_admins_lead_to_the_records_and_the_documents(
    browser_like: Visitor, services: Services, photos: PhotoServer, drain: Callable[[], int]
) -> None:
    photos.files["a.jpg"] = picture()
    now = services.clock.now()
    body = event_body(record("CH 1", images={"front": photos.url("a.jpg")}), at=now)
    intake.receive_webhook(services, "main", inbound(body, signed(body, at=now), now))
    drain()
    client, chair = browser_like("admin"), services.products.get("CH 1")
    version = services.assets.of_product("CH 1")[0]
    link = f'<a href="/products/{chair.id}">CH 1</a>'
    delivery = services.inbox.page()[0]
    page = client.get(f"/deliveries/{delivery.id}").text
    assert f"{link}: " in page and page.count(link) == 1 + len(services.runs.page(sku="CH 1"))
    page = client.get("/deliveries?connection=main").text
    assert link in page and "Show all connections" in page and link in client.get("/deliveries").text
    page = client.get("/deliveries?connection=other").text
    assert link not in page and "No such delivery of other." in page
    chip = '<a href="/deliveries?state=handled&amp;connection={}" >handled <span class="dim">{}</span></a>'
    assert chip.format("other", 0) in page and ">all</a>" in page
    assert chip.format("main", 1) in client.get("/deliveries?connection=main").text
    for name, ids in (("main", [delivery.id]), ("other", [])):
        listed = client.get(f"/api/v1/deliveries?connection={name}").get_json()
        assert [each["id"] for each in listed["items"]] == ids
    client.post(f"/versions/{version.id}/decide", data={"verdict": "approved"})
    audit = client.get("/audit").text
    assert link in audit and f'<a href="/versions/{version.id}">{version.asset.deliverable} V1</a>' in audit
    for path, document in (
        ("/rules", "/help/configuration.md"),
        ("/connections", "/help/connections/standard.md"),
        ("/adoption", "/help/photos.md#adopting-what-exists"),
        ("/batches/new", "/help/bulk.md"),
    ):
        assert f'href="{document}"' in client.get(path).text, path
        shown = client.get(document).text
        assert "<h1" in shown and ("#" not in document or f'id="{document.partition("#")[2]}"' in shown)
    assert all(f"/help/{name}" in client.get("/help").text for name in help_pages.documents())
    for name in ("none.md", "../README.md", "..%2fREADME.md", "architecture.md", "images/review.jpg"):
        assert client.get(f"/help/{name}").status_code == 404, name


def test_the_help_is_in_groups_and_its_pages_are_below_it(browser_like: Visitor) -> None:
    client = browser_like("viewer")
    index = client.get("/help").text
    assert "Tools for work by hand: <code>dam-worker</code>" in index and "`" not in index
    assert all(f"<h2>{group}</h2>" in index for group in ("First steps", "Connections", "Operations"))
    names = [name for group in help_pages.grouped().values() for name in group]
    assert sorted(names) == sorted(help_pages.documents())
    page = client.get("/help/tools.md").text
    assert "<title>Tools for work by hand: dam-worker ·" in page
    assert re.search(r'href="/help"\s*aria-current="true"', page)


def test_a_text_links_the_longest_sku_with_which_it_begins(app: Flask, services: Services) -> None:
    ids = {}
    for sku in ("LNK", "LNK: 9", "LNK; X", "B1"):
        services.products.upsert(product(sku), connection="", ref=sku, source_time=services.clock.now())
        ids[sku] = services.products.get(sku).id
    with app.test_request_context():
        for text, linked in (
            ("LNK: 9: 3 runs planned; B1: flagged", ["LNK: 9", "B1"]),
            ("LNK: 9 runs planned", ["LNK"]),
            ("LNK; X: flagged; LNK: 2 runs planned", ["LNK; X", "LNK"]),
            ("LNK: 9", ["LNK: 9"]),
            ("B1; GONE: flagged; <b>", ["B1"]),
        ):
            shown = str(RecordLinks(services, [text]).markup(text))
            assert re.findall(r'<a href="/products/(\w+)">', shown) == [ids[sku] for sku in linked], text
            assert html.unescape(re.sub("</?a[^>]*>", "", shown)) == text


@pytest.mark.parametrize("name", help_pages.documents())
def test_links_within_the_documents_lead_to_pages(name: str) -> None:
    _, body = help_pages._read(name)
    for address in re.findall(r'href="([^"]+)"', str(body)):
        if "://" not in address:
            path, _, anchor = address.partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
            assert target in help_pages.documents() and (
                not anchor or f'id="{anchor}"' in help_pages._read(target)[1]
            )
    assert "<img" not in body


def test_notes_of_valid_rules_are_on_the_page_for_admins(
    browser_like: Visitor, write_rules: Callable[..., None]
) -> None:
    write_rules(review={"reasons": ["shape", "shape"]})
    assert "may be meant otherwise" in browser_like("admin").get("/rules").text
    assert "may be meant otherwise" not in browser_like("viewer").get("/rules").text


def test_a_net_whose_file_is_missing_is_said_on_both_pages_of_an_admin(
    browser_like: Visitor, write_rules: Callable[..., None], services: Services
) -> None:
    write_rules(imaging={"net": "isnet.onnx"})
    client = browser_like("admin")
    assert "there is no file" in client.get("/rules").text
    assert "Products are cut out without a net." in client.get("/needs").text
    (services.settings.data_dir / "nets").mkdir()
    (services.settings.data_dir / "nets" / "isnet.onnx").write_bytes(b"x")
    assert "without a net" not in client.get("/rules").text + client.get("/needs").text


def test_a_cause_that_lasts_has_a_remedy_and_no_retry(
    failed: list[str], browser_like: Visitor, services: Services
) -> None:
    product_id = services.products.get("F0").id
    with services.db.write() as c:
        changed = sa.update(runs).where(runs.c.sku == "F0").values(error="source.damaged: It is cut off.")
        c.execute(changed)
    client = browser_like("merchandiser")
    page = client.get("/runs?state=failed").text
    mine = len(services.runs.page(sku="F0"))
    text = re.sub(r"<[^>]+>", " ", page)  # without hidden fields
    assert "source.damaged" not in text and text.count("It is cut off.") == 1  # above its runs
    assert "Upload the picture again at its source." in page
    assert page.count("<button>Retry</button>") == len(failed) - mine
    product_page = client.get(f"/products/{product_id}").text
    assert "It is cut off." in product_page and "missing asset" not in product_page
    assert "missing asset" in client.get(f"/products/{services.products.get('F1').id}").text


def test_failed_deliveries_are_replayed_and_dismissed_by_their_cause(
    browser_like: Visitor, services: Services
) -> None:
    now = services.clock.now()
    for number, error in enumerate(["<b>down", "<b>down", "", "odd"]):
        body = event_body(record(f"D{number}"), at=now)
        headers = signed(body, at=now, message=f"msg_{number}")
        intake.receive_webhook(services, "main", inbound(body, headers, now))
        (new,) = [d for d in services.inbox.page() if d.state == "received"]
        services.inbox.finish(new.id, "failed", error=error)
    admin, client, viewer = (browser_like(role) for role in ("admin", "merchandiser", "viewer"))
    for address in ("/needs", "/deliveries?state=failed"):
        page = admin.get(address).text
        assert "Replay 2" in page and "Dismiss 2" in page and "&lt;b&gt;down" in page
        assert "no cause was recorded" in page
    assert "Replay 2" not in admin.get("/deliveries?state=failed&connection=other").text
    of_other = {"cause": "<b>down", "connection": "other"}
    answer = admin.post("/deliveries/replay", data=of_other)
    assert answer.location == "/deliveries?state=failed&connection=other"
    assert "Dismiss" not in viewer.get("/deliveries?state=failed").text
    assert viewer.post("/deliveries/dismiss", data={"cause": "odd"}).status_code == 403
    cause = {"cause": "<b>down", "from": "needs"}
    answer = admin.post("/deliveries/dismiss", data=cause)
    assert answer.location == "/needs" and "2 deliveries are dismissed" in admin.get("/needs").text
    assert "somebody was faster" in admin.post("/deliveries/dismiss", data=cause, follow_redirects=True).text
    answer = client.post("/deliveries/replay", data={"cause": ""}, follow_redirects=True)
    assert "1 delivery is handled again" in answer.text
    by_key = {d.key: d.state for d in services.inbox.page()}
    assert [by_key[f"msg_{n}"] for n in range(4)] == ["ignored", "ignored", "received", "failed"]
