"""Backfill of a whole catalog, and polls that find changes with lost webhooks."""

import json
from datetime import timedelta

import pytest
from click.testing import CliRunner

from dam_connector.cli import connections as connection_commands
from dam_connector.cli import main
from dam_connector.domain.product import Product
from dam_connector.errors import NotFound, RateLimited, Unavailable
from dam_connector.usecases.backfill import backfill, poll_pims
from dam_connector.wiring import Services
from tests.support import PhotoServer, TestClock, picture, product


def known(services: Services) -> set[str]:
    return {r.product.sku for r in services.products.page(limit=100) if not r.deleted}


def put(services: Services, clock: TestClock, *skus: str) -> None:
    for sku in skus:
        clock.forward(1)
        services.pim("mem").put(product(sku), clock.now())


def test_a_whole_catalog_is_taken_in_and_goes_on_where_it_was_stopped(
    services: Services, clock: TestClock
) -> None:
    put(services, clock, "A", "B", "C")
    steps = backfill(services, "mem")
    assert next(steps).last_ref == "A"
    steps.close()
    assert known(services) == {"A"}
    again = list(backfill(services, "mem"))[-1]
    assert known(services) == {"A", "B", "C"} and again.failed == 0
    put(services, clock, "D")
    assert list(backfill(services, "mem", since=clock.now()))[-1].seen == 1 and "D" in known(services)


def test_a_dry_run_takes_nothing(services: Services, clock: TestClock) -> None:
    put(services, clock, "A", "B")
    assert [p.seen for p in backfill(services, "mem", dry_run=True)][-1] == 2 and known(services) == set()
    assert services.notes.get("backfill:mem") is None


def test_a_catalog_is_made_behind_single_products_and_as_slowly_as_is_wished(
    services: Services, clock: TestClock, photos: PhotoServer
) -> None:
    photos.files["front.jpg"] = picture()
    for sku in ("A", "B"):
        services.pim("mem").put(product(sku, images={"front": photos.url("front.jpg")}), clock.now())
    pauses: list[float] = []
    steps = list(backfill(services, "mem", per_minute=30, sleep=pauses.append))
    assert pauses == [2.0, 2.0] and {r.bulk for r in services.runs.page()} == {True}
    assert steps[-1].generation_s > 0  # what making a packshot and a cut-out usually takes


def test_it_waits_as_long_as_the_source_says_and_leaves_out_what_cannot_be_had(
    services: Services, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(services, clock, "A", "B", "C")
    source, pauses = services.pim("mem"), []
    fetch, faults = (
        source.fetch,
        {
            "A": [RateLimited("mem", "fetch", "x", retry_after_s=7), Unavailable("mem", "fetch", "x")],
            "B": [NotFound("mem", "fetch", "B")],
        },
    )

    def failing(ref: str) -> list[Product]:
        if faults.get(ref):
            raise faults[ref].pop(0)
        return fetch(ref)

    monkeypatch.setattr(source, "fetch", failing)
    done = list(backfill(services, "mem", sleep=pauses.append))[-1]
    assert pauses == [7, 4] and known(services) == {"A", "C"} and done.seen == 3


def test_the_poll_finds_what_webhooks_lost(services: Services, clock: TestClock) -> None:
    put(services, clock, "OLD")
    clock.forward(3600)
    assert poll_pims(services) == 0 and known(services) == set()  # the first one only notes when it was
    put(services, clock, "NEW")
    assert poll_pims(services) == 1 and known(services) == {"NEW"}
    services.pim("mem").fail_with = Unavailable("mem", "changed_since", "down")
    clock.forward(600)
    put(services, clock, "LATER")
    assert poll_pims(services) == 0  # logged; the next poll goes back as far
    assert poll_pims(services) == 2 and known(services) == {"NEW", "LATER"}


def test_what_is_gone_from_its_source_is_gone_here(services: Services, clock: TestClock) -> None:
    put(services, clock, "A", "B")
    list(backfill(services, "mem"))
    del services.pim("mem").products["A"]
    clock.forward(60)
    services.pim("mem").products["A2"] = services.pim("mem").products["B"]
    from dam_connector.domain.event import Event, EventKind
    from dam_connector.usecases.intake import ingest_event

    assert (
        ingest_event(services, "mem", Event(kind=EventKind.UPDATED, ref="A", at=clock.now()))
        == "A: gone from its source"
    )
    assert (
        ingest_event(services, "mem", Event(kind=EventKind.UPDATED, ref="nothing", at=clock.now()))
        == "nothing: not found at its source"
    )
    assert known(services) == {"B"}


def test_the_command_shows_progress(
    services: Services, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(services, clock, "A", "B")
    monkeypatch.setattr(connection_commands, "open_services", lambda folder: services)

    def run_command(*command: str) -> tuple[int, str]:
        ran = CliRunner().invoke(main, list(command))
        return ran.exit_code, ran.output

    code, output = run_command("backfill", "--connection", "mem", "--dry-run")
    assert code == 0 and "2 products would be added" in output
    code, output = run_command(
        "backfill", "--connection", "mem", "--since", (clock.now() - timedelta(days=1)).isoformat(), "--json"
    )
    assert code == 0 and json.loads(output.splitlines()[-1]) | {"seconds_of_making": 0} == {
        **{"connection": "mem", "seen": 2, "taken": 2, "failed": 0},
        **{"seconds_of_making": 0, "dry_run": False},
    }
    code, output = run_command("backfill", "--connection", "main")
    assert code == 1 and "does not list changes" in output and "Traceback" not in output
    assert (
        run_command("backfill", "--connection", "nobody")[0] == 1
        and run_command("backfill", "--connection", "mem", "--since", "soon")[0] == 2
    )
