"""Stages of a review: each decides in its turn, who is asked sees what waits, the first refusal ends it."""

import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.version import VersionState
from dam_connector.errors import ConfigError, StateConflict
from dam_connector.store.users import UserRole
from dam_connector.usecases import intake, review, stages
from dam_connector.wiring import Services
from schemas.rules_loader import load_rules
from tests.support import PhotoServer, picture, product, rules_json

STAGES = {
    "seating": [{"name": "3D artist", "people": ["ann"], "dam": True}, {"name": "brand", "roles": ["admin"]}]
}
ROLES = ("reviewer", "reviewer", "admin", "admin")
Clients = Callable[[str, str], FlaskClient]


@pytest.fixture
def made(
    services: Services, photos: PhotoServer, drain: Callable[[], int], write_rules: Callable
) -> dict[str, str]:
    """A chair with two stages and a lamp without, in review: the ids of their versions."""
    write_rules(deliverables=rules_json()["deliverables"][:1], review={"stages": STAGES})
    photos.files["a.jpg"] = picture()
    for sku, category in (("CHAIR", "seating"), ("LAMP", "lighting")):
        images = {"front": photos.url("a.jpg")}
        intake.add_product(services, product(sku, category=category, images=images), by="test")
    drain()
    return {sku: services.assets.of_product(sku)[0].id for sku in ("CHAIR", "LAMP")}


@pytest.fixture
def client(app, services: Services) -> Clients:
    """A client by name and role."""

    def of(name: str, role: str) -> FlaskClient:
        found = app.test_client()
        app.config["WTF_CSRF_ENABLED"] = False
        user = services.users.add(name, UserRole(role))
        found.post("/login/link/" + services.users.add_login_link(user))
        return found

    return of


def state(services: Services, version_id: str) -> str:
    return services.assets.get(version_id).state.value


def test_each_stage_sees_what_waits_for_it_and_the_last_one_approves(
    made: dict[str, str], client: Clients, services: Services
) -> None:
    ann, bob, eve = client("ann", "reviewer"), client("bob", "reviewer"), client("eve", "admin")
    address = f"/versions/{made['CHAIR']}"
    assert "CHAIR" in ann.get("/review").text and "CHAIR" not in eve.get("/review").text
    assert "CHAIR" in eve.get("/review?waits=all").text and "LAMP" in eve.get("/review").text
    assert "waits for 3D artist: ann" in bob.get(address).text
    assert bob.post(f"{address}/decide", data={"verdict": "approved"}).status_code == 403
    assert "Approve as 3D artist" in ann.get(address).text
    form = {"verdict": "approved", "stage": "3D artist"}
    told = ann.post(f"{address}/decide", data=form, follow_redirects=True).text
    assert "approved; brand is asked now" in told
    assert state(services, made["CHAIR"]) == "in_review"
    assert "CHAIR" not in ann.get("/review").text and "CHAIR" in eve.get("/review").text
    ann.post(f"{address}/undo")
    assert "CHAIR" in ann.get("/review").text
    ann.post(f"{address}/decide", data=form)
    ann.post(f"{address}/decide", data=form)  # sent twice: it is no approval by the next stage
    assert state(services, made["CHAIR"]) == "in_review"
    eve.post(f"{address}/decide", data={"verdict": "approved", "stage": "brand"})
    assert state(services, made["CHAIR"]) == "approved"
    assert [d.stage for d in services.decisions.of_version(made["CHAIR"]) if not d.undone] == [
        "brand",
        "3D artist",
    ]
    eve.post(f"{address}/undo")
    assert state(services, made["CHAIR"]) == "in_review" and "CHAIR" in eve.get("/review").text


def test_the_first_refusal_ends_the_review(made: dict[str, str], client: Clients, services: Services) -> None:
    ann = client("ann", "reviewer")
    data = {"verdict": "rejected", "reasons": "colour", "stage": "3D artist"}
    ann.post(f"/versions/{made['CHAIR']}/decide", data=data)
    assert state(services, made["CHAIR"]) == "rejected"


def test_the_end_of_a_review_is_undone_by_those_of_its_stage(
    made: dict[str, str], client: Clients, services: Services
) -> None:
    ann, bob, eve, zoe = (client(n, r) for n, r in zip(("ann", "bob", "eve", "zoe"), ROLES, strict=True))
    address = f"/versions/{made['CHAIR']}"
    ann.post("/gallery/approve", data={"v": [made["CHAIR"]]})
    eve.post(f"{address}/decide", data={"verdict": "approved", "stage": "brand"})
    for other in (ann, bob):
        assert "Undo the decision" not in other.get(address).text
        assert other.post(f"{address}/undo").status_code == 403
    assert "processed meanwhile" in ann.post("/gallery/undo", follow_redirects=True).text
    assert state(services, made["CHAIR"]) == "approved"
    assert "Undo the decision" in zoe.get(address).text
    zoe.post(f"{address}/undo")
    assert state(services, made["CHAIR"]) == "in_review"


def test_only_the_last_stage_says_when_a_version_goes_live(
    made: dict[str, str], client: Clients, services: Services
) -> None:
    ann, eve = client("ann", "reviewer"), client("eve", "admin")
    address, day = f"/versions/{made['CHAIR']}", {"go_live_at": "2030-01-01T00:00"}
    assert "Go live later" not in ann.get(address).text
    refused = ann.post(f"{address}/decide", data={"verdict": "approved", "stage": "3D artist", **day})
    assert refused.status_code == 422 and not services.decisions.of_version(made["CHAIR"])
    ann.post(f"{address}/decide", data={"verdict": "approved", "stage": "3D artist"})
    assert "Go live later" in eve.get(address).text
    eve.post(f"{address}/decide", data={"verdict": "approved", "stage": "brand", **day})
    assert services.assets.get(made["CHAIR"]).go_live_at.year == 2030  # type: ignore[union-attr]


def test_many_are_decided_only_where_one_is_asked(
    made: dict[str, str], client: Clients, services: Services
) -> None:
    bob = client("bob", "reviewer")
    told = bob.post("/gallery/approve", data={"v": list(made.values())}, follow_redirects=True).text
    assert "1 approved, 1 not in review, or not yours" in told
    assert state(services, made["CHAIR"]) == "in_review" and state(services, made["LAMP"]) == "approved"


def test_the_api_lists_what_waits_for_one_and_refuses_the_rest(
    made: dict[str, str], api: Callable[[str], FlaskClient]
) -> None:
    reviewer, admin = api("reviewer"), api("admin")
    mine = reviewer.get("/api/v1/versions?mine=true").json["items"]
    assert [v["sku"] for v in mine] == ["LAMP"]
    address = f"/api/v1/versions/{made['CHAIR']}/decision"
    refused = reviewer.post(address, json={"verdict": "approved"})
    assert refused.status_code == 403 and "3D artist: ann" in refused.json["error"]["message"]
    assert admin.post(address, json={"verdict": "approved", "stage": "brand"}).status_code == 403


def test_a_decision_in_the_dam_counts_as_its_stage(made: dict[str, str], services: Services) -> None:
    version = services.assets.get(made["CHAIR"])
    assert version is not None
    yes = Decision(verdict=Verdict.APPROVED, by="dam user")
    assert review.decide(services, version, yes, source=version.dam) is False
    with pytest.raises(StateConflict, match="has the approval of 3D artist already"):
        review.decide(services, version, yes, source=version.dam)
    assert stages.progress(services, version).pending.name == "brand"  # type: ignore[union-attr]
    assert services.decisions.current(version.id) is None
    with pytest.raises(StateConflict):
        services.decisions.approved_version(services.assets.get(version.id))  # type: ignore[arg-type]
    assert review.decide(services, version, yes, source="page") is True
    assert state(services, version.id) == VersionState.APPROVED


def test_changed_stages_are_asked_after_a_sweep(
    made: dict[str, str], services: Services, write_rules: Callable
) -> None:
    assert stages.refresh_stages(services) == 2 and stages.refresh_stages(services) == 0
    others = {"*": [{"name": "legal"}]}
    write_rules(deliverables=rules_json()["deliverables"][:1], review={"stages": others})
    assert stages.refresh_stages(services) == 2
    assert services.review_queue.count(("*/legal",)) == 2


@pytest.mark.parametrize(
    ("listed", "problem"),
    [
        ([{"name": "a"}, {"name": "a"}], "same name"),
        ([{"name": "a", "dam": True}, {"name": "b", "dam": True}], "only one stage"),
        ([{"name": "a/b"}], "without /"),
        ([{"name": "a", "roles": ["viewer"]}], "roles/0"),
        ([], "stages/x"),
    ],
)
def test_stages_that_cannot_work_are_refused(listed: list, problem: str) -> None:

    with pytest.raises(ConfigError) as refused:
        load_rules(json.dumps(rules_json(review={"stages": {"x": listed}})))
    assert problem in "\n".join(refused.value.problems)
