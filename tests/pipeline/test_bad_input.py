"""Bad input becomes an issue with its place and remedy, and the rest of the catalog goes on."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import Severity
from dam_connector.domain.run import RunState
from dam_connector.domain.version import VersionState
from dam_connector.usecases import intake
from dam_connector.usecases.source_images import check_image_url, store_source_images
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, Rules, chair, send, versions
from tests.support import (
    MODEL,
    PhotoServer,
    event_body,
    huge_png,
    inbound,
    picture,
    product,
    record,
    rules_json,
    signed,
)

BAD = {
    "a truncated JPEG": (lambda: picture()[:2000], "source.damaged"),
    "a picture of 30,000 x 30,000 pixels": (huge_png, "source.too_large"),
    "a text file named .jpg": (lambda: b"this is no picture\n" * 50, "source.not_an_image"),
    "a picture of 64 pixels": (lambda: picture(size=(64, 64)), "source.too_small"),
    "an empty file": (lambda: b"", "source.damaged"),
    "nothing in the picture": (lambda: picture(lambda a: None), "cutout.empty"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_pictures_become_issues_and_the_rest_of_the_catalog_goes_on(
    what: str, services: Services, photos: PhotoServer, drain: Drain
) -> None:
    make, code = BAD[what]
    photos.files["bad.jpg"] = make()
    send(services, record("BAD1", images={"front": photos.url("bad.jpg")}))
    send(services, chair(photos), message="msg_2")
    drain()
    flagged = services.products.get("BAD1")
    assert {i.code for i in flagged.issues} == {code} and flagged.flagged
    assert {v.state for v in versions(services).values()} == {VersionState.IN_REVIEW}
    assert {r.state for r in services.runs.page(sku="BAD1")} <= {RunState.FAILED}


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:1/x.jpg", "source.url_refused"),
        ("http://169.254.169.254/latest/meta-data", "source.url_refused"),
        ("http://10.0.0.7/x.jpg", "source.url_refused"),
        ("file:///etc/passwd", "source.url_refused"),
        ("http://[::1]/x", "source.url_refused"),
        ("not a url", "source.url_refused"),
        ("held:../../secrets.env", "source.not_found"),
        ("{photos}/missing.jpg", "source.not_found"),
        ("{photos}/login.jpg", "source.not_found"),
    ],
)
@pytest.mark.issue(param="code")
def test_bad_addresses_become_issues(
    url: str, code: str, services: Services, photos: PhotoServer, drain: Drain
) -> None:
    photos.statuses["login.jpg"] = 403
    send(services, record("BAD1", images={"front": url.replace("{photos}", f"http://{photos.host}")}))
    drain()
    assert [i.code for i in services.products.get("BAD1").issues] == [code]
    assert services.runs.page() == []


def test_a_redirect_into_a_private_network_is_not_followed(
    services: Services, photos: PhotoServer, drain: Drain
) -> None:
    photos.statuses["away.jpg"], photos.headers["away.jpg"], photos.files["away.jpg"] = (
        302,
        {"Location": "http://169.254.169.254/x"},
        b"",
    )
    send(services, record("BAD1", images={"front": photos.url("away.jpg")}))
    drain()
    assert [i.code for i in services.products.get("BAD1").issues] == ["source.url_refused"]


@pytest.fixture
def neighbours(services: Services, write_rules: Rules, tmp_path: Path) -> None:
    """Connections beside the record's own: another team's sheets, a closed DAM, a DAM with sources."""
    (tmp_path / "front.jpg").write_bytes(picture())
    connections = json.loads(services.settings.plugin_json.read_text())["connections"]
    sheets = {"adapter": "csv", "path": str(tmp_path)}
    write_rules(
        connections={
            **connections,
            "pim": {**connections["pim"], "sheets": sheets},
            "dam": {
                **connections["dam"],
                "closed": {"adapter": "memory"},
                "photos": {"adapter": "memory", "sources": {}},
            },
        }
    )
    for dam in ("closed", "photos"):
        services.dam(dam).stored["x"] = {"Photos/front.jpg": picture()}


@pytest.mark.parametrize(
    "url",
    [
        "pim:sheets/front.jpg",
        "pim:none/front.jpg",
        "pim:",
        "dam:closed/front.jpg",
        "dam:none/front.jpg",
        "dam:/front.jpg",
    ],
)
@pytest.mark.usefixtures("neighbours")
@pytest.mark.issue("source.other_connection")
def test_a_record_may_not_name_files_of_other_connections(url: str, services: Services, drain: Drain) -> None:
    send(services, record("BAD1", images={"front": url}))
    drain()
    assert [i.code for i in services.products.get("BAD1").issues] == ["source.other_connection"]
    assert check_image_url(services, url, "/images/front").code == "source.other_connection"
    brought = product("BAD2", images={}, model_url=url)
    _, issues = store_source_images(services, brought, connection="main", last_try=True)
    assert [i.code for i in issues] == ["source.other_connection"]


@pytest.mark.usefixtures("neighbours")
def test_a_record_names_files_of_its_own_pim_and_of_dams_with_sources(services: Services) -> None:
    images = {"front": "pim:sheets/front.jpg", "back": "dam:photos/front.jpg"}
    own = product("OWN1", images=images)
    sources, issues = store_source_images(services, own, connection="sheets", last_try=True)
    assert not issues and set(sources) == {"front", "back"}


@pytest.mark.usefixtures("neighbours")
@pytest.mark.issue("source.not_an_image", "source.inspiration")
def test_a_file_that_is_no_picture_is_not_stored_as_one(
    services: Services, photos: PhotoServer, tmp_path: Path
) -> None:
    secret = b"SKU,Price\nCH123,17.50\n"
    (tmp_path / "products.csv").write_bytes(secret)
    photos.files["prices.jpg"] = services.dam("photos").stored["x"]["Photos/prices.jpg"] = secret
    images = {
        "front": "pim:sheets/products.csv",
        "back": "dam:photos/prices.jpg",
        "left": photos.url("prices.jpg"),
        "right": f"held:{services.blobs.put(secret + b'LA207,4')}",
    }
    own = product("OWN1", images=images, inspiration_image="pim:sheets/products.csv")
    sources, issues = store_source_images(services, own, connection="sheets", last_try=True)
    assert sources == {} and not services.blobs.has(Sha256(hashlib.sha256(secret).hexdigest()))
    assert sorted(i.code for i in issues) == ["source.inspiration", *["source.not_an_image"] * 4]


@pytest.mark.parametrize("sku", ["../../etc", "/a", "x" * 65, ".hidden", "tab\tsku", "CON..TROL"])
@pytest.mark.issue("product.sku_unsafe")
def test_unsafe_skus_are_flagged_and_make_nothing(
    sku: str, services: Services, photos: PhotoServer, drain: Drain
) -> None:
    send(services, chair(photos, sku=sku))
    drain()
    assert [i.code for i in services.products.get(sku.strip()).issues] == ["product.sku_unsafe"]
    assert services.runs.page() == []


def test_missing_fields_are_flagged_by_category(
    services: Services, photos: PhotoServer, drain: Drain
) -> None:
    data = chair(photos, category="furniture", name="")
    data.pop("dimensions")
    send(services, data)
    drain()
    found = services.products.get("CH123")
    assert {i.pointer for i in found.issues} == {"/name", "/dimensions"} and found.sources
    assert services.runs.page() == []


@pytest.mark.issue("source.not_an_image", "source.not_found")
def test_a_second_picture_that_is_bad_flags_the_product_and_the_rest_is_made(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable
) -> None:
    write_rules(deliverables=[rules_json()["deliverables"][0], MODEL])
    photos.files["bad.jpg"] = b"no picture"
    send(
        services,
        chair(
            photos,
            images={
                "front": photos.url("front.jpg"),
                "right": photos.url("bad.jpg"),
                "back": photos.url("gone.jpg"),
            },
        ),
    )
    drain()
    assert {i.code for i in services.products.get("CH123").issues} == {
        "source.not_an_image",
        "source.not_found",
    }
    assert set(versions(services)) == {"packshot", "model"}


@pytest.mark.parametrize(
    ("draw", "code"),
    [
        (lambda a: cv2.circle(a, (200, 200), 120, (243, 243, 243), -1), "cutout.uncertain"),
        (lambda a: cv2.rectangle(a, (100, 100), (300, 420), (150, 40, 40), -1), "cutout.cropped"),
    ],
)
@pytest.mark.issue(param="code")
def test_doubts_about_a_photo_go_with_the_version(
    draw: Callable, code: str, services: Services, photos: PhotoServer, drain: Drain
) -> None:
    photos.files["front.jpg"] = picture(draw, ground=252)
    send(services, chair(photos))
    drain()
    assert code in {i.code for i in versions(services)["packshot"].report.issues}


@pytest.mark.issue("cutout.uncertain")
def test_a_cut_out_that_is_probably_not_usable_blocks_the_version_unless_the_admin_says_otherwise(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable
) -> None:
    """With the net: the report says how probable it is, and the limit of plugin.json is in force."""
    photos.files["front.jpg"] = picture(size=(240, 240))
    packshot = [{"name": "packshot", "kind": "rendition", "size_px": 200}]
    write_rules(deliverables=packshot, imaging={"min_probability": 1.0})
    send(services, chair(photos))
    drain()
    blocked = versions(services)["packshot"]
    found = next(i for i in blocked.report.issues if i.code == "cutout.uncertain")
    assert blocked.state is VersionState.BLOCKED and found.limit == "1" and found.severity is Severity.ERROR
    assert 0 < float(found.measured) <= 1 and found.message.startswith("front: ")
    write_rules(deliverables=packshot, imaging={"min_probability": 0.0})
    send(services, chair(photos, sku="CH124"), message="msg_2")
    drain()
    assert versions(services, "CH124")["packshot"].state is VersionState.IN_REVIEW


@pytest.mark.issue("rendition.enlarged")
def test_a_photo_that_is_too_small_for_the_size_is_remarked(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable
) -> None:
    write_rules(deliverables=[{"name": "packshot", "kind": "rendition", "size_px": 1600}])
    send(services, chair(photos))
    drain()
    assert {i.code for i in versions(services)["packshot"].report.issues} == {"rendition.enlarged"}


@pytest.mark.issue("source.missing_view")
def test_a_deliverable_without_its_view_says_so(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable
) -> None:
    write_rules(deliverables=[{"name": "top-shot", "kind": "rendition", "views": ["top"]}])
    send(services, chair(photos))
    drain()
    assert [i.code for i in services.products.get("CH123").issues] == ["source.missing_view"]


def test_unreadable_deliveries_fail_with_their_reason(services: Services, drain: Drain) -> None:
    now = services.clock.now()
    for number, body in enumerate(
        [
            b"[]",
            b"not json",
            b'{"type":"product.created"}',
            event_body({"name": "no sku"}, at=now),
            b"9" * 5000,
        ]
    ):
        delivery, _ = intake.receive_webhook(
            services, "main", inbound(body, signed(body, at=now, message=f"m{number}"), now)
        )
        drain()
        found = services.inbox.get(delivery)
        assert found.state == "failed" and found.error, body[:40]
