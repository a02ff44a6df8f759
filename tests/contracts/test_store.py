"""The store's promises, on SQLite and on PostgreSQL."""

import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.issue import Report, issue
from dam_connector.domain.run import RunKind, RunState
from dam_connector.domain.version import VersionState
from dam_connector.errors import ConfigError, StateConflict
from dam_connector.ports import InboundWebhook
from dam_connector.store import (
    tables,  # noqa: F401 - fills the metadata
    users,
)
from dam_connector.store.columns import metadata
from dam_connector.store.database import Database, check_url
from dam_connector.store.idempotency import StoredResponse
from dam_connector.store.run_records import NewRun
from dam_connector.store.users import UserRole
from dam_connector.usecases.maintenance import delete_expired
from dam_connector.wiring import Services
from tests.support import TestClock, file_of, product


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "sqlite" else str(request.getfixturevalue("migrated_postgres")())


def inbound(services: Services, body: bytes = b"{}") -> InboundWebhook:
    return InboundWebhook(
        headers={"webhook-id": "1", "cookie": "secret"}, body=body, received_at=services.clock.now()
    )


def new_run(**changes: object) -> NewRun:
    values = {
        "kind": RunKind.IMAGE,
        "sku": "A",
        "deliverable": "packshot",
        "slot": 1,
        "input_hash": "h1",
        "rules_fingerprint": "r",
    }
    return NewRun(**{**values, **changes})  # type: ignore[arg-type]


def test_migrations_say_what_the_tables_say(services: Services) -> None:
    with services.db.read() as c:
        found = compare_metadata(MigrationContext.configure(c), metadata)
    assert found == []


def test_a_writing_block_within_another_is_a_part_of_it(services: Services) -> None:
    with pytest.raises(ValueError, match="all"), services.db.write():
        services.inbox.add("main", "inner", inbound(services))  # it would wait for ever for the outer one
        assert services.db.in_transaction() and services.inbox.page()
        raise ValueError("all of it is undone")
    assert not services.db.in_transaction() and not services.inbox.page()


def test_a_delivery_key_is_taken_once_by_50_at_a_time(services: Services) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: services.inbox.add("main", "k", inbound(services)), range(50)))
    assert len({a[0] for a in answers}) == 1
    assert sum(a[1] for a in answers) == 1


def test_a_delivery_keeps_its_bytes_and_only_harmless_headers(services: Services) -> None:
    delivery_id, _ = services.inbox.add("main", "k", inbound(services, b"\x00\xff raw"))
    found = services.inbox.get(delivery_id)
    assert found and found.inbound.body == b"\x00\xff raw"
    assert "cookie" not in found.inbound.headers


def test_a_delivery_is_retried_with_growing_pauses_and_then_failed(
    services: Services, clock: TestClock
) -> None:
    delivery_id, _ = services.inbox.add("main", "k", inbound(services))
    pauses = []
    while services.inbox.retry_later(delivery_id, "down"):
        pauses.append((services.inbox.get(delivery_id).due_at - clock.now()).total_seconds())
    assert pauses == sorted(pauses) and len(pauses) == 7
    assert services.inbox.get(delivery_id).state == "failed"


def test_the_newest_word_on_a_product_wins_whatever_comes_first(services: Services, clock: TestClock) -> None:
    at = clock.now()
    assert services.products.upsert(product(name="New"), connection="main", ref="1", source_time=at)
    assert not services.products.upsert(
        product(name="Old"), connection="main", ref="1", source_time=at - timedelta(seconds=1)
    )
    assert services.products.get("CH123").product.name == "New"


def test_a_product_search_takes_wildcards_literally(services: Services, clock: TestClock) -> None:
    services.products.upsert(product("A_1"), connection="", ref="", source_time=clock.now())
    services.products.upsert(product("AX1"), connection="", ref="", source_time=clock.now())
    assert [r.product.sku for r in services.products.page(text="A_1")] == ["A_1"]
    assert services.products.page(text="%") != []


def test_findings_flag_a_product_once(services: Services, clock: TestClock) -> None:
    services.products.upsert(product(), connection="", ref="", source_time=clock.now())
    found = issue("source.damaged", "x")
    for _ in range(3):
        services.products.add_issues("CH123", (found,))
    record = services.products.get("CH123")
    assert record.issues == (found,) and record.flagged
    assert services.products.counts() == {"all": 1, "flagged": 1}


def test_the_same_input_runs_once(services: Services) -> None:
    with ThreadPoolExecutor(8) as pool:
        added = [i for ids in pool.map(lambda _: services.runs.add([new_run()]), range(20)) for i in ids]
    assert len(added) == 1


def test_newer_facts_cancel_the_older_run_and_coming_back_opens_it_again(services: Services) -> None:
    first = services.runs.add([new_run(input_hash="a")])[0]
    second = services.runs.add([new_run(input_hash="b")])[0]
    assert services.runs.get(first).state is RunState.CANCELLED
    third = services.runs.add([new_run(input_hash="a")])
    assert third and services.runs.get(third[0]).state is RunState.QUEUED
    assert services.runs.get(second).state is RunState.CANCELLED


def test_facts_that_come_back_after_others_were_made_are_made_again(services: Services) -> None:
    for facts in ("a", "b"):
        run_id = services.runs.add([new_run(input_hash=facts)])[0]
        services.runs.finish(services.runs.lease(run_id, "w", 10), RunState.DONE)
    again = services.runs.add([new_run(input_hash="a")])
    assert len(again) == 1
    assert services.runs.add([new_run(input_hash="a")]) == []


def test_a_lease_is_held_by_one_and_its_fence_shuts_out_the_one_before(
    services: Services, clock: TestClock
) -> None:
    run_id = services.runs.add([new_run()])[0]
    first = services.runs.lease(run_id, "one", 10)
    assert first and services.runs.lease(run_id, "two", 10) is None
    clock.forward(11)
    second = services.runs.lease(run_id, "two", 10)
    assert second and second.fence > first.fence and second.attempts == 1
    with pytest.raises(StateConflict):
        services.runs.checkpoint(first, step="one", next_step="two", work={}, timings={})
    services.runs.checkpoint(second, step="one", next_step="two", work={"a": 1}, timings={"one": 0.1})
    assert services.runs.get(run_id).next_step == "two"


def test_a_parked_run_is_due_when_its_time_comes_and_not_before(services: Services, clock: TestClock) -> None:
    run_id = services.runs.add([new_run()])[0]
    services.runs.park(services.runs.lease(run_id, "w", 10), clock.now() + timedelta(seconds=60))
    clock.forward(30)
    assert services.runs.due(10) == [] and services.runs.lease(run_id, "w", 10) is None
    clock.forward(31)
    assert services.runs.due(10) == [(run_id, RunKind.IMAGE, False)]
    services.runs.mark_woken([run_id], 20)
    assert services.runs.due(10) == []
    assert services.runs.lease(run_id, "w", 10) is not None


def test_version_numbers_are_unique_and_without_gaps(services: Services) -> None:
    ids = [services.runs.add([new_run(input_hash=f"h{n}", sku="S")])[0] for n in range(8)]

    def assign(run_id: str) -> int:
        return services.assets.assign_version(
            sku="S", deliverable="packshot", slot=1, kind="image", run_id=run_id, rules_fingerprint="r"
        )[1]

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(assign, ids * 3))
    assert sorted(set(numbers)) == list(range(1, 9))
    assert numbers[:8] == numbers[8:16] == numbers[16:]


def draft(services: Services, run: str = "h1") -> str:
    run_id = services.runs.add([new_run(input_hash=run)])[0]
    version_id, _ = services.assets.assign_version(
        sku="A", deliverable="packshot", slot=1, kind="image", run_id=run_id, rules_fingerprint="r"
    )
    services.assets.seal(version_id, (file_of(b"x", "a.jpg", "jpeg"),), Report(), {"tool": "test"})
    return version_id


def test_a_sealed_version_takes_no_other_files(services: Services) -> None:
    version_id = draft(services)
    services.assets.transition(version_id, VersionState.IN_REVIEW)
    services.assets.seal(version_id, (file_of(b"x", "a.jpg", "jpeg"),), Report(), {})
    with pytest.raises(StateConflict):
        services.assets.seal(version_id, (file_of(b"x", "b.jpg", "jpeg"),), Report(), {})


def test_of_two_decisions_at_once_one_wins(services: Services) -> None:
    version_id = draft(services)
    services.assets.transition(version_id, VersionState.IN_REVIEW)
    version = services.assets.get(version_id)

    def decide(verdict: Verdict) -> bool:
        try:
            services.decisions.record(version, Decision(verdict=verdict, by="x"), "page")
        except StateConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(decide, [Verdict.APPROVED, Verdict.REJECTED] * 8)) == 1


def test_an_approval_is_pinned_to_its_files(services: Services) -> None:
    version_id = draft(services)
    services.assets.transition(version_id, VersionState.IN_REVIEW)
    services.decisions.record(
        services.assets.get(version_id), Decision(verdict=Verdict.APPROVED, by="ann"), "page"
    )
    approved = services.decisions.approved_version(services.assets.get(version_id))
    assert approved.approved_by == "ann"
    with services.db.write() as c:
        c.execute(
            sa.text("UPDATE versions SET files = :files"),
            {
                "files": '[{"name":"a.jpg","format":"jpeg","role":"primary","view":"",'
                '"mime":"image/jpeg","sha256":"ff","bytes":1}]'
            },
        )
    with pytest.raises(StateConflict):
        services.decisions.approved_version(services.assets.get(version_id))


def test_states_move_along_the_table_only(services: Services) -> None:
    version_id = draft(services)
    with pytest.raises(StateConflict):
        services.assets.transition(version_id, VersionState.PUBLISHED)


def test_one_holder_of_a_lease_by_name(services: Services, clock: TestClock) -> None:
    assert services.locks.lease("sweeper", "a", 10) and not services.locks.lease("sweeper", "b", 10)
    assert services.locks.lease("sweeper", "a", 10)
    clock.forward(11)
    assert services.locks.lease("sweeper", "b", 10)
    services.locks.release("sweeper", "b")
    assert services.locks.lease("sweeper", "a", 10)


def test_passwords_tokens_and_links(services: Services, clock: TestClock) -> None:
    ann = services.users.add("ann", UserRole.REVIEWER, "correct horse battery")
    assert services.users.authenticate("ann", "correct horse battery") == ann
    assert (
        services.users.authenticate("ann", "wrong") is None
        and services.users.authenticate("nobody", "x") is None
    )
    token = services.users.add_token(ann, "api", days=1)
    assert services.users.by_token(token) == ann and services.users.by_token(token + "x") is None
    link = services.users.add_login_link(ann)
    assert services.users.by_token(link) is None
    assert services.users.use_login_link(link) == ann and services.users.use_login_link(link) is None
    clock.forward(86_401)
    assert services.users.by_token(token) is None
    with services.db.read() as c:
        rows = str(c.execute(sa.text("SELECT * FROM credentials")).all()) + str(
            c.execute(sa.text("SELECT * FROM users")).all()
        )
    assert token not in rows and link not in rows and "correct horse" not in rows


def test_a_password_of_nobody_takes_the_work_of_any_other() -> None:
    hashed = users._password_hash("a long enough password").split("$")
    nobody = users._NOBODY_HASH.split("$")
    assert hashed[0] == nobody[0] and len(hashed[2]) == len(nobody[2])


def test_what_is_over_is_forgotten_and_nothing_else(services: Services, clock: TestClock) -> None:
    ann = services.users.add("ann", UserRole.REVIEWER)
    lasting, later = services.users.add_token(ann, "api"), services.users.add_token(ann, "api", days=30)
    services.users.add_token(ann, "api", days=1)
    services.users.use_login_link(services.users.add_login_link(ann))
    services.idempotency.add("old", StoredResponse(202, "d", {}))
    assert delete_expired(services) == 1  # the link that was used
    clock.forward(86_400 * 8)
    services.idempotency.add("new", StoredResponse(202, "d", {}))
    assert delete_expired(services) == 2 and delete_expired(services) == 0
    assert services.idempotency.get("old") is None and services.idempotency.get("new") is not None
    assert services.users.by_token(lasting) == services.users.by_token(later) == ann


def test_pages_by_cursor_cover_everything_once(services: Services, clock: TestClock) -> None:
    for n in range(7):
        services.products.upsert(product(f"S{n}"), connection="", ref="", source_time=clock.now())
        clock.forward(1)
    seen, cursor = [], ""
    while page := services.products.page(before=cursor, limit=3):
        seen += [r.product.sku for r in page]
        cursor = page[-1].id
    assert seen == [f"S{n}" for n in reversed(range(7))]


def test_the_first_answer_to_an_idempotency_key_stays(services: Services) -> None:
    services.idempotency.add("k", StoredResponse(202, "d", {"a": 1}))
    services.idempotency.add("k", StoredResponse(409, "d", {"a": 2}))
    assert services.idempotency.get("k") == (202, "d", {"a": 1})


@pytest.mark.parametrize("change", ["UPDATE audit SET subject = 'x'", "DELETE FROM audit"])
def test_the_database_refuses_changes_of_the_audit_log(services: Services, change: str) -> None:
    services.users.add("ann", UserRole.VIEWER)
    with pytest.raises(sa.exc.DatabaseError, match="append-only"), services.db.write() as c:
        c.execute(sa.text(change))
    assert len(services.audit.page()) == 1


def test_the_audit_log_has_the_history_too_page_by_page(services: Services) -> None:
    for number in range(3):
        services.users.refuse_login(f"u{number}")
        services.history.add("edited", sku=f"S{number}", version_id=f"v{number}", by="ann")
    services.history.add("sent", sku="S0")
    seen, cursor = [], ""
    while found := services.audit.page(before=cursor, limit=4):
        seen += [(entry.action, entry.subject, entry.by) for entry in found]
        cursor = found[-1].cursor
    expected = [("login_failed", f"u{n}", "") for n in range(3)] + [
        ("edited", f"S{n} v{n}", "ann") for n in range(3)
    ]
    assert sorted(seen) == sorted(expected)
    assert [entry.id for entry in services.audit.all()] == [e.id for e in services.audit.page(limit=100)]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://connector:pa@sesame@127.0.0.1:1/connector",
        "postgresql+psycopg://connector:pa@sesame:word@127.0.0.1:1/connector",
        "sesame",
    ],
)
def test_a_password_that_must_be_encoded_is_said_and_not_shown(url: str) -> None:
    for opened in (Database, check_url):
        with pytest.raises(ConfigError, match="%40") as raised:
            opened(url)  # type: ignore[operator]
        assert "sesame" not in "".join(traceback.format_exception(raised.value))
    assert Database("postgresql+psycopg://connector:pa%40ss@host/name").url.password == "pa@ss"
