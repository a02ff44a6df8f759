"""A checkpoint names the step to run next: runs survive releases that insert, rename or remove steps."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from dam_connector.domain.codec import to_plain
from dam_connector.domain.ids import RunId
from dam_connector.domain.run import ALL_STEPS_DONE, RunKind, RunState
from dam_connector.store.database import Database
from dam_connector.store.run_records import NewRun
from dam_connector.wiring import Services, build_services
from tests.support import TestClock, product
from worker import pipeline
from worker.pipeline import PIPELINES, RENAMED_STEPS, Step
from worker.runner import advance
from worker.work import Park, Work

END = ("assign_version", "label_provenance", "check_files", "seal_version", "push_to_dam", "request_review")
AT_0007 = {  # the pipelines of the release that brought migration 0007
    "image": ("collect_sources", "make_renditions", *END, "write_dam_state"),
    "model": (
        *("collect_sources", "make_model", "fit_dimensions", "optimise_model", "convert_to_usdz"),
        *("make_web_glb", "make_lods", "render_previews", *END, "write_dam_state", "plan_renditions"),
    ),
    "upscale": ("upscale_pictures", *END, "write_dam_state"),
    "review": ("push_to_dam", "request_review", "write_dam_state", "plan_renditions"),
    "publish": ("publish_to_channels", "record_publication", "write_dam_state", "write_back_to_pim"),
    "withdraw": ("withdraw_from_channels", "write_dam_state", "write_back_to_pim"),
    "tell": ("write_dam_state",),
}
OLD_ROW = """
INSERT INTO runs (id, kind, sku, deliverable, slot, input_hash, rules_fingerprint, state, position, step,
                  work, timings, due_at, created_at)
VALUES (:id, :kind, 'CH123', 'packshot', 1, :id, :rules, :state, :position, :step, :work, '{}',
        '2026-11-20 12:00:00', '2026-11-20 12:00:00')
"""
Ran = list[str]


@pytest.fixture(params=["sqlite", "postgresql"])
def old_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database as the release before checkpoints by name left it."""
    sqlite = request.param == "sqlite"
    database = Database(
        f"sqlite:///{tmp_path}/old.sqlite" if sqlite else str(request.getfixturevalue("postgres")())
    )
    database.migrate("0006")
    yield database
    database.close()


def named_step(name: str, ran: Ran) -> Step:
    """A step of that name which only notes that it ran."""

    def step(work: Work, services: Services) -> Work:
        ran.append(name)
        return work

    step.__name__ = name
    return step


@pytest.fixture
def use_pipeline(monkeypatch: pytest.MonkeyPatch) -> Callable[[Ran, Sequence[str]], None]:
    """Replace the pipeline of pictures by steps of these names."""

    def use(ran: Ran, names: Sequence[str]) -> None:
        steps = tuple(named_step(name, ran) for name in names)
        monkeypatch.setattr(pipeline, "PIPELINES", {RunKind.IMAGE: steps})

    return use


def old_rows(services: Services) -> list[dict[str, object]]:
    """A row for each position in each pipeline: the first without a checkpoint, the others with one."""
    fingerprint = services.rules.current().fingerprint
    deliverable = services.rules.current().deliverable("packshot")
    assert deliverable is not None
    work = to_plain(
        Work(
            run_id=RunId("run"),
            product=product(),
            deliverable=deliverable,
            slot=1,
            rules_fingerprint=fingerprint,
        )
    )
    return [
        {
            "id": f"{kind}_{position}",
            "kind": kind,
            "rules": fingerprint,
            "state": "parked" if position else "queued",
            "position": position,
            "step": "any" if position else "",
            "work": json.dumps(work if position else {}),
        }
        for kind, names in AT_0007.items()
        for position in range(len(names) + 1)
    ]


def test_runs_of_the_schema_before_go_on_where_they_were(
    services: Services, clock: TestClock, old_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, ran = old_rows(services), Ran()
    with old_database.write() as c:
        c.execute(sa.text(OLD_ROW), rows)
    old_database.migrate()
    settings = replace(services.settings, database_url=old_database.url.render_as_string(hide_password=False))
    upgraded = build_services(settings, clock=clock, queue=services.queue)
    upgraded.products.upsert(product(), connection="", ref="", source_time=clock.now())
    stubs = {RunKind(kind): tuple(named_step(n, ran) for n in names) for kind, names in AT_0007.items()}
    monkeypatch.setattr(pipeline, "PIPELINES", stubs)
    for row in rows:
        names, position = AT_0007[str(row["kind"])], int(str(row["position"]))
        before = upgraded.runs.get(str(row["id"]))
        assert before.next_step == ("", *names[1:], ALL_STEPS_DONE)[position]
        ran.clear()
        advance(upgraded, before.id)
        assert tuple(ran) == names[position:], row
        assert upgraded.runs.get(before.id).state is RunState.DONE
    upgraded.db.close()


def test_a_run_that_was_parked_in_its_first_step_goes_on_there(old_database: Database) -> None:
    values = {"id": "r", "kind": "publish", "rules": "f", "state": "parked", "position": 0, "work": "{}"}
    with old_database.write() as c:
        c.execute(sa.text(OLD_ROW), {**values, "step": "publish_to_channels"})
    old_database.migrate()
    with old_database.read() as c:
        assert c.execute(sa.text("SELECT next_step FROM runs")).scalar_one() == "publish_to_channels"


@pytest.fixture
def parked(services: Services, clock: TestClock, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Ran]:
    """A run of the steps one, two and three, which sleeps in two; it is due again."""
    ran = Ran()

    def sleep(work: Work, services: Services) -> Work:
        raise Park(clock.now(), work)

    sleep.__name__ = "two"
    steps = (named_step("one", ran), sleep, named_step("three", ran))
    monkeypatch.setattr(pipeline, "PIPELINES", {RunKind.IMAGE: steps})
    services.products.upsert(product(), connection="", ref="", source_time=clock.now())
    new = NewRun(
        kind=RunKind.IMAGE,
        sku="CH123",
        deliverable="packshot",
        slot=1,
        input_hash="h",
        rules_fingerprint=services.rules.current().fingerprint,
    )
    run_id = services.runs.add([new])[0]
    advance(services, run_id)
    assert services.runs.get(run_id).state is RunState.PARKED and ran == ["one"]
    ran.clear()
    return run_id, ran


def test_a_step_that_is_inserted_does_not_move_a_parked_run(
    services: Services, parked: tuple[str, Ran], use_pipeline: Callable[[Ran, Sequence[str]], None]
) -> None:
    run_id, ran = parked
    use_pipeline(ran, ["zero", "one", "one_and_a_half", "two", "three"])
    advance(services, run_id)
    assert ran == ["two", "three"] and services.runs.get(run_id).state is RunState.DONE


def test_a_step_that_was_renamed_is_found_by_the_table(
    services: Services,
    parked: tuple[str, Ran],
    use_pipeline: Callable[[Ran, Sequence[str]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_id, ran = parked
    use_pipeline(ran, ["one", "second", "three"])
    monkeypatch.setattr(pipeline, "RENAMED_STEPS", {"two": "second"})
    advance(services, run_id)
    assert ran == ["second", "three"]


def test_a_step_that_is_gone_fails_the_run_with_a_clear_message(
    services: Services, parked: tuple[str, Ran], use_pipeline: Callable[[Ran, Sequence[str]], None]
) -> None:
    run_id, ran = parked
    use_pipeline(ran, ["one", "three"])
    advance(services, run_id)
    run = services.runs.get(run_id)
    assert run.state is RunState.FAILED and ran == []
    assert "'two'" in run.error and "regenerat" in run.error


def test_names_of_steps_say_where_a_run_is() -> None:
    names = {kind: [step.__name__ for step in steps] for kind, steps in PIPELINES.items()}
    for row in names.values():
        assert len(set(row)) == len(row) and ALL_STEPS_DONE not in row
    known = {name for row in names.values() for name in row}
    assert set(RENAMED_STEPS.values()) <= known and not set(RENAMED_STEPS) & known
