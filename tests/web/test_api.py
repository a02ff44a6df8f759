"""The API: uses, roles, cursors, idempotency, one error shape."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dam_connector.app import create_app
from dam_connector.errors import OutOfCredit, RateLimited, Unavailable
from dam_connector.usecases import retries
from dam_connector.wiring import Services
from schemas.common import MAX_PROBLEMS
from tests.support import PhotoServer, picture, record

Api = Callable[[str], FlaskClient]


@pytest.fixture
def made(services: Services, photos: PhotoServer, api: Api, drain: Callable[[], int]) -> dict:
    """A product with versions in review, added by the API."""
    photos.files["front.jpg"] = picture()
    answer = api("merchandiser").post(
        "/api/v1/products", json=record(images={"front": photos.url("front.jpg")})
    )
    assert answer.status_code == 202 and answer.json["planned"] == 2
    drain()
    return {v["deliverable"]: v for v in api("viewer").get("/api/v1/versions").json["items"]}


def test_strangers_are_401_in_the_one_shape(client: FlaskClient) -> None:
    for call in (
        client.get("/api/v1/products"),
        client.post("/api/v1/products", json=record()),
        client.get("/api/v1/rules"),
    ):
        assert call.status_code == 401 and call.json["error"]["name"] == "unauthorized"
    assert client.get("/api/v1/products", headers={"Authorization": "Bearer damc_wrong"}).status_code == 401


@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 403), ("merchandiser", 403), ("reviewer", 200), ("admin", 200)]
)
def test_roles_decide_who_decides(role: str, status: int, made: dict, api: Api) -> None:
    assert (
        api(role)
        .post(f"/api/v1/versions/{made['packshot']['id']}/decision", json={"verdict": "approved"})
        .status_code
        == status
    )


def test_a_second_decision_is_409(made: dict, api: Api) -> None:
    address = f"/api/v1/versions/{made['packshot']['id']}/decision"
    assert (
        api("reviewer")
        .post(address, json={"verdict": "rejected", "reasons": ["colour"], "note": "x"})
        .json["state"]
        == "rejected"
    )
    answer = api("reviewer").post(address, json={"verdict": "approved"})
    assert answer.status_code == 409 and answer.json["error"]["name"] == "conflict"


def test_a_write_with_an_idempotency_key_happens_once(made: dict, api: Api) -> None:
    address, headers = f"/api/v1/versions/{made['packshot']['id']}/decision", {"Idempotency-Key": "k1"}
    client = api("reviewer")
    first = client.post(address, json={"verdict": "approved"}, headers=headers)
    assert (
        first.status_code == 200
        and client.post(address, json={"verdict": "approved"}, headers=headers).json == first.json
    )
    other = {"verdict": "rejected", "reasons": ["colour"]}
    assert client.post(address, json=other, headers=headers).status_code == 422


def test_a_refusal_under_an_idempotency_key_is_final(made: dict, api: Api) -> None:
    client, headers = api("reviewer"), {"Idempotency-Key": "k1"}
    version = f"/api/v1/versions/{made['packshot']['id']}"
    refused = client.post(f"{version}/withdraw", json={}, headers=headers)
    assert refused.status_code == 409
    assert client.post(f"{version}/decision", json={"verdict": "approved"}).status_code == 200
    repeated = client.post(f"{version}/withdraw", json={}, headers=headers)  # it could be withdrawn now
    assert (repeated.status_code, repeated.json) == (409, refused.json)
    assert client.get(version).json["state"] == "approved"


def test_an_invalid_request_under_an_idempotency_key_can_be_corrected(made: dict, api: Api) -> None:
    client, headers = api("reviewer"), {"Idempotency-Key": "k1"}
    address = f"/api/v1/versions/{made['packshot']['id']}/decision"
    assert client.post(address, json={"verdict": "perhaps"}, headers=headers).status_code == 422
    assert client.post(address, json={"verdict": "approved"}, headers=headers).status_code == 200


@pytest.mark.parametrize("reasons", [[], [" "]])
def test_a_rejection_without_a_reason_is_refused(made: dict, api: Api, reasons: list[str]) -> None:
    address = f"/api/v1/versions/{made['packshot']['id']}"
    client = api("reviewer")
    refused = client.post(
        f"{address}/decision", json={"verdict": "rejected", "reasons": reasons, "note": "too dark"}
    )
    assert refused.status_code == 422 and "at least one reason" in str(refused.json["error"]["problems"])
    assert client.get(address).json["state"] == "in_review"


def test_a_repeat_during_the_first_request_must_wait(
    made: dict, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, headers = "/api/v1/products/CH123/runs", {"Idempotency-Key": "k1"}
    run_again, beside = retries.rerun_product, []

    def meanwhile(*args: Any, **kwargs: Any) -> int:
        beside.append(api("merchandiser").post(address, headers=headers))
        return run_again(*args, **kwargs)

    monkeypatch.setattr(retries, "rerun_product", meanwhile)
    first = api("merchandiser").post(address, headers=headers)
    assert first.status_code == 202 and [
        (a.status_code, a.headers["Retry-After"], a.json["error"]["name"]) for a in beside
    ] == [(409, "1", "conflict")]
    assert api("merchandiser").post(address, headers=headers).json == first.json and len(beside) == 1


@pytest.mark.parametrize(
    ("error", "status", "name", "retry"),
    [
        (RateLimited("tripo", "submit", "too many requests", retry_after_s=2.5), 503, "unavailable", "3"),
        (OutOfCredit("tripo", "submit", "no credit is left"), 502, "bad_gateway", None),
        (Unavailable("pim", "get", "no connection"), 503, "unavailable", None),
    ],
)
def test_a_refusal_by_an_outside_system_is_reported_and_is_no_500(
    error: Exception,
    status: int,
    name: str,
    retry: str | None,
    made: dict,
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retries, "rerun_product", Mock(side_effect=error))
    answer = api("merchandiser").post("/api/v1/products/CH123/runs")
    assert (answer.status_code, answer.json["error"]["name"], answer.headers.get("Retry-After")) == (
        status,
        name,
        retry,
    )
    assert str(error) in answer.json["error"]["message"]


def test_wrong_input_names_every_place(api: Api) -> None:
    answer = api("merchandiser").post(
        "/api/v1/products",
        json={"name": 7, "dimensions": {"width": -1, "unit": "mile"}, "images": {"side": "x"}},
    )
    problems = " ".join(answer.json["error"]["problems"])
    assert answer.status_code == 422
    assert all(
        place in problems
        for place in (
            "/json/sku",
            "/json/name",
            "/json/dimensions/width",
            "/json/dimensions/unit",
            "/json/images/side",
        )
    )


def test_pages_by_cursor(api: Api) -> None:
    client = api("merchandiser")
    for n in range(5):
        client.post("/api/v1/products", json=record(f"S{n}"))
    first = client.get("/api/v1/products?limit=3").json
    second = client.get(f"/api/v1/products?limit=3&cursor={first['next']}").json
    assert [p["product"]["sku"] for p in first["items"] + second["items"]] == [
        "S4",
        "S3",
        "S2",
        "S1",
        "S0",
    ] and second["next"] is None
    assert [p["product"]["sku"] for p in client.get("/api/v1/products?q=s3").json["items"]] == ["S3"]
    assert len(client.get("/api/v1/products?flagged=true").json["items"]) == 5


def test_everything_has_its_address(made: dict, api: Api, services: Services) -> None:
    client = api("admin")
    version = made["packshot"]
    assert client.get(f"/api/v1/versions/{version['id']}").json["report"]["blocked"] is False
    assert client.get("/api/v1/products/CH123").json["product"]["name"] == "Modern Dining Chair"
    assets = client.get("/api/v1/assets?sku=CH123").json
    assert {(a["deliverable"], a["latest"], a["published"]) for a in assets} == {
        ("packshot", 1, None),
        ("cutout", 1, None),
    }
    run = client.get("/api/v1/runs?sku=CH123").json["items"][0]
    assert client.get(f"/api/v1/runs/{run['id']}").json["state"] == "done"
    assert client.post(f"/api/v1/runs/{run['id']}/retry").status_code == 409
    assert client.post("/api/v1/products/CH123/runs").json["planned"] == 0
    wrong = client.post(f"/api/v1/versions/{version['id']}/regenerate", json={"generator": "nobody"})
    assert wrong.status_code == 422 and "these can: local" in wrong.text
    asked = api("reviewer").post(f"/api/v1/versions/{version['id']}/regenerate", json={"generator": "local"})
    assert asked.status_code == 403 and "only admins" in asked.text
    assert (
        client.post(f"/api/v1/versions/{version['id']}/regenerate", json={"note": "again"}).json["planned"]
        == 1
    )
    assert (
        client.post(
            f"/api/v1/versions/{version['id']}/waivers", json={"code": "file.bytes", "reason": "because"}
        ).status_code
        == 409
    )
    assert client.get("/api/v1/rules").json["fingerprint"] == services.rules.current().fingerprint
    for missing in ("products/none", "versions/none", "runs/none", "deliveries/none"):
        assert client.get(f"/api/v1/{missing}").status_code == 404
    assert client.post("/api/v1/deliveries/none/replay").status_code == 404


def test_files_are_private_until_published(
    made: dict, api: Api, client: FlaskClient, drain: Callable[[], int]
) -> None:
    version = made["packshot"]
    address = next(f["url"] for f in version["files"] if f["format"] == "jpeg")
    assert client.get(address).status_code == 404
    private = api("viewer").get(address)
    assert (
        private.status_code == 200
        and private.mimetype == "image/jpeg"
        and "private" in private.headers["Cache-Control"]
    )
    api("reviewer").post(f"/api/v1/versions/{version['id']}/decision", json={"verdict": "approved"})
    drain()
    public = client.get(address)
    assert (
        public.status_code == 200
        and public.headers["Cache-Control"] == "public, max-age=300, must-revalidate"
        and public.headers["X-Content-Type-Options"] == "nosniff"
    )
    assert client.get(address, headers={"If-None-Match": public.headers["ETag"]}).status_code == 304


def test_a_session_needs_its_csrf_token_to_write(app: Flask, services: Services) -> None:
    from dam_connector.store.users import UserRole

    link = services.users.add_login_link(services.users.add("ann", UserRole.ADMIN))
    client = app.test_client()
    app.config["WTF_CSRF_ENABLED"] = False
    client.post(f"/login/link/{link}")
    app.config["WTF_CSRF_ENABLED"] = True
    assert client.get("/api/v1/products").status_code == 200
    assert client.post("/api/v1/products", json=record()).status_code == 400
    spec = client.get("/api/docs").get_data(as_text=True)
    token = spec.split('data-csrf="')[1].split('"')[0]
    assert client.post("/api/v1/products", json=record(), headers={"X-CSRFToken": token}).status_code == 202


def test_a_withdrawn_file_is_gone_for_caches_that_ask_again(
    made: dict, api: Api, client: FlaskClient, drain: Callable[[], int]
) -> None:
    version = made["packshot"]
    address = next(f["url"] for f in version["files"] if f["format"] == "jpeg")
    decide = f"/api/v1/versions/{version['id']}"
    api("reviewer").post(f"{decide}/decision", json={"verdict": "approved"})
    drain()
    tag = {"If-None-Match": client.get(address).headers["ETag"]}
    stable = f"/ar/{version['sku']}/latest/packshot.jpeg"
    assert client.get(stable).headers["Cache-Control"] == "no-cache"
    assert api("reviewer").post(f"{decide}/withdraw", json={"reason": "a wrong colour"}).status_code < 300
    drain()
    assert client.get(address, headers=tag).status_code == 404
    assert client.get(stable).status_code == 404


def test_published_files_never_change_where_the_admin_wants_that(
    made: dict, api: Api, services: Services, drain: Callable[[], int]
) -> None:
    version = made["packshot"]
    api("reviewer").post(f"/api/v1/versions/{version['id']}/decision", json={"verdict": "approved"})
    drain()
    address = next(f["url"] for f in version["files"] if f["format"] == "jpeg")
    lasting = replace(services, settings=replace(services.settings, public_cache_s=31_536_000))
    found = create_app(lasting).test_client().get(address)
    assert found.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_mistyped_keys_of_a_record_are_refused_and_foreign_ones_named(api: Api) -> None:
    client = api("merchandiser")
    sent = record()
    sent["dimension"] = sent.pop("dimensions")
    refused = client.post("/api/v1/products", json=sent)
    assert refused.status_code == 422 and '/json/dimension: did you mean "dimensions"?' in " ".join(
        refused.json["error"]["problems"]
    )
    for key, value in (("widht", 46), ("units", "mm")):
        refused = client.post("/api/v1/products", json=record(dimensions={"height": 85, key: value}))
        assert refused.status_code == 422 and f"/json/dimensions/{key}: did you mean" in " ".join(
            refused.json["error"]["problems"]
        )
    more = {"price": 7, "image": "x", "dimensions": {"height": 1, "unit": "m", "seat": 0.4}}
    taken = client.post("/api/v1/products", json={**record(images={}), **more})
    assert taken.status_code == 202 and taken.json["ignored"] == ["/price", "/image", "/dimensions/seat"]
    hostile = client.post("/api/v1/products", json=record(images={}) | {f"x{n}": 1 for n in range(5_000)})
    assert len(hostile.json["ignored"]) == MAX_PROBLEMS
