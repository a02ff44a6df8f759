"""A simulation of many make workers on one PostgreSQL and one Redis: which of them is the first ceiling.

Workers take jobs from one queue, as RQ's do. A run alternates between its own computing and the database,
which has so many cores; waiting requests queue. Redis does one thing at a time. A batch is taken in row by
row, by whichever worker has its job, and its next job waits behind the runs of the rows before
(`usecases/batches.py`). Times vary exponentially, from a fixed seed. Not simulated: networks, disks, and
outside systems.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from dam_connector.usecases.batches import MAX_ROWS, MIN_ROWS

SLICES = 4  # a run alternates so often between computing and the database
RUNS_A_PRODUCT = 3
CONNECTIONS_A_WORKER = 3  # docs/operations.md
OTHER_CONNECTIONS = 100  # of web, intake, sweepers, people and backups
SATURATED = 0.9  # a shared part that is busy for this share of the time is the ceiling


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What was measured, in seconds."""

    product_cpu_s: float  # all work of a make worker for a product, the database's waiting not included
    database_cpu_s: float  # CPU of the database server for a run
    queue_s: float  # CPU of the queue server for a job
    row_s: float  # to take in a row of a batch, of which the share in the database is small


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """How many there are of each part."""

    workers: int
    database_cores: int = 4
    batches: int = 1  # that run at once
    max_rows: int = MAX_ROWS  # of an iteration of a batch


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a fleet does."""

    products_an_hour: float
    busy: dict[str, float]  # share of the time in which each part is busy, at most 1
    connections: int  # that it needs
    ceiling: str  # the first part that is saturated: workers, database, redis, batches


class _Part:
    """A shared part with so many servers and one queue."""

    def __init__(self, simulation: "_Simulation", servers: int) -> None:
        self._simulation, self._servers = simulation, servers
        self._free = servers
        self._waiting: deque[tuple[float, Callable[[], None]]] = deque()
        self.busy_s = 0.0

    def serve(self, seconds: float, then: Callable[[], None]) -> None:
        """Be busy for so long as soon as a server is free, then call."""
        if not self._free:
            self._waiting.append((seconds, then))
            return
        self._free -= 1
        self.busy_s += seconds

        def end() -> None:
            self._free += 1
            if self._waiting:
                self.serve(*self._waiting.popleft())
            then()

        self._simulation.after(seconds, end)

    def busy(self, seconds: float) -> float:
        return min(1.0, self.busy_s / seconds / self._servers)


class _Simulation:
    def __init__(self, fleet: Fleet, costs: Costs, products: int, seed: int) -> None:
        self._fleet, self._costs = fleet, costs
        self._random = random.Random(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = 0
        self.now = 0.0
        self.database = _Part(self, fleet.database_cores)
        self.redis = _Part(self, 1)
        self._jobs: deque[Callable[[Callable[[], None]], None]] = deque()
        self._idle_workers = fleet.workers
        self._rows_left = products
        self._limit = min(fleet.max_rows, max(MIN_ROWS, fleet.workers))
        self.runs_done = 0
        self.feeding_s = self.working_s = 0.0
        self.done_at: list[float] = []  # when each run ended

    def run(self) -> None:
        for _ in range(self._fleet.batches):
            self._enqueue(self._feed)
        while self._events:
            self.now, _, event = heapq.heappop(self._events)
            event()

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        self._numbers += 1
        heapq.heappush(self._events, (self.now + seconds, self._numbers, event))

    def _vary(self, mean: float) -> float:
        return self._random.expovariate(1 / mean) if mean > 0 else 0.0

    def _enqueue(self, job: Callable[[Callable[[], None]], None]) -> None:
        self._jobs.append(job)
        self._take()

    def _take(self) -> None:
        """Let idle workers take jobs; Redis hands them out one after the other."""
        while self._jobs and self._idle_workers:
            self._idle_workers -= 1
            job, began = self._jobs.popleft(), self.now

            def release(began: float = began) -> None:
                self.working_s += self.now - began
                self._idle_workers += 1
                self._take()

            def start(
                job: Callable[[Callable[[], None]], None] = job, release: Callable[[], None] = release
            ) -> None:
                job(release)

            self.redis.serve(self._vary(self._costs.queue_s), start)

    def _make(self, release: Callable[[], None], slices: int = SLICES) -> None:
        """Compute a part of a run, then ask the database, until all parts are done."""
        if not slices:
            self.done_at.append(self.now)
            release()
            return
        computing = self._vary(self._costs.product_cpu_s / RUNS_A_PRODUCT / SLICES)
        asking = self._vary(self._costs.database_cpu_s / SLICES)
        self.after(computing, lambda: self.database.serve(asking, lambda: self._make(release, slices - 1)))

    def _feed(self, release: Callable[[], None]) -> None:
        """Take in the rows of one iteration, then go to the end of the queue."""
        began = self.now

        def next_row(rows: int) -> None:
            if not rows or not self._rows_left:
                self.feeding_s += self.now - began
                if self._rows_left:
                    self._enqueue(self._feed)
                release()
                return
            self._rows_left -= 1
            for _ in range(RUNS_A_PRODUCT):
                self._enqueue(self._make)
            self.after(self._vary(self._costs.row_s), lambda: next_row(rows - 1))

        next_row(self._limit)


def simulate(fleet: Fleet, costs: Costs, *, products: int = 0, seed: int = 1) -> Outcome:
    """Return what a fleet makes in an hour once all of it is at work, and what holds it back.

    Args:
        fleet: The parts.
        costs: What a product costs each of them.
        products: So many are made; 0 means twelve for each worker, and 300 at least.
        seed: Of the variation.
    """
    count = products or max(300, 12 * fleet.workers)
    simulation = _Simulation(fleet, costs, count, seed)
    simulation.run()
    # The middle: neither the first rows nor the last runs keep a fleet busy.
    done = sorted(simulation.done_at)
    first, last = len(done) // 5, len(done) * 4 // 5
    an_hour = (last - first) / RUNS_A_PRODUCT / (done[last] - done[first]) * 3600
    seconds = simulation.now
    busy = {
        "workers": min(1.0, simulation.working_s / seconds / fleet.workers),
        "database": simulation.database.busy(seconds),
        "redis": simulation.redis.busy(seconds),
        "batches": min(1.0, simulation.feeding_s / seconds / fleet.batches),
    }
    # Workers that wait for a saturated part look busy: the shared parts are asked first.
    shared = {part: share for part, share in busy.items() if part != "workers"}
    most = max(shared, key=lambda part: shared[part])
    return Outcome(
        products_an_hour=an_hour,
        busy={part: round(share, 2) for part, share in busy.items()},
        connections=fleet.workers * CONNECTIONS_A_WORKER + OTHER_CONNECTIONS,
        ceiling=most if shared[most] >= SATURATED else "workers",
    )


def bounds(fleet: Fleet, costs: Costs) -> dict[str, float]:
    """Return the products an hour that each part could do if it were the only limit."""
    alone = costs.product_cpu_s + RUNS_A_PRODUCT * (costs.database_cpu_s + costs.queue_s) + costs.row_s
    return {
        "workers": fleet.workers / alone * 3600,
        "database": fleet.database_cores / (RUNS_A_PRODUCT * costs.database_cpu_s) * 3600,
        "redis": 3600 / (RUNS_A_PRODUCT * costs.queue_s),
        "batches": fleet.batches / costs.row_s * 3600,
    }
