"""Guest links: they open one scope and nothing else, end when revoked, and what was decided stays."""

import json
import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dam_connector.domain.comment import PictureAnchor
from dam_connector.store.guest_links import GuestScope
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


@pytest.mark.parametrize("name", ["Blue", " Blue ", "\n", " ", "x\u202ey"])
def test_each_link_has_a_visible_name_of_its_own_and_reads_no_thread_of_another(
    name: str, made: dict[str, str], enter: Enter, api: Callable[[str], FlaskClient]
) -> None:
    enter("sku", "A1")
    answer = api("admin").post("/api/v1/guest-links", json={"name": name, "scope": "sku", "value": "A1"})
    assert answer.status_code == 422 and "name" in answer.json["error"]["message"]
