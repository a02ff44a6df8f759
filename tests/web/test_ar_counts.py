"""Counts of views and AR starts: off by default, sums only, without a cookie; admins read them."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from dam_connector.domain.event import Decision, Verdict
from dam_connector.store.ar_counts import ArEvent
from dam_connector.usecases import intake, review
from dam_connector.wiring import Services
from tests.support import PhotoServer, picture, product, rules_json


@pytest.fixture
def live(services: Services, photos: PhotoServer, drain: Callable[[], int], write_rules: Callable) -> str:
    """The id of a live version of CH123; nothing is counted."""
    write_rules(deliverables=rules_json()["deliverables"][:1])
    photos.files["a.jpg"] = picture()
    intake.add_product(services, product(images={"front": photos.url("a.jpg")}), by="test")
    drain()
    (version,) = services.assets.of_product("CH123")
    review.decide(services, version, Decision(verdict=Verdict.APPROVED, by="ann"), source="page")
    drain()
    assert services.assets.get(version.id).state == "published"  # type: ignore[union-attr]
    return version.id


@pytest.fixture
def counting(live: str, write_rules: Callable) -> str:
    """The same, and plugin.json says that it is counted."""
    write_rules(deliverables=rules_json()["deliverables"][:1], viewer={"count": True})
    return live


def send(client: FlaskClient, version: str, event: str = "view", sku: str = "CH123", **headers: str) -> int:
    answer = client.post(f"/ar/{sku}/count?version={version}&event={event}", headers=headers)
    assert "Set-Cookie" not in answer.headers
    return answer.status_code


def test_nothing_is_counted_by_default(live: str, client: FlaskClient, services: Services) -> None:
    assert send(client, live) == 404
    assert services.ar_counts.of() == []


def test_views_and_starts_are_summed_by_version_for_admins(
    counting: str, client: FlaskClient, api: Callable[[str], FlaskClient], browser_like: Callable
) -> None:
    assert [send(client, counting, event) for event in ("view", "view", "view", "ar")] == [204] * 4
    answer = api("admin").get("/api/v1/ar-counts?sku=CH123").json
    assert answer == {
        "counted": True,
        "items": [
            {
                "sku": "CH123",
                "version_id": counting,
                "deliverable": "packshot",
                "number": 1,
                "views": 3,
                "ar_starts": 1,
            }
        ],
    }
    assert api("admin").get("/api/v1/ar-counts?sku=OTHER").json["items"] == []
    assert api("reviewer").get("/api/v1/ar-counts").status_code == 403


def test_admins_see_the_sums_on_the_page_of_the_product(
    counting: str, services: Services, browser_like: Callable[[str], FlaskClient]
) -> None:
    version, record = services.assets.get(counting), services.products.get("CH123")
    assert version and record
    for _ in range(17):
        services.ar_counts.add(version, ArEvent.VIEW)
    address = f"/products/{record.id}"
    assert '<td class="num">17</td>' in browser_like("admin").get(address).text
    assert "AR starts" not in browser_like("reviewer").get(address).text


@pytest.mark.parametrize("header", ["DNT", "Sec-GPC"])
def test_who_asks_not_to_be_tracked_is_not_counted(
    counting: str, client: FlaskClient, services: Services, header: str
) -> None:
    assert send(client, counting, **{header: "1"}) == 204
    assert services.ar_counts.of() == []


@pytest.mark.parametrize(
    ("version", "event", "sku"), [("none", "view", "CH123"), ("", "buy", "CH123"), ("", "view", "X")]
)
def test_what_is_not_live_is_not_counted(
    counting: str, client: FlaskClient, services: Services, version: str, event: str, sku: str
) -> None:
    assert send(client, version or counting, event, sku) == 404
    assert services.ar_counts.of() == []


def test_only_sums_are_stored(counting: str, client: FlaskClient, services: Services) -> None:
    send(client, counting, **{"User-Agent": "a phone", "Referer": "https://shop.example/"})
    with services.db.read() as c:
        (row,) = c.exec_driver_sql("select * from ar_counts").mappings()
    assert dict(row) == {"version_id": counting, "sku": "CH123", "views": 1, "ar_starts": 0}
