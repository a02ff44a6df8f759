"""Finished pictures and models are taken over as V1 with their decision, once, and live nowhere by it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from dam_connector.cli import connections as connection_commands
from dam_connector.cli import main
from dam_connector.domain.version import VersionState
from dam_connector.errors import ConfigError, StateConflict, Unavailable
from dam_connector.usecases import adoption, publish, reconciliation
from dam_connector.usecases.adopt_known_products import (
    adopt_known,
    adoption_progress,
    continue_adoption,
    preview,
    request_adoption,
)
from dam_connector.usecases.backfill import backfill
from dam_connector.wiring import Services
from tests.pipeline.adoption_shelf import GLB, SHOT, adopt, in_pim, make_shelf
from tests.pipeline.helpers import Drain, in_channel, newest, send, versions, work
from tests.support import PhotoServer, TestClock, picture, product, record


@pytest.fixture
def shelf(services: Services, write_rules: Callable[..., None]) -> Any:
    return make_shelf(services, write_rules)


def test_a_backfill_adopts_what_is_finished_and_makes_nothing_in_its_place(
    services: Services, shelf: Any, clock: TestClock, photos: PhotoServer, drain: Drain
) -> None:
    in_pim(services, clock, photos)
    assert adopt(services).adopted == 3
    work(services, drain)
    found = versions(services)
    assert {name: (v.number, v.state) for name, v in found.items()} == dict.fromkeys(
        ("packshot", "model", "hero"), (1, VersionState.APPROVED)
    )
    assert services.blobs.get(found["packshot"].files[0].sha256) == SHOT
    assert services.blobs.get(found["model"].files[0].sha256) == GLB
    assert services.blobs.get(found["hero"].files[0].sha256) == photos.files["hero.jpg"]
    assert found["packshot"].files[0].name == "CH123_ModernDiningChair_packshot_V1_JPEG.jpg"
    (decision,) = services.decisions.of_version(found["packshot"].id)
    assert (decision.decision.by, decision.source) == ("rita", "shelf")
    assert services.decisions.current(found["hero"].id).by == "the shop"
    assert found["packshot"].provenance["adopted_from"] == "shelf: CH123_packshot.jpg"
    assert {run.state for run in services.runs.page()} == {"done"}


def test_nothing_is_live_that_was_not_until_a_person_asks_for_it(
    services: Services, shelf: Any, clock: TestClock, photos: PhotoServer, drain: Drain
) -> None:
    in_pim(services, clock, photos)
    adopt(services)
    work(services, drain)
    for drift in list(reconciliation.reconcile(services)):
        reconciliation.repair(services, drift)
    work(services, drain)
    packshot = newest(services)
    assert services.publications.of_product("CH123") == [] and not services.channel("shop").files_by_sku
    assert services.assets.find_file(packshot.files[0].sha256, public=True) is None
    assert publish.can_roll_back(services, packshot)
    publish.rollback(services, packshot, by="ann")
    work(services, drain)
    assert in_channel(services, "shop") == ["V1"] and newest(services).state is VersionState.PUBLISHED
    with pytest.raises(StateConflict):
        publish.rollback(services, newest(services), by="ann")


def test_it_is_done_once_however_often_it_is_asked_for(
    services: Services, shelf: Any, clock: TestClock, photos: PhotoServer, drain: Drain
) -> None:
    in_pim(services, clock, photos)
    assert adopt(services).adopted == 3
    assert adopt(services).adopted == 0
    assert list(adopt_known(services))[-1].adopted == 0
    work(services, drain)
    assert len(services.assets.of_product("CH123")) == 3 and len(services.runs.page()) == 3
    problems = {row["problem"] for row in preview(services, most_rows=10)["rows"]}
    assert problems == {f"{name} has a version already" for name in ("packshot", "model", "hero")}


def test_a_later_photo_makes_v2_of_what_is_made_from_it(
    services: Services, shelf: Any, clock: TestClock, photos: PhotoServer, drain: Drain
) -> None:
    in_pim(services, clock, photos)
    adopt(services)
    photos.files["other.jpg"] = picture(size=(440, 400))
    in_pim(services, clock, photos, images={"front": photos.url("other.jpg")})
    list(backfill(services, "mem"))
    drain()
    states = [f"V{v.number} {v.state.value}" for v in services.assets.of_product("CH123")]
    assert "V2 in_review" in states and states.count("V1 approved") == 3


@pytest.mark.parametrize("point", ["assign_version", "put", "set_findings"])
def test_a_crash_in_the_middle_of_a_product_repeats_safely(
    services: Services,
    shelf: Any,
    clock: TestClock,
    photos: PhotoServer,
    drain: Drain,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
) -> None:
    class Death(BaseException):
        pass

    in_pim(services, clock, photos)
    stores = {"set_findings": services.products, "put": services.finished_files}
    store = stores.get(point, services.assets)
    kind, real, calls = type(store), getattr(type(store), point), []

    def die_at_the_second_call(*given: Any, **more: Any) -> Any:
        found = real(*given, **more)
        calls.append(1)
        if len(calls) == (1 if point == "set_findings" else 2):
            raise Death
        return found

    with monkeypatch.context() as patched:
        patched.setattr(kind, point, die_at_the_second_call)
        with pytest.raises(Death):
            adopt(services)
    assert services.assets.of_product("CH123") == [] and services.runs.page() == []
    assert adopt(services).adopted == 3
    work(services, drain)
    assert sorted(v.state.value for v in services.assets.of_product("CH123")) == ["approved"] * 3


def test_files_that_are_none_of_their_kind_are_left_and_the_rest_is_made(
    services: Services, shelf: Any, clock: TestClock, photos: PhotoServer, drain: Drain
) -> None:
    shelf.put_photo("1", b"%PDF-1.7", name="CH123_packshot.pdf", folder="Finished")
    del shelf.photos["2"]
    in_pim(services, clock, photos, images={"front": photos.url("front.jpg")})
    assert adopt(services).adopted == 0
    drain()
    assert newest(services).state is VersionState.IN_REVIEW and newest(services).number == 1


def test_what_exists_here_already_stays(
    services: Services, shelf: Any, clock: TestClock, photos: PhotoServer, drain: Drain
) -> None:
    photos.files["front.jpg"] = picture()
    send(services, record(images={"front": photos.url("front.jpg")}))
    drain()
    made = newest(services)
    assert made.state is VersionState.IN_REVIEW
    list(adopt_known(services))
    assert newest(services).id == made.id


def test_a_dam_that_is_away_adopts_nothing_and_says_so(
    services: Services, shelf: Any, clock: TestClock, photos: PhotoServer
) -> None:
    in_pim(services, clock, photos)
    shelf.fail_with = Unavailable("shelf", "finished_files", "away")
    with pytest.raises(Unavailable):
        adopt(services)
    assert services.products.get("CH123") is None


def test_the_background_goes_on_page_by_page_and_after_a_crash(
    services: Services, shelf: Any, clock: TestClock, photos: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sku in ("CH123", "XX9"):
        services.products.upsert(product(sku), connection="", ref=sku, source_time=clock.now())
    request_adoption(services, by="ann")
    with pytest.raises(StateConflict):
        request_adoption(services, by="ann")
    read = adoption.read_files

    class Death(BaseException):
        pass

    def die(services: Services, product: Any, *more: Any) -> Any:
        if product.sku == "CH123":
            raise Death
        return read(services, product, *more)

    with monkeypatch.context() as patched:
        patched.setattr("dam_connector.usecases.product_intake.read_files", die)
        with pytest.raises(Death):
            continue_adoption(services)
    assert continue_adoption(services) == 2 and continue_adoption(services) == 0
    progress = adoption_progress(services)
    assert progress["done"] and progress["problem"] == ""
    for sku, names in {"CH123": {"packshot", "model"}, "XX9": {"packshot"}}.items():
        assert {v.asset.deliverable for v in services.assets.of_product(sku)} == names
    assert services.notes.get("adoption:found") is None


def test_the_command_shows_and_adopts(
    services: Services, shelf: Any, clock: TestClock, photos: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_pim(services, clock, photos)
    monkeypatch.setattr(connection_commands, "open_services", lambda folder: services)

    def run_command(*command: str) -> tuple[int, str]:
        ran = CliRunner().invoke(main, ["backfill", "--adopt", *command])
        return ran.exit_code, ran.output

    code, output = run_command("--connection", "mem", "--dry-run")
    assert code == 0 and "3 files would be adopted as V1" in output, output
    assert "shelf: CH123_packshot.jpg  -> would be adopted as V1, approved by rita" in output
    assert services.products.get("CH123") is None
    code, output = run_command("--connection", "mem", "--json")
    *rows, last = map(json.loads, output.splitlines())
    assert (
        code == 0
        and last["adopted"] == 3
        and {row["deliverable"] for row in rows}
        == {
            "packshot",
            "model",
            "hero",
        }
    )
    code, output = run_command()
    assert code == 0 and "0 files were adopted" in output and "has a version already" in output
    assert CliRunner().invoke(main, ["backfill"]).exit_code == 2


def test_without_the_section_there_is_nothing_to_adopt(services: Services) -> None:
    with pytest.raises(ConfigError, match="/adopt: say where finished files are"):
        list(adopt_known(services))
    with pytest.raises(ConfigError, match="/adopt"):
        request_adoption(services, by="ann")


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ({"packshots": {"view": "front"}}, "/adopt/packshots: there is no deliverable 'packshots'"),
        (
            {"packshot": {"dam": "shelves", "names": ["{sku}"]}},
            "/adopt/packshot/dam: there is no DAM 'shelves'",
        ),
        ({"packshot": {"channel": "shops"}}, "/adopt/packshot/channel: there is no channel 'shops'"),
        ({"packshot": {"view": "front", "position": 2}}, "/adopt/packshot/position: it goes with channel"),
        ({"packshot": {"dam": "shelf"}}, "/adopt/packshot/names: say which files are finished"),
        (
            {"packshot": {"dam": "shelf", "view": "front"}},
            "/adopt/packshot/dam: name one of dam, channel and view",
        ),
        ({"packshot": {"dam": "shelf", "names": ["x"]}}, "/adopt/packshot/names: 'x' needs one {sku}"),
        (
            {"packshot": {"dam": "shelf", "approved_field": "status"}},
            "/adopt/packshot/approved_field: approved_field and approved_values need each other",
        ),
    ],
)
def test_each_mistake_in_the_section_has_its_place(
    services: Services, shelf: Any, rule: dict[str, Any], problem: str
) -> None:
    from schemas.rules_loader import load_rules

    rules = json.loads(services.settings.plugin_json.read_text())
    with pytest.raises(ConfigError) as refused:
        load_rules(json.dumps({**rules, "adopt": rule}))
    assert any(problem in each for each in refused.value.problems), refused.value.problems
