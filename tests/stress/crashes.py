"""Crashes at chosen points: before and after each commit and each remote call of an operation.

A crash is a `Crash` that ends the "process": until the restart, nothing of it reaches the database or an
outside system any more, not even what its `finally` blocks try. The outside systems live on, and the queue is
empty after the restart.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.run import RunKind
from dam_connector.queue import CommitQueue
from dam_connector.store.run_records import RunRecord
from dam_connector.usecases import batches, intake, maintenance
from dam_connector.usecases.broker import Broker
from dam_connector.usecases.broker.request_pool import RequestPool
from dam_connector.wiring import Services, build_services
from tests.support import TestClock
from worker.runner import advance

ROUNDS = 60  # of work until everything must be quiet
ROUND_S = 30.0
REMOTE_METHODS = frozenset(
    [
        "sync",
        "push",
        "write_state",
        "remote_state",
        "changed_files",
        "changed_since",
        "fetch",
        "write_back",
        "remove",
        "fetch_picture",
        "get",
        "submit",
        "poll",
        "find_lost_task",
        "changed_photos",
        "photo",
        "photo_bytes",
        "finished_files",
        "cancel",
    ]
)


class Crash(BaseException):
    """The end of the process."""


@dataclass
class CrashPlan:
    """The point at which the process ends, and how many points it has passed."""

    at: int = 0  # the number of the point; 0: nowhere
    after: bool = False  # after the commit or call; otherwise before it
    passed: list[str] = field(default_factory=list)  # what was done at each point
    crashed: bool = False

    def reach(self, name: str, action: Callable[[], Any]) -> Any:
        """Do what is done at a point, unless the process ends before or has ended."""
        if self.crashed:
            raise Crash
        self.passed.append(name)
        hit = len(self.passed) == self.at
        if hit and not self.after:
            self.crashed = True
            raise Crash
        result = action()
        if hit:
            self.crashed = True
            raise Crash
        return result


class ListQueue:
    """Wake-ups in a list."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, str]] = []

    def wake(self, job: str, ids: Iterable[str]) -> bool:
        self.waiting += [(job, record_id) for record_id in ids]
        return True

    def length(self, job: str) -> int:
        return len(self.waiting)

    def workers(self, job: str) -> int:
        return 1


class RemoteProxy:
    """An adapter whose remote calls are points."""

    def __init__(self, inner: Any, plan: Callable[[], CrashPlan]) -> None:
        self.inner, self._plan = inner, plan

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name not in REMOTE_METHODS:
            return found
        kind = type(self.inner).__name__
        return lambda *args, **kwargs: self._plan().reach(f"{kind}.{name}", lambda: found(*args, **kwargs))


class DirectRequests(RequestPool):
    """Requests of the broker that are made at once, in the same thread: a crash ends them and the broker."""

    def start(self, key: str, request: Callable[[], None]) -> None:
        self._run(key, request)

    def is_known(self, key: str) -> bool:
        return False


class World:
    """A connector that can crash and start again, and the systems around it, which live on."""

    def __init__(self, services: Services, clock: TestClock) -> None:
        self.clock, self.plan, self.queue = clock, CrashPlan(), ListQueue()
        self._first = services
        self._adapters: dict[Any, Any] = {}
        self.services = services
        self.restart()

    def restart(self) -> None:
        """Start the connector again, with an empty queue."""
        self.plan, self.queue = CrashPlan(), ListQueue()
        opened = build_services(self._first.settings, clock=self.clock, queue=self.queue)
        assert isinstance(opened.queue, CommitQueue)
        self._count_commits(opened)
        self._count_remote_calls(opened)
        self.services.db.close()
        self.services = opened
        self.broker = Broker(opened, "broker")
        pool = DirectRequests()
        for part in (self.broker, self.broker._polling, self.broker._submission, self.broker._recovery):
            part._pool.close() if part is self.broker else None
            part._pool = pool

    def close(self) -> None:
        """Close the database."""
        self.services.db.close()

    def _count_commits(self, services: Services) -> None:
        engine = services.db._writer
        engine.connect().close()
        engine.dialect = copy(engine.dialect)  # tests share one, see tests/compiled_once.py
        commit = engine.dialect.do_commit

        def counted(connection: Any) -> None:
            self.plan.reach("commit", lambda: commit(connection))

        engine.dialect.do_commit = counted  # type: ignore[method-assign]

        @sa.event.listens_for(engine, "begin")
        def refuse_after_the_crash(connection: sa.Connection) -> None:
            if self.plan.crashed:
                raise Crash

    def _count_remote_calls(self, services: Services) -> None:
        for getter, port in (
            ("pim", "pim"),
            ("dam", "dam"),
            ("channel", "channel"),
            ("provider", "provider"),
        ):
            for name in getattr(services.rules.current(), port):
                adapter = getattr(services, getter)(name)
                key = next(k for k, v in services._adapters.items() if v is adapter)
                if "memory" in type(adapter).__module__:
                    self._adapters.setdefault(key, RemoteProxy(adapter, lambda: self.plan))
                    services._adapters[key] = self._adapters[key]

    @contextmanager
    def crash(self, at: int, *, after: bool) -> Iterator[None]:
        """End the process at a point of the block; at the end of the block, start again."""
        self.plan = CrashPlan(at=at, after=after)
        try:
            yield
        except Crash:
            pass
        self.restart()

    def work(self) -> None:
        """Do everything that is due until all is quiet. Each round, half a minute passes."""
        for _ in range(ROUNDS):
            if self.services.rules.current().provider:
                self.broker.tick()
            maintenance.sweep(self.services, "sweeper")
            while self.queue.waiting:
                job, record_id = self.queue.waiting.pop(0)
                self.run_job(job, record_id)
            if self._is_quiet():
                return
            self.clock.forward(ROUND_S)
        raise AssertionError(f"never quiet: {self.services.runs.page(limit=5)}")

    def run_job(self, job: str, record_id: str) -> None:
        """Do a job, as a worker would."""
        if job == "handle_delivery":
            intake.handle_delivery(self.services, record_id)
        elif job == "advance_batch":
            batches.advance(self.services, record_id)
        else:
            advance(self.services, record_id)

    def _is_quiet(self) -> bool:
        deliveries = self.services.inbox.counts("received")
        is_idle = not any(b.state.value in ("running", "storing") for b in self.services.batches.page())
        return not self._open_runs() and not any(deliveries.values()) and is_idle

    def _open_runs(self) -> list[RunRecord]:
        """Return the runs that are not over, without those that wait for the day of a publication."""
        found = [r for state in ("queued", "running", "parked") for r in self.services.runs.page(state=state)]
        return [r for r in found if not (r.kind is RunKind.PUBLISH and r.error.startswith("waits for "))]
