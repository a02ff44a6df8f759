"""Comments: pins, threads and mentions on pages and in the API; the next version shows and resolves them."""

import json
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from dam_connector.domain.comment import ModelAnchor, PictureAnchor, mentioned_names
from dam_connector.domain.event import Decision, Verdict
from dam_connector.store.users import UserRole
from dam_connector.usecases import comments, intake, review
from dam_connector.usecases.dam_sync.outbound import decision_with_comments
from dam_connector.wiring import Services
from tests.support import PhotoServer, picture, product, rules_json

Api = Callable[[str], FlaskClient]
ON_MODEL = {"point": [0.1, 0.42, 0.2], "normal": [0, 0, 1], "orbit": [35, 72, 2], "target": [0, 0.4, 0]}


@pytest.fixture
def version_id(
    services: Services, photos: PhotoServer, drain: Callable[[], int], write_rules: Callable
) -> str:
    """A packshot in review."""
    write_rules(deliverables=rules_json()["deliverables"][:1])
    photos.files["a.jpg"] = picture()
    intake.add_product(services, product("A1", images={"front": photos.url("a.jpg")}), by="test")
    drain()
    return services.assets.of_product("A1")[0].id


def test_a_pin_is_shown_on_the_next_version_told_to_its_maker_and_resolved(
    version_id: str, browser_like: Callable[[str], FlaskClient], services: Services, drain: Callable[[], int]
) -> None:
    client = browser_like("reviewer")
    address = f"/versions/{version_id}"
    form = {"comment": "<b>darker</b> here", "anchor": json.dumps({"x": 0.2, "y": 0.1})}
    client.post(f"{address}/comment", data=form)
    (pinned,) = services.comments.of_version(services.assets.get(version_id))
    client.post(f"{address}/comment", data={"comment": "like the swatch", "parent": pinned.id})
    page = client.get(address).text
    assert "&lt;b&gt;darker" in page and "Upper left, 20 % from the left and 10 % from the top" in page
    assert "like the swatch" in page and "data-anchor=" in page
    client.post(f"{address}/regenerate", data={"note": "again"})
    (run,) = services.runs.page(state="queued")
    assert services.runs.get(run.id).note.startswith("again; <b>darker</b> here (upper left")
    drain()
    newer = next(v for v in services.assets.of_product("A1") if v.number == 2)
    assert "on V1" in client.get(f"/versions/{newer.id}").text
    client.post(f"/versions/{newer.id}/comments/{pinned.id}/resolve")
    assert "Resolved by V2 (reviewer" in client.get(f"/versions/{newer.id}").text
    assert review._wishes(services, newer, "") == ""
    client.post(f"/versions/{newer.id}/comments/{pinned.id}/reopen")
    assert "Resolved by" not in client.get(f"/versions/{newer.id}").text
    bad = client.post(f"{address}/comment", data={"comment": "x", "anchor": '{"x": 2, "y": NaN}'})
    assert bad.status_code == 400 and "place it again" in bad.text
    events = [h.event for h in services.history.entries(version_id=newer.id)]
    assert events[:2] == ["comment_reopened", "comment_resolved"]


def test_open_comments_go_into_the_note_of_the_dam(version_id: str, services: Services) -> None:
    version = services.assets.get(version_id)
    assert version is not None
    comments.add(services, version, text="no label", by="ann", anchor=PictureAnchor(x=0.5, y=0.5))
    decision = Decision(verdict=Verdict.REJECTED, by="ann", reasons=("colour",), note="redder")
    review.decide(services, version, decision, source="page")
    note = decision_with_comments(services, version).note  # type: ignore[union-attr]
    assert note == "redder; no label (middle, 50 % from the left and 50 % from the top)"


def test_who_is_mentioned_sees_it_until_it_is_resolved(
    version_id: str, browser_like: Callable[[str], FlaskClient], api: Api, services: Services
) -> None:
    services.users.add("ann.b", UserRole.REVIEWER)
    client = browser_like("viewer")
    assert "Mentions" not in client.get("/review").text
    written = api("reviewer").post(
        f"/api/v1/versions/{version_id}/comments",
        json={"text": "@Viewer and @ann.b. @nobody, mail x@viewer", "anchor": ON_MODEL},
    )
    assert written.status_code == 201
    (comment,) = written.json["comments"]
    assert comment["mentions"] == ["ann.b", "viewer"]
    assert comment["anchor"]["text"] == "on the front side, 42 cm above the ground"
    assert "Mentions" in client.get("/review").text
    assert "<strong>reviewer</strong> @Viewer" in client.get("/mentions").text
    resolve = f"/api/v1/versions/{version_id}/comments/{comment['id']}/resolve"
    assert api("viewer").post(resolve).status_code == 403
    assert api("reviewer").post(resolve).json["resolved_number"] == 1
    assert "Nobody waits" in client.get("/mentions").text


@pytest.mark.parametrize(
    "anchor",
    [
        {"x": 0.5},
        {"x": 1.2, "y": 0},
        {"x": 0.8, "y": 0.5, "width": 0.5, "height": 0.1},
        {"x": 0.5, "y": 0.5, "point": [0, 0, 0]},
        {**ON_MODEL, "normal": [0, 0, 0]},
        {**ON_MODEL, "point": [0, 1]},
        {**ON_MODEL, "x": 0.5},
        {**ON_MODEL, "orbit": ["35", 72, 2]},
    ],
)
def test_a_pin_that_is_nowhere_is_refused(version_id: str, api: Api, anchor: dict) -> None:
    answer = api("reviewer").post(
        f"/api/v1/versions/{version_id}/comments", json={"text": "x", "anchor": anchor}
    )
    assert answer.status_code == 422


def test_replies_and_resolutions_belong_to_the_thread(version_id: str, api: Api) -> None:
    client, address = api("reviewer"), f"/api/v1/versions/{version_id}/comments"

    def write(text: str, parent_id: str = "") -> dict:
        written = client.post(address, json={"text": text, "parent_id": parent_id})
        return dict(written.json["comments"][-1])

    first = write("first")["id"]
    reply = write("second", first)
    assert reply["parent_id"] == first
    assert write("third", reply["id"])["parent_id"] == first
    assert client.post(f"{address}/{reply['id']}/resolve").status_code == 404
    assert client.post(address, json={"text": "x", "parent_id": "com_none"}).status_code == 404
    assert client.post(address, json={"text": "   "}).status_code == 422
    assert len(client.get(address).json["items"]) == 3


def test_places_and_names_in_words() -> None:
    assert mentioned_names("@ANN, (@bob) mail@ann @ann.", ["ann", "bob", "carl"]) == ("ann", "bob")
    anchor = PictureAnchor(x=0.7, y=0.7, width=0.2, height=0.2)
    assert anchor.text == "lower right, 80 % from the left and 80 % from the top"
    left = ModelAnchor(point=(0, 1, 0), normal=(-0.9, 0.1, 0), orbit=(0, 0, 1), target=(0, 0, 0))
    assert left.text == "on the left side, 100 cm above the ground"
