"""Guest links: they open one scope and nothing else, end when revoked, and what was decided stays."""

import json
import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dam_connector.domain.brought_model import BROUGHT_MODEL
from dam_connector.domain.comment import PictureAnchor
from dam_connector.domain.guest_link import GuestScope
from dam_connector.domain.product import INSPIRATION, Capture
from dam_connector.usecases import comments, guests, intake
from dam_connector.wiring import Services
from tests.support import PhotoServer, TestClock, picture, product, rules_json


@pytest.fixture
def made(
    services: Services, photos: PhotoServer, drain: Callable[[], int], write_rules: Callable
) -> dict[str, str]:
    """Two chairs and a lamp in review: the ids of their versions."""
    write_rules(deliverables=rules_json()["deliverables"][:1])
    for number, (sku, category) in enumerate((("A1", "seating"), ("A2", "seating"), ("B1", "lighting"))):
        photos.files[f"{sku}.jpg"] = picture(ground=225 + 8 * number)
        images = {"front": photos.url(f"{sku}.jpg")}
        intake.add_product(services, product(sku, category=category, images=images), by="test")
    drain()
    return {sku: services.assets.of_product(sku)[0].id for sku in ("A1", "A2", "B1")}


Enter = Callable[..., FlaskClient]


@pytest.fixture
def enter(app: Flask, services: Services) -> Enter:
    """A client of a guest, by the scope of the link."""
    app.config["WTF_CSRF_ENABLED"] = False

    def of(scope: str = "category", value: str = "seating", *, may_decide: bool = True) -> FlaskClient:
        _, secret = guests.create(
            services,
            name=f"Blue {len(links) + 1}" if (links := services.guest_links.all()) else "Blue",
            scope=GuestScope(scope),
            value=value,
            may_decide=may_decide,
            days=7,
            by="eve",
        )
        client = app.test_client()
        assert "Open the review" in client.get(f"/guest/{secret}").text
        assert client.post(f"/guest/{secret}").location == "/guest/review"
        return client

    return of


def state(services: Services, version_id: str) -> str:
    return services.assets.get(version_id).state.value


def test_a_guest_sees_its_scope_and_nothing_else(
    made: dict[str, str], enter: Enter, services: Services, app: Flask
) -> None:
    guest = enter()
    page = guest.get("/guest/review").text
    assert made["A1"] in page and made["A2"] in page and made["B1"] not in page
    assert guest.get(f"/guest/versions/{made['A1']}").status_code == 200
    assert guest.get(f"/guest/versions/{made['A1']}/photos/front").status_code == 200
    other = services.assets.get(made["B1"]).files[0]
    own = services.assets.get(made["A1"]).files[0]
    assert guest.get(f"/files/{own.sha256}/{own.name}").status_code == 200
    assert guest.get(f"/files/{other.sha256}/{other.name}").status_code == 404
    assert app.test_client().get(f"/files/{own.sha256}/{own.name}").status_code == 404


def test_a_guest_gets_the_photos_that_its_page_shows_and_no_other_source(
    made: dict[str, str], enter: Enter, services: Services
) -> None:
    record, held = services.products.get("A1"), services.blobs.put(picture(ground=200))
    others = (BROUGHT_MODEL, *(kind.key(1) for kind in Capture))
    sources = {**record.sources, **dict.fromkeys((INSPIRATION, *others), held)}
    services.products.set_findings("A1", sources, ())
    guest, address = enter(may_decide=False), f"/guest/versions/{made['A1']}"
    shown = re.findall(r'src="/guest/versions/\w+/photos/(\w+)"', guest.get(address).text)
    assert shown == ["front", INSPIRATION]
    assert [guest.get(f"{address}/photos/{key}").status_code for key in shown] == [200, 200]
    assert [guest.get(f"{address}/photos/{key}").status_code for key in others] == [404] * len(others)


def test_no_route_answers_a_guest_beyond_its_scope(
    made: dict[str, str], enter: Enter, app: Flask, services: Services
) -> None:
    """Each route that names a version refuses one of another scope; each other page needs a login."""
    guest, product_id = enter(), services.products.get("B1").id
    open_to_all = {
        "static",
        "auth",
        "health",
        "viewer",
        "feeds",
        "static_files",
        "api-docs",
        "files",
        "guests",
        "sign_on",
        "metrics",  # has a token of its own
    }
    values = {"version_id": made["B1"], "product_id": product_id, "view": "front", "sha256": "0" * 64}
    for rule in app.url_map.iter_rules():
        rule_text = re.sub(r"<any\((\w+)[^>]*>", r"\1", rule.rule)
        address = re.sub(r"<(?:[^:>]+:)?(\w+)>", lambda m: values.get(m[1], "x"), rule_text)
        of_guests = rule.endpoint.startswith("guests.") and "version_id" in rule.arguments
        if rule.endpoint.split(".")[0] in open_to_all and not of_guests:
            continue
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            answer = guest.open(address, method=method)
            refusals = (404,) if of_guests else (302, 401)
            assert answer.status_code in refusals, (method, rule, answer.status_code)
    assert guest.get("/guests").status_code == 302 and guest.post("/guests").status_code == 401
    assert {v.state.value for v in services.assets.page()} == {"in_review"}


def test_what_a_guest_decided_stays_when_the_link_is_revoked(
    made: dict[str, str], enter: Enter, services: Services, browser_like: Callable[[str], FlaskClient]
) -> None:
    guest = enter()
    anchor = json.dumps({"x": 0.5, "y": 0.5})
    guest.post(f"/guest/versions/{made['A1']}/comment", data={"comment": "warmer", "anchor": anchor})
    guest.post(f"/guest/versions/{made['A1']}/decide", data={"verdict": "rejected", "reasons": "colour"})
    no_reason = guest.post(
        f"/guest/versions/{made['A2']}/decide", data={"verdict": "rejected"}, follow_redirects=True
    )
    assert "Choose a reason" in no_reason.text and state(services, made["A2"]) == "in_review"
    admin = browser_like("admin")
    (link,) = services.guest_links.all()
    assert "Blue" in admin.get("/guests").text
    admin.post(f"/guests/{link.id}/revoke")
    assert guest.get("/guest/review").status_code == 401
    assert "This link is closed" in guest.get(f"/guest/versions/{made['A1']}").text
    assert guest.post(f"/guest/versions/{made['A2']}/decide", data={"verdict": "approved"}).status_code == 401
    assert state(services, made["A1"]) == "rejected" and state(services, made["A2"]) == "in_review"
    version = services.assets.get(made["A1"])
    assert services.decisions.of_version(version.id)[0].decision.by == "Blue (guest)"
    assert services.comments.of_version(version)[0].anchor == PictureAnchor(x=0.5, y=0.5)
    actions = [entry.action for entry in services.audit.page()]
    assert {"guest_link_added", "guest_link_used", "guest_link_revoked", "rejected"} <= set(actions)


def test_a_closed_link_says_so_at_once_and_what_was_not_stored(
    made: dict[str, str],
    services: Services,
    app: Flask,
    enter: Enter,
    browser_like: Callable[[str], FlaskClient],
) -> None:
    guest, admin = enter(), browser_like("admin")
    (link,) = services.guest_links.all()
    assert "The link is revoked" in admin.post(f"/guests/{link.id}/revoke", follow_redirects=True).text
    assert "closed already" in admin.post(f"/guests/{link.id}/revoke", follow_redirects=True).text
    sent = guest.post(f"/guest/versions/{made['A1']}/decide", data={"verdict": "approved"})
    assert sent.status_code == 401 and "This link is closed" in sent.text
    assert "sent just now is not stored" in sent.text and "Log in" not in sent.text
    read = guest.get("/guest/review").text
    assert "This link is closed" in read and "sent just now" not in read
    followed = app.test_client().get("/guest/no-such-secret")
    assert followed.status_code == 401 and "Open the review" not in followed.text


def test_a_link_to_comment_does_not_decide_and_hides_what_the_team_says(
    made: dict[str, str], enter: Enter, services: Services
) -> None:
    guest = enter("sku", "A1", may_decide=False)
    comments.add(services, services.assets.get(made["A1"]), text="internal words", by="ann")
    page = guest.get(f"/guest/versions/{made['A1']}").text
    assert "Approve" not in page and "internal words" not in page
    refused = guest.post(f"/guest/versions/{made['A1']}/decide", data={"verdict": "approved"})
    assert refused.status_code == 422 and state(services, made["A1"]) == "in_review"
    assert guest.get(f"/guest/versions/{made['A2']}").status_code == 404


def test_a_link_expires(made: dict[str, str], enter: Enter, clock: TestClock) -> None:
    guest = enter()
    clock.forward(8 * 86_400)
    assert guest.get("/guest/review").status_code == 401


def test_with_stages_a_guest_decides_only_in_its_own(
    made: dict[str, str], services: Services, enter: Enter, write_rules: Callable
) -> None:
    guest = enter()
    people = {"*": [{"name": "agency", "people": ["x"]}]}
    write_rules(deliverables=rules_json()["deliverables"][:1], review={"stages": people})
    address = f"/guest/versions/{made['A1']}/decide"
    assert guest.post(address, data={"verdict": "approved"}).status_code == 422
    _, secret = guests.create(
        services,
        name="Agency",
        scope=GuestScope.SKU,
        value="A1",
        may_decide=True,
        days=1,
        by="eve",
        stage="agency",
    )
    guest.post(f"/guest/{secret}")
    assert guest.post(address, data={"verdict": "approved"}).status_code == 302
    assert state(services, made["A1"]) == "approved"


def test_links_by_api_and_page_name_what_exists(
    made: dict[str, str],
    api: Callable[[str], FlaskClient],
    browser_like: Callable[[str], FlaskClient],
    services: Services,
) -> None:
    body = {"name": "Blue", "scope": "sku", "value": "A1"}
    assert api("reviewer").post("/api/v1/guest-links", json=body).status_code == 403
    answer = api("admin").post("/api/v1/guest-links", json=body)
    assert answer.status_code == 201 and "/guest/" in answer.json["url"]
    listed = api("admin").get("/api/v1/guest-links")
    assert answer.json["url"].rpartition("/")[2] not in listed.text
    assert api("admin").post("/api/v1/guest-links", json={**body, "value": "none"}).status_code == 422
    assert api("admin").post(f"/api/v1/guest-links/{answer.json['id']}/revoke").status_code == 200
    assert api("admin").post(f"/api/v1/guest-links/{answer.json['id']}/revoke").status_code == 404
    form = {"name": "Red", "scope": "category", "value": "seating", "right": "decide", "days": "3"}
    assert "cannot be shown again" in browser_like("admin").post("/guests", data=form).text
    told = browser_like("admin").post("/guests", data={**form, "value": "x"}, follow_redirects=True)
    assert "there is no category" in told.text.replace("&#39;", "'")
    near = browser_like("admin").post("/guests", data={**form, "name": "Pink", "value": "seatin"})
    assert "did you mean &#39;seating&#39;?<" in near.text and '<option value="A1">' in near.text
    for number, (scope, value) in enumerate([("category", " Seating "), ("sku", "a1")]):
        posted = {**form, "name": f"Case {number}", "scope": scope, "value": value}
        assert "Copy the link" in browser_like("admin").post("/guests", data=posted).text
    assert {link.value for link in services.guest_links.all()} == {"A1", "seating"}


@pytest.mark.parametrize("days", ["9" * 5000, "0", "91", "²", ""])
def test_days_that_are_none_are_refused(days: str, browser_like: Callable[[str], FlaskClient]) -> None:
    form = {"name": "Red", "scope": "category", "value": "seating", "days": days}
    answer = browser_like("admin").post("/guests", data=form)
    assert answer.status_code == 422 and "1 to 90 days" in answer.text


def test_a_pin_that_cannot_be_read_is_refused(
    made: dict[str, str], enter: Enter, browser_like: Callable[[str], FlaskClient]
) -> None:
    form = {"comment": "darker", "anchor": "[" * 2000}
    for client, address in ((enter(), "/guest/versions"), (browser_like("reviewer"), "/versions")):
        assert client.post(f"{address}/{made['A1']}/comment", data=form).status_code == 400


@pytest.mark.parametrize("name", ["Blue", " Blue ", "\n", " ", "x\u202ey"])
def test_each_link_has_a_visible_name_of_its_own_and_reads_no_thread_of_another(
    name: str, made: dict[str, str], enter: Enter, api: Callable[[str], FlaskClient]
) -> None:
    enter("sku", "A1")
    answer = api("admin").post("/api/v1/guest-links", json={"name": name, "scope": "sku", "value": "A1"})
    assert answer.status_code == 422 and "name" in answer.json["error"]["message"]


def test_a_decision_about_a_deleted_product_says_so(
    made: dict[str, str], enter: Enter, services: Services, browser_like: Callable[[str], FlaskClient]
) -> None:
    guest, reviewer, record = enter(), browser_like("reviewer"), services.products.get("A1")
    services.clock.forward(1)
    assert services.products.mark_deleted(record.connection, record.ref, services.clock.now()) == 1
    form = {"verdict": "approved"}
    for client, address in ((guest, "/guest/versions"), (reviewer, "/versions")):
        told = client.post(f"{address}/{made['A1']}/decide", data=form, follow_redirects=True).text
        assert "deleted" in told and "faster" not in told, address
    assert state(services, made["A1"]) == "in_review"
    form = {"verdict": "rejected", "reasons": "colour"}
    guest.post(f"/guest/versions/{made['A1']}/decide", data=form)
    assert state(services, made["A1"]) == "rejected"


def test_a_comment_over_the_limit_is_refused_with_it_and_shown_again(
    made: dict[str, str], enter: Enter, services: Services, browser_like: Callable[[str], FlaskClient]
) -> None:
    guest, reviewer, version = enter(), browser_like("reviewer"), services.assets.get(made["A1"])
    pin = json.dumps({"x": 0.5, "y": 0.5})
    for client, address in ((guest, "/guest/versions"), (reviewer, "/versions")):
        data = {"comment": "colour " * 7000 + "end", "anchor": pin}
        answer = client.post(f"{address}/{version.id}/comment", data=data)
        assert answer.status_code == 422 and "at most 2,000 characters" in answer.text
        assert "this one has 49,003" in answer.text and "colour end" in answer.text
        assert pin.replace('"', "&#34;") in answer.text
        note = client.post(f"{address}/{version.id}/decide", data={"verdict": "approved", "note": "x" * 2001})
        assert note.status_code == 422 and "At most 2,000 characters" in note.text
        assert ('href="/guest/review"' in note.text) == (client is guest)  # the way back is a guest's own
    assert services.comments.of_version(version) == [] and state(services, version.id) == "in_review"
    guest.post(f"/guest/versions/{version.id}/comment", data={"comment": "x\r\n" * 999 + "xx"})
    (stored,) = services.comments.of_version(version)
    assert len(stored.text) == 2000  # an end of a line is one character


def test_a_link_to_decide_needs_its_stage_where_stages_decide(
    made: dict[str, str],
    services: Services,
    api: Callable[[str], FlaskClient],
    browser_like: Callable[[str], FlaskClient],
    write_rules: Callable,
) -> None:
    stages = {"seating": [{"name": "3D artist"}, {"name": "brand"}], "lighting": [{"name": "light"}]}
    write_rules(deliverables=rules_json()["deliverables"][:1], review={"stages": stages})
    admin, page = api("admin"), browser_like("admin")
    link = {"scope": "category", "value": "seating", "may_decide": True}
    for scope, value in (("category", "seating"), ("sku", "A1")):
        body = {**link, "name": f"no stage {scope}", "scope": scope, "value": value}
        answer = admin.post("/api/v1/guest-links", json=body)
        assert answer.status_code == 422 and "3D artist, brand" in answer.json["error"]["message"]
    other = admin.post("/api/v1/guest-links", json={**link, "name": "other", "stage": "light"})
    assert other.status_code == 422 and "3D artist, brand" in other.json["error"]["message"]
    assert admin.post("/api/v1/guest-links", json={**link, "name": "A", "stage": "brand"}).status_code == 201
    assert (
        admin.post("/api/v1/guest-links", json={**link, "name": "B", "may_decide": False}).status_code == 201
    )
    form = {"name": "Kept Name", "scope": "category", "value": "seating", "right": "decide", "days": "3"}
    told = page.post("/guests", data=form)
    assert told.status_code == 422 and "3D artist, brand" in told.text and 'value="Kept Name"' in told.text
    assert {entry.name for entry in services.guest_links.all()} == {"A", "B"}


def test_a_guest_replies_in_its_own_threads_only(
    made: dict[str, str], enter: Enter, services: Services
) -> None:
    guest, version = enter(), services.assets.get(made["A1"])
    internal = comments.add(services, version, text="internal", by="ann")
    address = f"/guest/versions/{version.id}/comment"
    guest.post(address, data={"comment": "warmer"})
    own = next(c for c in services.comments.of_version(version) if c.text == "warmer")
    comments.add(services, version, text="like this?", by="ann", parent_id=own.id)
    assert (
        "like this?" in (page := guest.get(f"/guest/versions/{version.id}").text) and "Reply to Blue" in page
    )
    assert guest.post(address, data={"comment": "yes", "parent": own.id}).status_code == 302
    assert guest.post(address, data={"comment": "let me in", "parent": internal}).status_code == 404
    replies = [c.text for c in services.comments.of_version(version) if c.parent_id == own.id]
    assert replies == ["like this?", "yes"] and "Resolve" not in page
    other = enter()
    assert other.post(address, data={"comment": "me too", "parent": own.id}).status_code == 404


def test_who_answers_with_a_secret_does_not_call_itself_safe_to_repeat(
    made: dict[str, str], api: Callable[[str], FlaskClient]
) -> None:
    admin, body = api("admin"), {"name": "Blue", "scope": "sku", "value": "A1"}
    keyed = admin.post("/api/v1/guest-links", json=body, headers={"Idempotency-Key": "k"})
    (problem,) = keyed.json["error"]["problems"]
    assert keyed.status_code == 422 and "secret" in problem and "safe" not in problem
    assert admin.post("/api/v1/guest-links", json=body).status_code == 201
    repeated = admin.post("/api/v1/guest-links", json=body)
    assert repeated.status_code == 422 and "take another" in repeated.json["error"]["message"]
    operation = admin.get("/api/openapi.json").json["paths"]["/api/v1/guest-links"]["post"]
    assert (
        "Takes no Idempotency-Key" in operation["description"]
        and "name is given once" in operation["description"]
    )
