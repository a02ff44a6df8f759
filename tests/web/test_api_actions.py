"""The API's actions: uploads and batches, many versions, comments, connections, users, strict input."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from flask.testing import FlaskClient

from dam_connector.usecases import reconciliation
from dam_connector.usecases.reconciliation import Drift, DriftKind
from dam_connector.wiring import Services
from tests.support import PhotoServer, TestClock, picture, record

Api = Callable[[str], FlaskClient]
SHEET = b"sku,name,category,width,height,depth,unit,image_url\nA1,Chair,kitchen,46,80,50,cm,a/front.jpg\n"


@pytest.fixture
def made(services: Services, photos: PhotoServer, api: Api, drain: Callable[[], int]) -> dict[str, Any]:
    """A product with versions in review, by deliverable."""
    photos.files["front.jpg"] = picture()
    product = record(images={"front": photos.url("front.jpg")})
    assert api("merchandiser").post("/api/v1/products", json=product).status_code == 202
    drain()
    return {v["deliverable"]: v for v in api("viewer").get("/api/v1/versions").json["items"]}


def upload(client: FlaskClient, data: bytes, name: str = "file") -> dict[str, Any]:
    answer = client.post("/api/v1/uploads", data={"file": (io.BytesIO(data), name)})
    assert answer.status_code == 201, answer.text
    return answer.json


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        for name, data in files.items():
            package.writestr(name, data)
    return buffer.getvalue()


def problems(answer: Any) -> str:
    return " ".join([answer.json["error"]["message"], *answer.json["error"]["problems"]])


def test_a_batch_is_uploaded_checked_begun_watched_and_exported(api: Api, drain: Callable[[], int]) -> None:
    client = api("merchandiser")
    sheet = upload(client, SHEET, "products.csv")
    pictures = upload(client, zipped({"a/front.jpg": picture()}), "photos.zip")
    assert (sheet["mime"], pictures["mime"]) == ("", "application/zip")
    body = {"sheet": sheet["sha256"], "pictures": pictures["sha256"]}
    checked = client.post("/api/v1/batches/check", json=body).json
    assert checked["counts"] == {"waiting": 1, "makes_nothing": 0, "failed": 0, "unchanged": 0}
    assert checked["makes"] == {"packshot": 1, "cutout": 1}
    assert client.get("/api/v1/batches").json["items"] == []
    keyed = {"Idempotency-Key": "one"}
    for name in ("spr\ning", "spr\u202eing", " "):
        assert client.post("/api/v1/batches", json={**body, "name": name}).status_code == 422
    begun = client.post("/api/v1/batches", json={**body, "name": "spring"}, headers=keyed)
    assert begun.status_code == 202 and begun.json["progress"]["waiting"] == 1 and not begun.json["is_over"]
    assert client.post("/api/v1/batches", json={**body, "name": "spring"}, headers=keyed).json == begun.json
    assert client.post("/api/v1/batches", json={**body, "name": "spring"}).status_code == 409
    drain()
    now = client.get(f"/api/v1/batches/{begun.json['id']}").json
    assert now["progress"]["in_review"] == 1 and now["is_over"]
    rows = client.get("/api/v1/batches/spring/rows").json["items"]
    assert [(r["row"], r["sku"], r["state"]) for r in rows] == [(2, "A1", "taken")]
    export = "/api/v1/batches/spring/export"
    assert json.loads(client.get(export).text)["status"] == "completed"
    assert "A1" in client.get(f"{export}?format=csv").text
    package = zipfile.ZipFile(io.BytesIO(client.get(f"{export}?format=zip").data))
    assert "manifest.jsonl" in package.namelist()
    of_batch = client.get(f"/api/v1/versions?batch={begun.json['id']}").json["items"]
    assert {v["sku"] for v in of_batch} == {"A1"} and len(of_batch) == 2


def test_a_batch_is_paused_resumed_and_cancelled(api: Api) -> None:
    client = api("merchandiser")
    body = {"name": "b", "sheet": upload(client, SHEET)["sha256"]}
    assert client.post("/api/v1/batches", json=body).status_code == 202
    states = [
        client.post(f"/api/v1/batches/b/{action}").json["state"] for action in ("pause", "resume", "cancel")
    ]
    assert states == ["paused", "running", "cancelled"]
    assert client.post("/api/v1/batches/b/pause").status_code == 409


def test_a_sheet_that_cannot_be_used_says_why(api: Api) -> None:
    client = api("merchandiser")
    body = {"sheet": upload(client, b"colour,price\nred,7\n")["sha256"]}
    refused = client.post("/api/v1/batches/check", json=body)
    assert refused.status_code == 422 and "sheet.header" in problems(refused)
    gone = client.post("/api/v1/batches/check", json={"sheet": "0" * 64})
    assert gone.status_code == 422 and "/json/sheet" in problems(gone) and "Upload" in problems(gone)
    typo = client.post("/api/v1/batches/check", json={**body, "columns": {"sku": "colr"}})
    assert typo.status_code == 422 and 'Did you mean "colour"' in problems(typo)


def test_an_uploaded_photo_is_the_photo_of_a_product(api: Api, drain: Callable[[], int]) -> None:
    client = api("merchandiser")
    photo = upload(client, picture(), "front.jpg")
    assert photo["mime"] == "image/png" or photo["mime"] == "image/jpeg"
    taken = client.post("/api/v1/products", json=record(images={"front": photo["address"]}))
    assert taken.json["planned"] == 2
    product = client.get("/api/v1/products/CH123").json
    assert client.get(product["photos"]["front"]).data == picture()


@pytest.mark.parametrize(
    ("method", "path", "place", "hint"),
    [
        ("get", "/api/v1/versions?sate=in_review", "/query/sate", 'did you mean "state"'),
        ("get", "/api/v1/versions?state=in-review", "/query/state", 'did you mean "in_review"'),
        ("get", "/api/v1/products?updated_after=2026-01-01", "/query/updated_after", "updated_since"),
        ("get", "/api/v1/rules?verbose=1", "/query/verbose", "none is known"),
        ("get", "/api/v1/versions?limit=0", "/query/limit", "1"),
        ("get", "/api/v1/versions?updated_since=yesterday", "/query/updated_since", "valid"),
        ("get", "/api/v1/versions?cursor=2026-01-01~x", "cursor", "updated_since"),
        ("get", "/api/v1/versions?updated_since=2026-01-01&cursor=x", "cursor", "updated_since"),
    ],
)
def test_parameters_that_are_none_are_refused(
    api: Api, method: str, path: str, place: str, hint: str
) -> None:
    answer = getattr(api("viewer"), method)(path)
    assert answer.status_code == 422 and place in problems(answer) and hint in problems(answer)


def test_bodies_and_keys_that_nobody_reads_are_refused(made: dict[str, Any], api: Api) -> None:
    client, one = api("admin"), made["packshot"]["id"]
    body = client.post("/api/v1/products/CH123/runs", json={"force": True})
    assert body.status_code == 422 and "takes no body" in problems(body)
    assert client.post("/api/v1/products/CH123/runs", json={}).status_code == 202
    extra = client.post(f"/api/v1/versions/{one}/decision", json={"verdict": "approved", "reason": ["x"]})
    assert extra.status_code == 422 and 'did you mean "reasons"' in problems(extra)
    key = client.post("/api/v1/users", json={"name": "x", "role": "viewer"}, headers={"Idempotency-Key": "k"})
    assert key.status_code == 422 and "safe to repeat" in problems(key)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"sku": "A", "sku": "B"}', 'the key "sku" is given twice'),
        ('{"sku": NaN}', "NaN is no number"),
        ("{", "line 1, column 2"),
        (b"\xff{}", "the body is not JSON"),
    ],
)
def test_a_body_that_needs_a_guess_is_refused(api: Api, body: str | bytes, words: str) -> None:
    answer = api("merchandiser").post("/api/v1/products", data=body, content_type="application/json")
    assert answer.status_code == 400 and words in problems(answer)


def test_a_version_says_who_decided_what_and_where_it_is_live(
    made: dict[str, Any], api: Api, drain: Callable[[], int]
) -> None:
    address = f"/api/v1/versions/{made['packshot']['id']}"
    reviewer = api("reviewer")
    assert made["packshot"]["decision"] is None and made["packshot"]["live"] == []
    assert reviewer.post(f"{address}/comments", json={"text": "a bit dark"}).status_code == 201
    assert reviewer.post(f"{address}/comments", json={"text": " "}).status_code == 422
    reviewer.post(f"{address}/decision", json={"verdict": "approved", "note": "good"})
    drain()
    found = reviewer.get(address).json
    assert (found["decision"]["verdict"], found["decision"]["by"], found["decision"]["note"]) == (
        "approved",
        "reviewer",
        "good",
    )
    assert [(c["by"], c["text"]) for c in found["comments"]] == [("reviewer", "a bit dark")]
    assert found["state"] == "published" and {p["channel"] for p in found["live"]} == {"viewer"}
    listed = reviewer.get("/api/v1/versions?channel=viewer").json["items"]
    assert [v["id"] for v in listed] == [found["id"]] and listed[0]["decision"] == found["decision"]
    assert reviewer.post(f"{address}/undo").status_code == 409


def test_filters_find_what_they_name(made: dict[str, Any], api: Api) -> None:
    client = api("viewer")
    packshot = made["packshot"]["id"]
    for query, expected in {
        "sku=CH123": {"packshot", "cutout"},
        "sku=CH12": set(),
        "sku=CH123&deliverable=packshot&state=in_review": {"packshot"},
        "state=approved": set(),
        "q=modern+din": {"packshot", "cutout"},
        "category=nothing": set(),
    }.items():
        found = client.get(f"/api/v1/versions?{query}").json["items"]
        assert {v["deliverable"] for v in found} == expected, query
    newest = [v["id"] for v in client.get("/api/v1/versions").json["items"]]
    assert [v["id"] for v in client.get("/api/v1/versions?order=oldest").json["items"]] == newest[::-1]
    assert client.get("/api/v1/products?sku=CH123").json["items"][0]["product"]["sku"] == "CH123"
    assert client.get("/api/v1/products?sku=ch12").json["items"] == []
    assert client.get(f"/api/v1/versions/{packshot}/report?format=md").text.startswith("#")
    assert client.get(f"/api/v1/versions/{packshot}/report").json == made["packshot"]["report"]


def test_changes_come_page_by_page_in_their_order(api: Api, clock: TestClock, services: Services) -> None:
    client = api("merchandiser")
    for n in range(6):
        client.post("/api/v1/products", json=record(f"S{n}"))  # all at one time of the clock
    start = clock.now().isoformat().replace("+", "%2B")
    address, seen = f"/api/v1/products?updated_since={start}&limit=2", []
    page = client.get(address).json
    clock.forward(5)
    client.post("/api/v1/products", json=record("S1", name="Changed"))
    while page:
        seen += [p["product"]["sku"] for p in page["items"]]
        cursor = (page["next"] or "").replace("+", "%2B")
        page = client.get(f"{address}&cursor={cursor}").json if cursor else None
    assert seen == ["S0", "S1", "S2", "S3", "S4", "S5", "S1"]
    later = clock.now().isoformat().replace("+", "%2B")
    assert [
        p["product"]["sku"] for p in client.get(f"/api/v1/products?updated_since={later}").json["items"]
    ] == ["S1"]
    services.products.mark_deleted("", "S2", clock.now())
    gone = client.get(f"/api/v1/products?updated_since={later}").json["items"]
    assert [(p["product"]["sku"], p["deleted"]) for p in gone] == [("S1", False), ("S2", True)]


def test_whatever_happens_to_a_version_is_a_change(
    made: dict[str, Any], api: Api, clock: TestClock, drain: Callable[[], int]
) -> None:
    client, one = api("reviewer"), made["packshot"]["id"]

    def changed() -> list[str]:
        since = clock.now().isoformat().replace("+", "%2B")
        return [v["id"] for v in client.get(f"/api/v1/versions?updated_since={since}").json["items"]]

    for action, body in (
        ("comments", {"text": "dark"}),
        ("decision", {"verdict": "approved"}),
        ("withdraw", {"reason": "wrong"}),
    ):
        clock.forward(60)
        assert changed() == []
        assert client.post(f"/api/v1/versions/{one}/{action}", json=body).status_code < 300
        drain()
        assert changed() == [one], action


def test_actions_on_many_versions(made: dict[str, Any], api: Api) -> None:
    client = api("reviewer")
    both = {v["id"] for v in made.values()}
    bulk = "/api/v1/versions/bulk"
    said = client.post(f"{bulk}/comments", json={"filter": {"sku": "CH123"}, "text": "look"}).json
    assert (set(said["done"]), said["refused"], said["more"]) == (both, 0, False)
    rejected = {"verdict": "rejected", "ids": [*both, "ver_none"]}
    assert client.post(f"{bulk}/decision", json=rejected).status_code == 422
    done = client.post(f"{bulk}/decision", json={**rejected, "reasons": ["colour"]}).json
    assert (set(done["done"]), done["refused"]) == (both, 1)
    assert set(client.post(f"{bulk}/undo").json["done"]) == both
    assert client.get("/api/v1/versions?state=in_review").json["items"][0]["decision"] is None
    again = client.post(f"{bulk}/regenerate", json={"ids": list(both), "note": "brighter"})
    assert again.status_code == 202 and set(again.json["done"]) == both
    assert client.post(f"{bulk}/upscale", json={"ids": list(both)}).json["refused"] == 0
    package = zipfile.ZipFile(io.BytesIO(client.post(f"{bulk}/download", json={"ids": list(both)}).data))
    assert len(package.namelist()) >= 2
    for wrong in ({}, {"ids": ["a"], "filter": {}}, {"ids": []}, {"filter": {"stat": "approved"}}):
        assert client.post(f"{bulk}/upscale", json=wrong).status_code == 422, wrong


def test_a_product_is_edited_and_made_again(made: dict[str, Any], api: Api, drain: Callable[[], int]) -> None:
    client = api("merchandiser")
    address = "/api/v1/products/CH123"
    key = {"Idempotency-Key": "edit"}
    changed = client.patch(address, json={"color": "red", "name": None}, headers=key)
    assert changed.status_code == 202, changed.text
    assert client.patch(address, json={"color": "red", "name": None}, headers=key).json == changed.json
    found = client.get(address).json["product"]
    assert (found["color"], found["name"]) == ("red", "")
    drain()
    assert client.post(f"{address}/regenerate", json={"note": "once more"}).status_code == 202
    assert client.patch(address, json={"sku": "other"}).status_code == 422
    wrong = client.patch(address, json={"dimensions": {"width": -1}})
    assert wrong.status_code == 422 and "/json/dimensions/width" in problems(wrong)
    typo = client.patch(address, json={"colr": "red"})
    assert typo.status_code == 422 and 'did you mean "color"' in problems(typo)
    assert client.patch("/api/v1/products/none", json={"color": "red"}).status_code == 404


def test_connections_are_listed_and_tested(api: Api) -> None:
    client = api("admin")
    found = {c["name"]: c for c in client.get("/api/v1/connections").json}
    assert found["main"]["port"] == "pim" and found["main"]["webhook_url"].endswith("/webhooks/main")
    works = client.post("/api/v1/connections/library/test").json
    assert works["good"] and works["done"]
    assert client.post("/api/v1/connections/none/test").status_code == 404
    assert api("reviewer").post("/api/v1/connections/library/test").status_code == 403
    assert client.get("/api/v1/providers").json == []
    assert client.get("/api/v1/spend").json["by_provider"] == []


def test_a_comparison_is_requested_and_its_differences_are_repaired(
    api: Api, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = api("admin")
    assert client.get("/api/v1/reconciliation").json["at"] is None
    assert client.post("/api/v1/reconciliation").json["is_requested"]
    assert reconciliation.reconcile_when_due(services, "here")
    ended = client.get("/api/v1/reconciliation").json
    assert ended["at"] and not ended["is_requested"]
    drift = Drift(kind=DriftKind.STALE, port="dam", where="mem", sku="A", ref="ver_1", detail="is rejected")
    reconciliation.store_result(services, [drift])
    assert client.get("/api/v1/reconciliation").json["differences"][0]["remedy"]
    monkeypatch.setattr(reconciliation, "repair", Mock(return_value="adopted"))
    key = {"where": "mem", "ref": "ver_1", "kind": "stale"}
    assert client.post("/api/v1/reconciliation/repairs", json=key).json == {"outcome": "adopted"}
    assert client.post("/api/v1/reconciliation/repairs", json=key).status_code == 404


def test_admins_manage_users_and_tokens(api: Api, client: FlaskClient) -> None:
    admin = api("admin")
    user = {"name": "ann", "role": "reviewer"}
    assert admin.post("/api/v1/users", json=user).json == {**user, "active": True}
    weak = admin.post("/api/v1/users", json={**user, "password": "ann"})
    assert weak.status_code == 422 and '"ann"' not in problems(weak)
    assert admin.post("/api/v1/users", json={"name": "a/b", "role": "viewer"}).status_code == 422
    assert "/login/link/" in admin.post("/api/v1/users/ann/link").json["url"]
    token = admin.post("/api/v1/users/ann/tokens", json={"label": "PIM", "days": 7}).json["token"]
    as_ann = {"Authorization": f"Bearer {token}"}
    account = client.get("/api/v1/account", headers=as_ann).json
    assert (account["name"], [t["label"] for t in account["tokens"]]) == ("ann", ["PIM"])
    assert client.get("/api/v1/users", headers=as_ann).status_code == 403
    listed = admin.get("/api/v1/tokens").json
    assert token not in json.dumps(listed) and {t["user"] for t in listed} >= {"ann"}
    own = account["tokens"][0]["id"]
    assert client.delete(f"/api/v1/account/tokens/{own}", headers=as_ann).status_code == 204
    assert client.get("/api/v1/account", headers=as_ann).status_code == 401
    assert admin.post("/api/v1/users/ann/deactivate").json["active"] is False
    assert {"name": "ann", "role": None, "active": False} in admin.get("/api/v1/users").json
    assert admin.delete("/api/v1/users/ann").status_code == 204
    assert admin.delete("/api/v1/users/ann").status_code == 404
    assert admin.delete("/api/v1/users/admin").status_code == 409
    assert admin.post("/api/v1/users", json={"name": "admin", "role": "viewer"}).status_code == 409
    assert "user_removed" in admin.get("/api/v1/audit/export").text


def test_rules_are_checked_without_being_in_force(api: Api, services: Services) -> None:
    client = api("admin")
    text = json.loads(Path("plugin.json").read_text())
    assert client.post("/api/v1/rules/check", json=text).json["good"]
    before = services.rules.current().fingerprint
    text["deliverables"][0]["formats"] = ["jpg"]
    found = client.post("/api/v1/rules/check", json=text).json
    assert not found["good"] and 'did you mean "jpeg"' in " ".join(found["problems"])
    assert services.rules.current().fingerprint == before


@pytest.mark.parametrize("role", ["viewer", "merchandiser", "reviewer"])
def test_only_admins_ask_what_exists_on_the_server(api: Api, role: str, tmp_path: Path) -> None:
    text = json.loads(Path("plugin.json").read_text())
    text["connections"]["provider"] = {"comfy": {"adapter": "comfyui", "workflow": "secrets.json"}}
    assert api(role).post("/api/v1/rules/check", json=text).status_code == 403
    assert "cannot be read" in api("admin").post("/api/v1/rules/check", json=text).text


@pytest.mark.parametrize("mime", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_of_another_type_is_415(api: Api, mime: str) -> None:
    for path in ("/products", "/batches/check", "/versions/bulk/comments"):
        sent = api("admin").post(f"/api/v1{path}", data='{"sku": "A1"}', content_type=mime)
        assert sent.status_code == 415, sent.text
        assert "Content-Type: application/json" in sent.json["error"]["message"]
    sent = api("admin").post("/api/v1/uploads", data=b"abc", content_type="text/csv")
    assert sent.status_code == 415 and "multipart/form-data" in sent.json["error"]["message"]


def test_failed_runs_are_retried_by_their_cause(made: dict[str, Any], api: Api) -> None:
    client = api("merchandiser")
    assert client.get("/api/v1/runs/causes").json == []
    assert client.post("/api/v1/runs/retry", json={"cause": "x"}).json == {"count": 0}
    assert client.get("/api/v1/runs?deliverable=packshot").json["items"][0]["deliverable"] == "packshot"


def test_the_page_of_the_api_leads_to_the_login_and_shows_how_to_get_a_token(
    client: FlaskClient, browser_like: Callable[[str], FlaskClient]
) -> None:
    assert client.get("/api/docs").location.startswith("/login?next=/api/docs")
    page = browser_like("reviewer").get("/api/docs").text
    assert "dam-connector token add reviewer" in page
    assert 'href="/account">your account' in page  # which makes one without the machine
