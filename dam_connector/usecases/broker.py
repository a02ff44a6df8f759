"""Brokering: carries out what runs ordered from providers. Nobody else talks to them, so that one process keeps all tasks in flight.

A turn looks at everything that is due: tasks that are under way, in as few questions as the provider allows; answers that were lost;
orders for which a slot is free. Requests that take their time go to threads: uploads, submissions, downloads. When a task ended, its run is
roused. The database is the truth: a broker that dies is replaced by any other, and no task is asked for twice.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import groupby

import structlog

from dam_connector.domain.codec import to_plain
from dam_connector.domain.run import job_name
from dam_connector.errors import (
    AdapterError,
    BadOutput,
    Busy,
    ConfigError,
    ConnectorError,
    NotFound,
    OutOfCredit,
    RateLimited,
    Refused,
    StateConflict,
    SubmitUnknown,
    Unavailable,
)
from dam_connector.ports import Provider, RemoteTask, RemoteTaskState
from dam_connector.store.tasks import IN_FLIGHT_STATES, TaskRecord, TaskState
from dam_connector.usecases.provider_orders import GeneratedFiles, read_order, spend_caps, warn_of_budget
from dam_connector.wiring import Services

log = structlog.get_logger()

LEASE_S = 15.0
SOONEST_S = 0.25  # between two turns
TIDY_S = (
    2.0  # between two looks at what is seldom: orders nobody wants, lost answers, runs that were not told
)
THREADS = 32  # each waits for an answer most of its time
BATCH = 500
LOOKS_PER_S = 10.0  # at one provider, where each task is looked at by itself
LEARNED = 8  # tasks after which it is known how long none takes less than
MAX_TRIES = 8
FIRST_RETRY_S, MAX_RETRY_S = 4.0, 300.0
CREDIT_RETRY_S = 900.0
PAUSE_NOTE_PREFIX = "paused:"  # before a provider's name, in notes: why it is left alone


class Broker:
    """One turn after the other; the lease sees to it that one broker works at a time."""

    def __init__(self, services: Services, owner: str) -> None:
        self._s, self._owner = services, owner
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="provider")
        self._busy: dict[str, Future[None]] = {}  # by task: one request at a time
        self._guard = threading.Lock()
        self._quiet: dict[str, datetime] = {}  # by provider: nothing is submitted before
        self._began: dict[str, datetime] = {}  # by task
        self._took: dict[str, deque[float]] = {}  # by provider: seconds that its last tasks took
        self._news = threading.Event()
        self._tidied = datetime.min.replace(tzinfo=UTC)

    def tick(self) -> int:
        """How many tasks were touched; none while somebody else is the broker."""
        if not self._s.locks.lease("broker", self._owner, LEASE_S):
            return 0
        with self._guard:
            self._busy = {task: future for task, future in self._busy.items() if not future.done()}
        touched = self._look() + self._submit()
        if self._s.clock.now() >= self._tidied + timedelta(seconds=TIDY_S):
            self._tidied = self._s.clock.now()
            touched += self._drop() + self._find_lost() + self._rouse()
        return touched

    def wait(self, seconds: float) -> None:
        """Until the next turn: so long, or until a request ended, since then a slot may be free."""
        time.sleep(SOONEST_S)
        self._news.wait(max(0.0, seconds - SOONEST_S))
        self._news.clear()

    def drain(self) -> None:
        """Wait for the requests that are under way, and for those that they start."""
        while pending := [future for future in list(self._busy.values()) if not future.done()]:
            futures.wait(pending)

    def close(self) -> None:
        """End, without waiting for what is under way: whoever comes next finds it in the books."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._s.locks.release("broker", self._owner)

    def _drop(self) -> int:
        """Nobody wants these any more: those that wait are let go; those that run are stopped where that saves money, else seen to their end."""
        dropped = self._s.tasks.orphaned(BATCH)
        for entry in dropped:
            with suppress(StateConflict, AdapterError, ConfigError):
                if entry.state is TaskState.WAITING or self._s.provider(entry.provider).cancel(entry.ref):
                    self._s.tasks.release(entry, "the run was given up")
            self._s.tasks.acknowledge(entry)
        return len(dropped)

    def _look(self) -> int:
        """Ask how the tasks under way stand."""
        due = self._s.tasks.due(TaskState.SUBMITTED, BATCH)
        for name, entries in _by_provider(due):
            provider = self._open(name, lambda e=entries: e)  # type: ignore[misc]
            if provider is None:
                continue
            able = provider.capabilities
            every = max(able.poll_interval_s, len(due) / (LOOKS_PER_S * max(1, able.tasks_per_poll)))
            self._s.tasks.set_due_at([e.id for e in entries], self._in(every))
            free = [e for e in entries if e.id not in self._busy]
            for start in range(0, len(free), max(1, able.tasks_per_poll)):
                group = free[start : start + max(1, able.tasks_per_poll)]
                self._start(f"look {group[0].id}", lambda p=provider, g=group: self._ask(p, g))  # type: ignore[misc]
        return len(due)

    def _ask(self, provider: Provider, entries: list[TaskRecord]) -> None:
        try:
            told = provider.poll([e.ref for e in entries])
        except (AdapterError, ConfigError) as error:
            self._missed(entries, error)
            return
        for entry in entries:
            with suppress(StateConflict):  # another broker was faster
                self._judge(provider, entry, told.get(entry.ref))

    def _missed(self, entries: list[TaskRecord], error: Exception) -> None:
        """A look that told nothing: the next one may, until the task is overdue."""
        log.warning("look_failed", provider=entries[0].provider, tasks=len(entries), error=str(error))
        if isinstance(error, RateLimited):
            self._s.tasks.set_due_at([e.id for e in entries], self._in(error.retry_after_s))
        for entry in entries:
            with suppress(StateConflict, ConfigError):
                self._overdue(self._s.provider(entry.provider), entry, str(error))

    def _judge(self, provider: Provider, entry: TaskRecord, task: RemoteTask | None) -> None:
        """What a look told about a task."""
        if task is None:
            self._s.tasks.mark_unknown(entry, "the provider does not know the task any more")
        elif task.state is RemoteTaskState.UNKNOWN:
            self._s.tasks.mark_unknown(entry, task.error)
        elif task.state is RemoteTaskState.FAILED:
            self._failed(entry, task)
        elif task.state is RemoteTaskState.SUCCEEDED:
            self._start(entry.id, lambda: self._collect(provider, entry, task))
            return
        else:
            self._overdue(provider, entry, "it is still under way")
            return
        self._told(entry)

    def _overdue(self, provider: Provider, entry: TaskRecord, why: str) -> None:
        if (
            self._s.clock.now() - entry.updated_at
        ).total_seconds() > provider.capabilities.task_timeout_s:  # since it was submitted
            self._s.tasks.mark_unknown(entry, f"the task did not end in time: {why}")
            self._told(entry)

    def _failed(self, entry: TaskRecord, task: RemoteTask) -> None:
        if task.cost_usd:
            self._s.tasks.settle(entry, task.cost_usd, {}, task.error or "it failed without a reason")
        else:
            self._s.tasks.release(entry, f"the task failed: {task.error or 'no reason is given'}")

    def _collect(self, provider: Provider, entry: TaskRecord, task: RemoteTask) -> None:
        """Take in what was made. A download that fails is tried again with the next look; what is no good is on the bill all the same."""
        self._learn(entry)
        try:
            files = task.files or provider.fetch(entry.ref)
        except (Unavailable, RateLimited) as error:
            self._missed([entry], error)
            return
        except (BadOutput, NotFound, Refused) as error:
            self._s.tasks.settle(entry, task.cost_usd, {}, f"what was made cannot be used: {error}")
        else:
            stored = tuple(self._s.blobs.put(data) for data in files)
            made = GeneratedFiles(
                files=stored,
                model=task.model,
                request_id=task.request_id or entry.ref.partition(" ")[0],
                model_asked=provider.model,
            )
            self._s.tasks.settle(entry, task.cost_usd, to_plain(made))
        self._told(entry)

    def _find_lost(self) -> int:
        """Tasks whose answer was lost: asked again where that is harmless, looked for where one can, else left to a person."""
        found = 0
        for name in self._s.rules.current().provider:
            with suppress(ConfigError):
                provider = self._s.provider(name)
                for entry in self._s.tasks.abandoned(name, provider.capabilities.submit_timeout_s):
                    if entry.id not in self._busy:
                        with suppress(StateConflict):
                            self._s.tasks.mark_lost(entry, "whoever asked for it ended before the answer came")
        for entry in self._s.tasks.due(TaskState.LOST, BATCH):
            with suppress(StateConflict, ConfigError):
                self._find(self._s.provider(entry.provider), entry)
                found += 1
        return found

    def _find(self, provider: Provider, entry: TaskRecord) -> None:
        if provider.capabilities.is_idempotent:
            self._put_off(entry, entry.error)
            return
        if provider.capabilities.can_find_lost_task:
            if self._s.tasks.count(entry.provider, TaskState.SUBMITTING):
                return  # one of those might be taken for it
            try:
                ref = provider.find_lost_task(entry.due_at, self._s.tasks.refs_since(entry.provider, entry.due_at))
            except (Unavailable, RateLimited) as error:
                log.warning("reconcile_failed", provider=entry.provider, error=str(error))
                return
            except AdapterError as error:
                self._give_up(entry, f"{entry.error}; {error}")
                return
            if ref is None:
                self._put_off(entry, f"{entry.error}; it was not begun")
            else:
                self._s.tasks.mark_submitted(entry, ref, self._s.clock.now())
            return
        self._give_up(entry, f"{entry.error}; it may have been billed, and is not asked for again")

    def _give_up(self, entry: TaskRecord, why: str) -> None:
        self._s.tasks.mark_unknown(entry, why)
        log.warning("task_unknown", provider=entry.provider, run_id=entry.run_id, why=why)
        self._told(entry)

    def _submit(self) -> int:
        """Start what waits, as far as slots, caps and credit allow."""
        begun = 0
        for name in self._s.tasks.providers_with_due_tasks():
            if name in self._quiet and self._s.clock.now() < self._quiet[name]:
                continue
            provider = self._open(name, lambda n=name: self._s.tasks.due(TaskState.WAITING, BATCH, n))  # type: ignore[misc]
            free = (
                provider.capabilities.concurrency - self._s.tasks.count(name, *IN_FLIGHT_STATES) if provider else 0
            )
            if provider is None or free <= 0:
                continue
            with suppress(Busy):  # somebody else took the last slot
                for entry in self._s.tasks.due(TaskState.WAITING, min(free, BATCH), name):
                    begun += self._begin(provider, entry)
        return begun

    def _begin(self, provider: Provider, entry: TaskRecord) -> bool:
        """Whether the task is on its way. Raises: Busy."""
        try:
            self._s.tasks.begin_submission(entry, spend_caps(self._s, entry.provider), provider.capabilities.concurrency)
        except OutOfCredit as error:
            self._later(entry, error, CREDIT_RETRY_S)
            return False
        except StateConflict:
            return False
        self._start(entry.id, lambda: self._send(provider, entry))
        return True

    def _send(self, provider: Provider, entry: TaskRecord) -> None:
        """Submit a task, and put down what that proves."""
        try:
            task = provider.submit(read_order(entry).to_request(self._s, entry.id))
        except SubmitUnknown as error:
            self._s.tasks.mark_lost(entry, str(error))
        except OutOfCredit as error:
            self._pause(entry.provider, error, CREDIT_RETRY_S)
            self._later(entry, error, CREDIT_RETRY_S)
        except RateLimited as error:
            self._pause(entry.provider, error, error.retry_after_s)
            self._later(entry, error, error.retry_after_s)
        except Unavailable as error:
            self._put_off(entry, str(error))
        except (AdapterError, ConfigError) as error:
            self._s.tasks.release(entry, str(error))
            self._told(entry)
        else:
            self._sent(provider, entry, task)
        warn_of_budget(self._s, entry)

    def _sent(self, provider: Provider, entry: TaskRecord, task: RemoteTask) -> None:
        if self._s.notes.get(PAUSE_NOTE_PREFIX + entry.provider):
            self._s.notes.set(PAUSE_NOTE_PREFIX + entry.provider, "")
        if task.state is RemoteTaskState.SUCCEEDED:
            self._collect(provider, entry, task)
        elif task.state is RemoteTaskState.FAILED:
            self._failed(entry, task)
            self._told(entry)
        else:
            self._began[entry.id] = self._s.clock.now()
            self._s.tasks.mark_submitted(
                entry, task.ref, self._in(max(provider.capabilities.poll_interval_s, self._soonest(entry.provider)))
            )
            log.info("task_submitted", provider=entry.provider, task=task.ref, run_id=entry.run_id)

    def _soonest(self, name: str) -> float:
        """Seconds within which no task of this provider ended lately: nobody need look before."""
        took = self._took.get(name, ())
        return 0.9 * min(took) if len(took) >= LEARNED else 0.0

    def _learn(self, entry: TaskRecord) -> None:
        began = self._began.pop(entry.id, None)
        if began:
            self._took.setdefault(entry.provider, deque(maxlen=4 * LEARNED)).append(
                (self._s.clock.now() - began).total_seconds()
            )

    def _put_off(self, entry: TaskRecord, error: str) -> None:
        """Nothing was begun: try again a little later, a few times."""
        if entry.attempts + 1 >= MAX_TRIES:
            self._s.tasks.postpone(entry, self._s.clock.now(), error)
            self._s.tasks.release(entry, f"{error} (tried {MAX_TRIES} times)")
            self._told(entry)
            return
        self._s.tasks.postpone(
            entry, self._in(min(MAX_RETRY_S, FIRST_RETRY_S * 2**entry.attempts)), error, failed_try=True
        )
        self._s.runs.set_wait_reason(entry.run_id, error)

    def _later(self, entry: TaskRecord, error: Exception, seconds: float) -> None:
        """Nothing was begun, and it is nobody's fault: wait, without end."""
        self._s.tasks.postpone(entry, self._in(seconds), str(error))
        self._s.runs.set_wait_reason(entry.run_id, str(error))

    def _pause(self, name: str, error: Exception, seconds: float) -> None:
        self._quiet[name] = self._in(seconds)
        if isinstance(error, OutOfCredit):
            self._s.notes.set(PAUSE_NOTE_PREFIX + name, str(error))
            log.warning("provider_paused", provider=name, error=str(error))

    def _rouse(self) -> int:
        """Tell those again whose run was not asleep yet when its task ended."""
        unheard = self._s.tasks.unacknowledged(BATCH)
        for entry in unheard:
            self._told(entry)
        return len(unheard)

    def _told(self, entry: TaskRecord) -> None:
        found = self._s.runs.wake(entry.run_id)
        if found:
            kind, bulk = found
            self._s.queue.wake(job_name(kind, bulk=bulk), [entry.run_id])

    def _open(self, name: str, entries: Callable[[], list[TaskRecord]]) -> Provider | None:
        """The provider; None when it is gone from plugin.json, or its key from the environment: its tasks wait until it is there again."""
        try:
            return self._s.provider(name)
        except ConfigError as error:
            put_off = entries()
            self._s.tasks.set_due_at([e.id for e in put_off], self._in(MAX_RETRY_S))
            for entry in put_off:
                self._s.runs.set_wait_reason(entry.run_id, str(error))
            return None

    def _start(self, task_id: str, work: Callable[[], None]) -> None:
        with self._guard:
            if task_id not in self._busy or self._busy[task_id].done():
                self._busy[task_id] = self._pool.submit(self._guarded, task_id, work)

    def _guarded(self, task_id: str, work: Callable[[], None]) -> None:
        """What breaks one task leaves the others."""
        try:
            work()
        except ConnectorError as error:
            log.warning("task_put_down_by_another", task=task_id, error=str(error))
        except Exception:
            log.exception("broker_broke", task=task_id)
        finally:
            self._news.set()

    def _in(self, seconds: float) -> datetime:
        return self._s.clock.now() + timedelta(seconds=seconds)


def _by_provider(entries: list[TaskRecord]) -> Iterator[tuple[str, list[TaskRecord]]]:
    for name, group in groupby(sorted(entries, key=lambda e: (e.provider, e.id)), key=lambda e: e.provider):
        yield name, list(group)
