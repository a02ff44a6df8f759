"""The pages: who may come in, what they show, what their forms do; without JavaScript."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dam_connector.domain.issue import CheckOutcome, ReportRow
from dam_connector.domain.version import VersionState
from dam_connector.store.users import UserRole
from dam_connector.usecases import intake, maintenance, reconciliation
from dam_connector.web.versions import photo_cameras
from dam_connector.wiring import Services
from tests.support import (
    MODEL,
    PhotoServer,
    TestClock,
    event_body,
    inbound,
    picture,
    product,
    record,
    rules_json,
    signed,
)

Visitor = Callable[[str], FlaskClient]
PAGES = ["/review", "/products", "/batches", "/runs", "/deliveries", "/rules", "/api/docs"]


@pytest.fixture
def made(services: Services, photos: PhotoServer, drain: Callable[[], int], clock: TestClock) -> dict:
    """One product by webhook, its versions in review; one flagged, one delivery failed."""
    photos.files["front.jpg"] = picture()
    now = clock.now()
    for n, data in enumerate(
        [
            record(images={"front": photos.url("front.jpg")}),
            record("FLAG1", name="<b>Bold</b>", category="furniture", dimensions=None),
        ]
    ):
        body = event_body(data, at=now)
        intake.receive_webhook(services, "main", inbound(body, signed(body, at=now, message=f"m{n}"), now))
    intake.receive_webhook(services, "main", inbound(b"{}", signed(b"{}", at=now, message="bad"), now))
    drain()
    return {v.asset.deliverable: v for v in services.assets.of_product("CH123")}


@pytest.mark.parametrize("address", PAGES)
def test_strangers_are_sent_to_the_login_and_back(address: str, client: FlaskClient) -> None:
    answer = client.get(address)
    assert answer.status_code in (302, 401)
    if answer.status_code == 302:
        assert answer.location == f"/login?next={address.replace('/', '%2F')}" or answer.location.endswith(
            f"next={address}"
        )


@pytest.mark.parametrize("address", PAGES)
def test_every_page_opens_for_a_viewer_and_weighs_little(
    address: str, made: dict, browser_like: Visitor
) -> None:
    answer = browser_like("viewer").get(address)
    assert answer.status_code == 200 and len(answer.data) < 100_000
    assert "frame-ancestors 'none'" in answer.headers[
        "Content-Security-Policy"
    ] and "unsafe-eval'" not in answer.headers["Content-Security-Policy"].replace("wasm-unsafe-eval'", "")


def test_empty_pages_say_how_to_begin(browser_like: Visitor) -> None:
    client = browser_like("viewer")
    assert (
        "Nothing waits for you" in client.get("/review").text
        and "product add" in client.get("/products").text
    )
    assert "No webhook has arrived yet" in client.get("/deliveries").text


def test_the_queue_leads_to_the_version_and_its_decision_to_the_next(
    made: dict, browser_like: Visitor, services: Services
) -> None:
    client = browser_like("reviewer")
    assert "Modern Dining Chair" in client.get("/review").text
    first = made["packshot"]
    page = client.get(f"/versions/{first.id}").text
    assert (
        "Approve" in page
        and "files/" in page
        and f'value="{services.rules.current().review.reasons[0]}"' in page
    )
    answer = client.post(f"/versions/{first.id}/decide", data={"verdict": "approved"})
    assert answer.location == f"/versions/{made['cutout'].id}"
    assert "Undo" in client.get(answer.location).text
    client.post(f"/versions/{first.id}/undo")
    assert services.assets.get(first.id).state == "in_review"


def test_a_rejection_carries_reasons_and_note(made: dict, browser_like: Visitor, services: Services) -> None:
    version = made["packshot"]
    browser_like("reviewer").post(
        f"/versions/{version.id}/decide",
        data={"verdict": "rejected", "reasons": ["colour", "proportions"], "note": "greener"},
    )
    decision = services.decisions.of_version(version.id)[0].decision
    assert (
        decision.reasons == ("colour", "proportions")
        and decision.note == "greener"
        and decision.by == "reviewer"
    )


def test_a_rejection_without_a_reason_is_refused(
    made: dict, browser_like: Visitor, services: Services
) -> None:
    address = f"/versions/{made['packshot'].id}/decide"
    answer = browser_like("reviewer").post(
        address, data={"verdict": "rejected", "note": "too dark"}, follow_redirects=True
    )
    assert "Choose a reason for the rejection" in answer.text
    assert services.assets.get(made["packshot"].id).state == "in_review"


def test_the_filter_of_the_queue_is_kept_after_a_decision(made: dict, browser_like: Visitor) -> None:
    client, version = browser_like("reviewer"), made["packshot"]
    assert f"/versions/{version.id}?deliverable=packshot" in client.get("/review?deliverable=packshot").text
    page = client.get(f"/versions/{version.id}?deliverable=packshot").text
    assert "1 of 1" in page and "1 of 2" in client.get(f"/versions/{version.id}").text
    assert f"/versions/{version.id}/decide?deliverable=packshot" in page
    answer = client.post(f"/versions/{version.id}/decide?deliverable=packshot", data={"verdict": "approved"})
    assert answer.location.startswith("/review?deliverable=packshot")


@pytest.mark.parametrize(
    "measured",
    [
        "outline 99.0 %, colour 2.0, seen from 90° around and -1° above",
        "outline 99.0 %, colour 2.0, from 90 and -1 degrees",  # stored by earlier releases
    ],
)
def test_the_camera_of_each_photo_is_read_from_the_report(made: dict, measured: str) -> None:
    row = ReportRow(check="likeness to right", outcome=CheckOutcome.PASS, measured=measured)
    version = replace(made["packshot"], report=replace(made["packshot"].report, rows=(row,)))
    assert photo_cameras(version) == {"right": (90, -1)}


def test_the_slower_of_two_reviewers_sees_the_first_decision(made: dict, browser_like: Visitor) -> None:
    client, version = browser_like("reviewer"), made["packshot"]
    client.post(f"/versions/{version.id}/decide", data={"verdict": "approved"})
    answer = client.post(
        f"/versions/{version.id}/decide", data={"verdict": "rejected"}, follow_redirects=True
    )
    assert "Somebody else was faster" in answer.text


def test_viewers_see_no_buttons_and_cannot_decide(made: dict, browser_like: Visitor) -> None:
    client, version = browser_like("viewer"), made["packshot"]
    assert 'value="approved"' not in client.get(f"/versions/{version.id}").text
    assert client.post(f"/versions/{version.id}/decide", data={"verdict": "approved"}).status_code == 403


def test_flagged_products_say_why_and_text_is_escaped(
    made: dict, browser_like: Visitor, services: Services
) -> None:
    client = browser_like("viewer")
    page = client.get("/products?flagged=1").text
    assert (
        "The size is missing (width, height and depth)" in page
        and "&lt;b&gt;Bold&lt;/b&gt;" in page
        and "<b>Bold" not in page
        and "plugin.json" not in page
        and "`" not in page
    )
    assert "<code>products.required</code>" in browser_like("admin").get("/products?flagged=1").text
    assert "Fill in the field in the PIM" in client.get(f"/products/{services.products.get('FLAG1').id}").text


def test_a_failed_delivery_shows_its_cause_and_is_replayed(
    made: dict, browser_like: Visitor, services: Services
) -> None:
    client = browser_like("merchandiser")
    failed = services.inbox.page(state="failed")[0]
    assert "/type" in client.get(f"/deliveries/{failed.id}").text
    client.post(f"/deliveries/{failed.id}/replay")
    assert services.inbox.get(failed.id).state == "received"


def test_runs_are_retried_and_products_run_again(
    made: dict, browser_like: Visitor, services: Services
) -> None:
    client = browser_like("merchandiser")
    run = services.runs.page()[0]
    assert "Only failed" in client.post(f"/runs/{run.id}/retry", follow_redirects=True).text
    product_id = services.products.get("CH123").id
    assert "Nothing to do" in client.post(f"/products/{product_id}/run", follow_redirects=True).text


def test_a_refused_plugin_json_is_shown_with_its_places(browser_like: Visitor, services: Services) -> None:
    services.rules.current()
    services.settings.plugin_json.write_text(json.dumps(rules_json(chekcs={})))
    assert "did you mean &#34;checks&#34;" in browser_like("viewer").get("/rules").text


def test_forms_without_their_token_are_refused(app: Flask, services: Services, made: dict) -> None:
    link = services.users.add_login_link(services.users.add("ann", UserRole.ADMIN))
    client = app.test_client()
    assert client.post(f"/login/link/{link}").status_code == 400
    assert client.post("/login", data={"name": "ann", "password": "x"}).status_code == 400


def test_logins_are_limited(services: Services) -> None:
    import dataclasses

    from dam_connector.app import create_app

    app = create_app(
        dataclasses.replace(services, settings=dataclasses.replace(services.settings, logins_per_minute=3))
    )
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    assert [client.post("/login", data={"name": "a", "password": "b"}).status_code for _ in range(5)] == [
        401,
        401,
        401,
        429,
        429,
    ]


@pytest.mark.parametrize(
    "target",
    [
        *("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""),
        "/review\r\nSet-Cookie: a=b",
    ],
)
def test_the_login_leads_nowhere_else(target: str, app: Flask, services: Services) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    services.users.add("ann", UserRole.VIEWER, "a long enough password")
    answer = app.test_client().post(
        "/login", data={"name": "ann", "password": "a long enough password", "next": target}
    )
    assert answer.location == "/review"


@pytest.mark.parametrize(
    "address",
    [
        "/versions/none",
        "/products/none",
        "/deliveries/none",
        "/review?state=nonsense",
        "/files/zz/x",
        "/sources/none/front",
        "/nowhere",
    ],
)
def test_what_is_not_there_is_a_friendly_404(address: str, browser_like: Visitor) -> None:
    answer = browser_like("viewer").get(address)
    assert answer.status_code == 404 and "Not here" in answer.text


def test_the_ar_page_is_public_when_published_and_404_before(
    services: Services,
    photos: PhotoServer,
    drain: Callable[[], int],
    client: FlaskClient,
    write_rules: Callable,
    browser_like: Visitor,
) -> None:
    write_rules(
        deliverables=[rules_json()["deliverables"][0], MODEL], viewer={"accent": "#aa3300", "brand": "Tarn"}
    )
    photos.files["front.jpg"] = picture()
    intake.add_product(
        services,
        product("AR1", description="</script><b>x", images={"front": photos.url("front.jpg")}),
        by="test",
    )
    drain()
    assert [
        client.get(a).status_code
        for a in ("/ar/AR1", "/ar/AR1/latest/model.glb", "/ar/AR1/qr.svg", "/ar/none")
    ] == [404] * 4
    reviewer = browser_like("reviewer")
    for version in services.assets.of_product("AR1"):
        reviewer.post(f"/versions/{version.id}/decide", data={"verdict": "approved"})
    services.clock.forward(60)  # type: ignore[attr-defined]
    services.queue.wake("finish_run", [r.id for r in services.runs.page(state="queued")])
    drain()
    page = client.get("/ar/AR1")
    assert page.status_code == 200 and "frame-ancestors *" in page.headers["Content-Security-Policy"]
    assert (
        "#aa3300" in page.text
        and "Tarn" in page.text
        and 'ar-scale="fixed"' in page.text
        and "</script><b>" not in page.text
    )
    data = json.loads(page.text.split('<script type="application/ld+json">')[1].split("</script>")[0])
    assert (
        data["@type"] == "Product"
        and data["subjectOf"]["encoding"][0]["contentUrl"].endswith(".glb")
        and data["height"]["value"] == 0.4
    )
    stable = client.get("/ar/AR1/latest/model.glb")
    assert stable.status_code == 302
    glb = client.get(stable.location)
    assert (
        glb.mimetype == "model/gltf-binary"
        and glb.data[:4] == b"glTF"
        and glb.headers["Access-Control-Allow-Origin"] == "*"
    )
    usdz = client.get(client.get("/ar/AR1/latest/model.usdz").location)
    assert usdz.mimetype == "model/vnd.usdz+zip"
    assert (
        client.get("/ar/AR1/latest/packshot.jpg").status_code == 302
        and client.get("/ar/AR1/latest/packshot.gif").status_code == 404
    )
    assert client.get("/ar/AR1/qr.svg").mimetype == "image/svg+xml"


def test_health(client: FlaskClient) -> None:
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/readyz").json == {"database": "ok", "queue": "ok", "storage": "ok", "disk": "ok"}


def test_an_earlier_version_goes_live_again_by_a_click_and_a_live_one_is_taken_off(
    services: Services, photos: PhotoServer, drain: Callable, browser_like: Visitor, clock: TestClock
) -> None:
    services.settings.plugin_json.write_text(
        json.dumps(rules_json(deliverables=[rules_json()["deliverables"][0]]))
    )
    reviewer, made = browser_like("reviewer"), []
    for color in ("red", "green"):
        photos.files.setdefault("front.jpg", picture())
        body = event_body(record(color=color, images={"front": photos.url("front.jpg")}), at=clock.now())
        delivery, _ = intake.receive_webhook(
            services, "main", inbound(body, signed(body, at=clock.now(), message=color), clock.now())
        )
        intake.handle_delivery(services, delivery)
        drain()
        made.append(services.assets.of_product("CH123")[0])
        later = (clock.now() + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M")
        reviewer.post(
            f"/versions/{made[-1].id}/decide",
            data={"verdict": "approved", "go_live_at": later if color == "red" else ""},
        )
        if color == "red":
            clock.forward(60)
            maintenance.sweep(services, "me")
            drain()
            assert later.replace("T", " ") in reviewer.get(f"/versions/{made[0].id}").text
            assert f"waits for {clock.now().day} " in reviewer.get("/runs?state=parked").text
            clock.forward(7200)
        clock.forward(60)
        maintenance.sweep(services, "me")
        drain()
    first, second = (f"/versions/{v.id}" for v in made)
    assert (
        "Make V1 live again" in reviewer.get(first).text
        and "Remove from every channel" in reviewer.get(second).text
    )
    assert "V1 goes live again" in reviewer.post(f"{first}/rollback", follow_redirects=True).text
    drain()
    assert (
        services.assets.get(made[0].id).state is VersionState.PUBLISHED
        and "Make V2 live again" in reviewer.get(second).text
    )
    assert (
        "removed from every channel"
        in reviewer.post(f"{first}/withdraw", data={"reason": "recalled"}, follow_redirects=True).text
    )
    drain()
    assert services.publications.of_product("CH123") == []
    assert "no longer live" in reviewer.post(f"{first}/withdraw", follow_redirects=True).text
    assert (
        "Nothing was changed" in reviewer.post(f"/versions/{made[1].id}/withdraw", follow_redirects=True).text
    )
    assert browser_like("viewer").post(f"{first}/rollback").status_code == 403


def test_the_connections_page_shows_drift_and_mends_it(browser_like: Visitor, services: Services) -> None:
    viewer = browser_like("viewer")
    assert "Nothing was compared yet" in viewer.get("/connections").text
    services.pim("mem").put(product("N1"), services.clock.now())
    reconciliation.store_result(services, list(reconciliation.reconcile(services)))
    shown = viewer.get("/connections").text
    assert "missing" in shown and "N1" in shown and "Repair" not in shown and "/webhooks/main" in shown
    admin, wanted = browser_like("admin"), {"where": "mem", "ref": "N1", "kind": "missing"}
    assert ">Repair</button>" in admin.get("/connections").text
    assert viewer.post("/connections/mend", data=wanted).status_code == 403
    admin.post("/connections/mend", data=wanted)
    assert services.products.get("N1") and "No differences" in admin.get("/connections").text
    assert (
        "did not find this difference"
        in admin.post("/connections/mend", data=wanted, follow_redirects=True).text
    )
