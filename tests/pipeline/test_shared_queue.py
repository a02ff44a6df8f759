"""Who uses the queue server: workers that live, and services that were given the same one by mistake."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from dam_connector import counters as counters_module
from dam_connector.counters import SharedCounters
from dam_connector.queue import LIVE_TTL_S, RqQueue, connect
from dam_connector.store.database import Database
from dam_connector.store.database_mark import database_mark
from worker.queue_workers import MONITOR_S, WORKER_TTL_S


@pytest.fixture
def server(queue_url: str) -> Redis:
    server = connect(queue_url)
    server.flushall()
    return server


def test_a_worker_that_misses_its_heartbeats_is_not_counted(queue_url: str, server: Redis) -> None:
    queue = RqQueue(queue_url)
    worker = SimpleWorker(
        ["make"], connection=connect(queue_url), serializer=JSONSerializer, worker_ttl=WORKER_TTL_S
    )
    worker.register_birth()
    assert queue.workers("advance_run") == 1
    for ttl, count in ((LIVE_TTL_S, 1), (LIVE_TTL_S - 1, 0)):
        server.expire(worker.key, ttl)
        assert queue.workers("advance_run") == count
    worker.heartbeat()
    assert queue.workers("advance_run") == 1
    worker.register_death()


def test_a_worker_has_more_than_that_left_between_two_heartbeats() -> None:
    """RQ gives a minute more than the time to the next one, idle and at work."""
    assert min(WORKER_TTL_S + 60 - (WORKER_TTL_S - 15), MONITOR_S + 60 - MONITOR_S) > LIVE_TTL_S


def test_two_services_on_one_queue_server_are_told(
    queue_url: str, server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[tuple[str, Any]] = []
    log = type("Log", (), {"error": lambda self, event, **fields: lines.append((event, fields))})
    monkeypatch.setattr(counters_module, "log", log())
    ours, web, theirs = (SharedCounters(queue_url) for _ in range(3))
    ours.service, theirs.service = "one", "other"
    monkeypatch.setattr("os.getpid", lambda: 1)
    ours.report_process("make")
    monkeypatch.setattr("os.getpid", lambda: 2)
    web.report_process("web")
    assert lines == []
    monkeypatch.setattr("os.getpid", lambda: 3)
    theirs.report_process("sweep")
    theirs.report_process("sweep")
    ((event, fields),) = lines
    assert event == "queue_shared" and fields["processes_of_other_databases"] == 1
    assert "REDIS_URL" in fields["remedy"]


def test_a_database_has_one_mark_under_whatever_address(
    postgres: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = postgres(), postgres()
    address = Database(first)
    same = Database(address.url.update_query_dict({"application_name": "x"}).render_as_string(False))
    other = Database(second)
    assert database_mark(address) == database_mark(same) != database_mark(other)
    for database in (address, same, other):
        database.close()
    monkeypatch.chdir(tmp_path)
    assert database_mark(Database("sqlite:///a.db")) == database_mark(Database(f"sqlite:///{tmp_path}/a.db"))
