"""Adopted files are checked, before and while they are adopted, and get what a version of ours has."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from dam_connector.domain.issue import issue
from dam_connector.errors import ConfigError, Refused, Unavailable
from dam_connector.fakes.server import MINIMAL_GLB
from dam_connector.store.finished_files import CHECKED
from dam_connector.usecases import adoption, publish
from dam_connector.usecases.adopt_known_products import (
    PlanLimit,
    adopt_known,
    preview,
    request_checks,
    wake_waiting_checks,
)
from dam_connector.usecases.backfill import backfill
from dam_connector.wiring import Services
from tests.pipeline.adoption_shelf import CHAIR, GLB, HERO, SHOT, adopt, in_pim, make_shelf
from tests.pipeline.helpers import PACKSHOT, Drain, newest, versions, work
from tests.support import MODEL, PhotoServer, TestClock, picture, product


@pytest.fixture
def shelf(services: Services, write_rules: Callable[..., None]) -> Any:
    return make_shelf(services, write_rules)


def test_an_adopted_version_has_the_files_that_one_of_ours_has_and_keeps_its_own(
    services: Services, shelf: Any, clock: TestClock, photos: PhotoServer, drain: Drain, write_rules: Any
) -> None:
    rules = json.loads(services.settings.plugin_json.read_text())
    shot = {**PACKSHOT, "formats": ["jpeg", "webp"], "sizes": [200]}
    model = {**MODEL, "formats": ["glb", "usdz", "web"], "channels": ["shop"]}
    write_rules(**{**rules, "deliverables": [shot, model, HERO]})
    in_pim(services, clock, photos)
    adopt(services)
    work(services, drain)
    found = versions(services)
    assert {(f.format, f.role.value) for f in found["packshot"].files if f.role.value != "evidence"} == {
        ("jpeg", "primary"),
        ("webp", "primary"),
        ("webp", "preview"),
        ("jpeg", "size"),
        ("webp", "size"),
    }
    of_model = {(f.format, f.role.value, f.view) for f in found["model"].files}
    assert {("glb", "primary", ""), ("usdz", "usdz", ""), ("web", "primary", "")} <= of_model
    assert ("webp", "preview", "hero") in of_model and found["model"].report.rows
    assert services.blobs.get(found["model"].file("glb").sha256) == GLB
    (size,) = (i for i in found["packshot"].report.issues if i.code == "rendition.size")
    assert size.severity.value == "warning" and (size.measured, size.limit) == ("500 px", "320 px")


def test_what_the_checks_would_block_is_said_before_and_waits_for_a_person(
    services: Services, shelf: Any, clock: TestClock, photos: PhotoServer, drain: Drain
) -> None:
    shelf.put_photo("2", MINIMAL_GLB, name="CH123_3d.glb", folder="Models")
    shelf.put_photo("1", SHOT[:400], name="CH123_packshot.jpg", folder="Finished")
    in_pim(services, clock, photos)
    services.products.upsert(product(dimensions=CHAIR), connection="", ref="CH123", source_time=clock.now())
    assert {row["check"] for row in preview(services, most_rows=9)["rows"]} == {""}
    assert request_checks(services, by="ann")["requested"] == 2
    assert preview(services, most_rows=9)["waiting"] == 2 and services.assets.of_product("CH123") == []
    drain()
    plan = preview(services, most_rows=9)
    assert all(row["blocks"] for row in plan["rows"]), plan
    blocks = {row["deliverable"]: row["blocks"][0].split(":")[0] for row in plan["rows"]}
    assert plan["blocked"] == 2 and blocks["packshot"].startswith("source."), plan
    assert blocks["model"] == "conformance.error"
    assert services.assets.of_product("CH123") == [] and services.runs.page() == []
    adopt(services)
    work(services, drain)
    found = versions(services)
    assert [found[name].state.value for name in ("packshot", "model", "hero")] == [
        "blocked",
        "blocked",
        "approved",
    ]
    assert services.decisions.of_version(found["model"].id) == []
    assert not publish.can_roll_back(services, found["packshot"])


def test_a_check_whose_wake_up_was_lost_or_whose_dam_was_away_is_made_later(
    services: Services, shelf: Any, clock: TestClock, photos: PhotoServer, drain: Drain
) -> None:
    services.products.upsert(product(dimensions=CHAIR), connection="", ref="CH123", source_time=clock.now())
    assert request_checks(services, by="ann")["requested"] == 2
    shelf.fail_with = Unavailable("shelf", "photo_bytes", "away")
    drain()
    assert preview(services, most_rows=9)["waiting"] == 1 and wake_waiting_checks(services) == 0
    clock.forward(200)
    assert wake_waiting_checks(services) == 1
    drain()
    assert {row["check"] for row in preview(services, most_rows=9)["rows"]} == {"good"}
    shelf.put_photo("9", SHOT, name="CH123_packshot.jpg", folder="Finished")  # another file counts now
    assert {row["deliverable"]: row["check"] for row in preview(services, most_rows=9)["rows"]} == {
        "packshot": "",
        "model": "good",
    }


def test_newer_facts_do_not_cancel_what_is_being_adopted(
    services: Services, shelf: Any, clock: TestClock, photos: PhotoServer, drain: Drain
) -> None:
    in_pim(services, clock, photos)
    adopt(services)
    photos.files["other.jpg"] = picture(size=(440, 400))
    in_pim(services, clock, photos, images={"front": photos.url("other.jpg")})
    list(backfill(services, "mem"))
    work(services, drain)
    states = [f"V{v.number} {v.state.value}" for v in services.assets.of_product("CH123")]
    assert "V2 in_review" in states and states.count("V1 approved") == 3


def test_the_picture_of_a_shop_that_is_a_channel_only_is_adopted(
    services: Services,
    shelf: Any,
    clock: TestClock,
    photos: PhotoServer,
    drain: Drain,
    write_rules: Callable[..., None],
) -> None:
    rules = json.loads(services.settings.plugin_json.read_text())
    write_rules(
        **{**rules, "deliverables": [PACKSHOT], "adopt": {"packshot": {"channel": "shop", "position": 2}}}
    )
    shop: Any = services.channel("shop")
    shop.own["CH123"] = {"a.jpg": picture(), "b.jpg": SHOT}
    shop.own["XX9"] = {"a.jpg": picture()}  # it has no second one
    for sku in ("CH123", "XX9", "GONE"):
        services.products.upsert(product(sku), connection="", ref=sku, source_time=clock.now())
    (row,) = preview(services, most_rows=9)["rows"]
    assert (row["sku"], row["where"], row["name"]) == ("CH123", "shop", "b.jpg")
    assert list(adopt_known(services))[-1].adopted == 1
    work(services, drain)
    packshot = newest(services)
    assert services.blobs.get(packshot.files[0].sha256) == SHOT
    assert services.decisions.current(packshot.id).by == "somebody in shop"
    shop.fail_with = Refused("shop", "own_pictures", "no")
    assert list(adoption.adoptable(services, product(), {})) == []  # what has a version asks no shop


def test_a_channel_that_lists_no_pictures_says_so(
    services: Services, shelf: Any, clock: TestClock, write_rules: Callable[..., None]
) -> None:
    rules = json.loads(services.settings.plugin_json.read_text())
    write_rules(**{**rules, "adopt": {"packshot": {"channel": "viewer"}}})
    services.products.upsert(product(), connection="", ref="CH123", source_time=clock.now())
    with pytest.raises(ConfigError, match="viewer cannot list a shop's pictures"):
        list(adopt_known(services))


def test_a_finding_of_several_files_is_said_once(services: Services, shelf: Any, clock: TestClock) -> None:
    services.products.upsert(product(dimensions=CHAIR), connection="", ref="CH123", source_time=clock.now())
    request_checks(services, by="ann")
    source = services.finished_files.of_skus({"CH123"})["CH123", "model"].source
    issues = [
        issue("conformance.error", "NO_MESH", pointer=each) for each in ("/meshes/0", "/files/web/meshes/0")
    ]
    services.finished_files.put(source, state=CHECKED, issues=issues)
    blocks = {row["deliverable"]: row["blocks"] for row in preview(services, most_rows=9)["rows"]}
    assert blocks["model"] == ("conformance.error: NO_MESH",)


def test_one_reading_of_the_plan_asks_the_shop_for_some_products_and_says_where_it_goes_on(
    services: Services, shelf: Any, clock: TestClock, write_rules: Callable[..., None]
) -> None:
    rules = json.loads(services.settings.plugin_json.read_text())
    write_rules(**{**rules, "deliverables": [PACKSHOT], "adopt": {"packshot": {"channel": "shop"}}})
    shop: Any = services.channel("shop")
    for sku in ("A1", "A2", "A3"):
        shop.own[sku] = {"a.jpg": SHOT}
        services.products.upsert(product(sku), connection="", ref=sku, source_time=clock.now())
    first = preview(services, most_rows=9, limit=PlanLimit(products=2))
    assert (first["products"], first["adoptable"]) == (2, 2) and first["next"]
    rest = preview(services, most_rows=9, before=first["next"], limit=PlanLimit(products=2))
    assert (rest["products"], rest["next"]) == (1, "")
    assert {row["sku"] for row in first["rows"] + rest["rows"]} == {"A1", "A2", "A3"}
    one = request_checks(services, by="ann", limit=PlanLimit(seconds=0))  # one product at least
    assert one["requested"] == 1 and one["next"]
