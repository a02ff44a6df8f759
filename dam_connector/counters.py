"""Counters that all processes share, kept in the queue server.

Workers fork a process for each job, so nobody could ask them for their counts. Each process adds up what it
counts, and sends the sums to one hash of the queue server: a worker after each job, others in a thread. What
a process had not sent when it was killed is lost, and so is everything when the queue server loses its data:
the counts are for graphs and alerts, never for decisions. `/metrics` reads them.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import psutil
import structlog
from redis import Redis
from redis.exceptions import RedisError

from dam_connector.outages import REPEAT_S
from dam_connector.queue import QUEUE_OUTAGE, connect, note_queue_away

log = structlog.get_logger()
COUNTERS_KEY = "dam-connector:counters"
PROCESSES_KEY = "dam-connector:processes"
SEND_INTERVAL_S = 5.0
PROCESS_TTL_S = 150.0  # a process that has not reported for so long is gone; workers report every 30 s
MAX_SERIES = 2000  # of one process between two sendings; more would be a mistake in a label
_JOB_S = (0.5, 1.0, 3.0, 10.0, 30.0, 60.0, 180.0, 600.0, 1800.0, 7200.0)
_STEP_S = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0)
_REQUEST_S = (0.05, 0.2, 0.5, 1.0, 3.0, 10.0, 30.0)
_MEMORY_BYTES = tuple(float(megabytes * 1_000_000) for megabytes in (200, 400, 800, 1200, 1600, 2400, 4000))


@dataclass(frozen=True, slots=True)
class CounterDefinition:
    """A counter, or a histogram if it has buckets."""

    # What it counts, for people.
    help: str
    # The names of its labels.
    labels: tuple[str, ...] = ()
    # The upper bounds of its buckets; empty: it is a plain counter.
    buckets: tuple[float, ...] = ()
    # The values of its last label, if they are few and known.
    outcomes: tuple[str, ...] = ()


# By name. `/metrics` adds the prefix dam_connector_, and _total to plain counters.
COUNTERS: Mapping[str, CounterDefinition] = {
    "deliveries_received": CounterDefinition(
        "Webhooks received.",
        ("connection", "result"),
        outcomes=("new", "repeated", "refused", "unproved"),
    ),
    "deliveries_ended": CounterDefinition(
        "Tries to handle a delivery.",
        ("connection", "outcome"),
        outcomes=("handled", "failed", "retried", "waiting", "crashed"),
    ),
    "delivery_seconds": CounterDefinition(
        "Seconds from the receipt of a delivery to its end.", ("connection",), _JOB_S
    ),
    "runs_ended": CounterDefinition(
        "Runs that a worker left; lost: to another worker, left: for want of the database.",
        ("kind", "outcome"),
        outcomes=("done", "failed", "cancelled", "parked", "retried", "lost", "left"),
    ),
    "run_seconds": CounterDefinition("Seconds from the planning of a run to its end.", ("kind",), _JOB_S),
    "step_seconds": CounterDefinition("Seconds of the steps of runs.", ("step",), _STEP_S),
    "step_cpu_seconds": CounterDefinition("CPU-seconds of the steps of runs.", ("step",)),
    "leases_lost": CounterDefinition(
        "Runs that a worker lost, because its lease ran out or the run was cancelled."
    ),
    "jobs_killed": CounterDefinition("Processes of jobs that died, e.g. for want of memory.", ("queue",)),
    "job_peak_bytes": CounterDefinition(
        "The most memory that the process of a job had.", ("queue",), _MEMORY_BYTES
    ),
    "requests": CounterDefinition("Requests to outside systems.", ("system", "outcome")),
    "request_seconds": CounterDefinition("Seconds of requests to outside systems.", ("system",), _REQUEST_S),
    "provider_tasks": CounterDefinition(
        "Ends of tasks at providers, and failed tries.",
        ("provider", "outcome"),
        outcomes=(
            *("settled", "unusable", "failed", "released", "unknown"),
            *("retried", "waiting", "poll_failed"),
        ),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessReport:
    """What a process said about itself last."""

    kind: str  # web, intake, make or sweep
    host: str
    pid: int
    resident_bytes: int  # with its children
    reported_at: float  # seconds since 1970


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One counter with its labels, as the queue server has it."""

    labels: Mapping[str, str]
    total: float = 0.0  # of a plain counter; of a histogram the sum of what was observed
    buckets: dict[float, float] = field(
        default_factory=dict
    )  # not cumulated, by upper bound; inf is the last


class SharedCounters:
    """Counts of this process, on their way to those of all."""

    def __init__(self, url: str) -> None:
        """Create counters that are sent to the queue server at a URL; connect when they are sent first."""
        self._redis: Redis = connect(url)
        self._sums: dict[tuple[str, str, str], float] = {}  # by name, labels as JSON, and bucket
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._kind = ""  # of a process that sends in a thread
        self.service = ""  # a mark of the database that this process works for
        self._looked_at = -REPEAT_S

    def add(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Add to a counter of `COUNTERS`."""
        assert set(labels) == set(COUNTERS[name].labels), name
        self._add([(name, _labels_key(labels), "", amount)])

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add a value to a histogram of `COUNTERS`."""
        assert set(labels) == set(COUNTERS[name].labels), name
        bucket = next((bound for bound in COUNTERS[name].buckets if value <= bound), float("inf"))
        key = _labels_key(labels)
        self._add([(name, key, "", value), (name, key, str(bucket), 1.0)])

    def count_request(self, system: str, outcome: str, seconds: float) -> None:
        """Count a request to an outside system. `HttpClient` calls this."""
        self.add("requests", system=system, outcome=outcome)
        self.observe("request_seconds", seconds, system=system)

    def _add(self, amounts: list[tuple[str, str, str, float]]) -> None:
        with self._lock:
            for name, labels, bucket, amount in amounts:
                series = (name, labels, bucket)
                if series in self._sums or len(self._sums) < MAX_SERIES:
                    self._sums[series] = self._sums.get(series, 0.0) + amount

    def send_in_background(self, kind: str) -> None:
        """Send the counts, and report this process, every `SEND_INTERVAL_S` in a thread from now on.

        A process that forks others does so after the fork: threads do not survive it.
        """
        self._kind = kind
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._send_for_ever, name="counters", daemon=True)
                self._thread.start()

    def _send_for_ever(self) -> None:
        while True:
            self.send()
            self.report_process(self._kind)
            time.sleep(SEND_INTERVAL_S)

    def send(self) -> bool:
        """Send the counts that were not sent yet; return False while the queue server is away.

        Counts that could not be sent are sent with the next ones.
        """
        with self._lock:
            sums, self._sums = self._sums, {}
        if not sums:
            return True
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                for series, amount in sums.items():
                    pipeline.hincrbyfloat(COUNTERS_KEY, json.dumps(series), amount)
                pipeline.execute()
        except RedisError as error:
            note_queue_away(error)
            self._add([(*series, amount) for series, amount in sums.items()])
            return False
        return True

    def report_process(self, kind: str) -> None:
        """Report this process and its memory, or do nothing while the queue server is away."""
        report = {"kind": kind, "bytes": resident_bytes(), "at": time.time(), "service": self.service}
        try:
            self._redis.hset(PROCESSES_KEY, f"{socket.gethostname()}:{os.getpid()}", json.dumps(report))
        except RedisError as error:
            note_queue_away(error)
            return
        QUEUE_OUTAGE.back()
        if self.service and time.monotonic() - self._looked_at >= REPEAT_S:
            self._looked_at = time.monotonic()
            self._warn_of_other_services()

    def _warn_of_other_services(self) -> None:
        """Log that workers of another database take the wake-ups of this one, and find nothing."""
        try:
            reports = [json.loads(text) for text in self._redis.hgetall(PROCESSES_KEY).values()]
        except RedisError as error:
            note_queue_away(error)
            return
        alive = [each for each in reports if time.time() - each["at"] <= PROCESS_TTL_S]
        others = sum(each.get("service", "") not in ("", self.service) for each in alive)
        if others:
            remedy = "give each service a REDIS_URL of its own, e.g. another database number"
            log.error("queue_shared", processes_of_other_databases=others, remedy=remedy)

    def processes(self) -> list[ProcessReport]:
        """Return the processes that reported lately, and forget those that did not. Raises: RedisError."""
        alive, gone = [], []
        for name, text in self._redis.hgetall(PROCESSES_KEY).items():
            value = json.loads(text)
            if time.time() - value["at"] > PROCESS_TTL_S:
                gone.append(name)
                continue
            host, _, pid = _text(name).rpartition(":")
            alive.append(
                ProcessReport(
                    kind=value["kind"],
                    host=host,
                    pid=int(pid),
                    resident_bytes=value["bytes"],
                    reported_at=value["at"],
                )
            )
        if gone:
            self._redis.hdel(PROCESSES_KEY, *gone)
        return alive

    def totals(self) -> dict[str, list[Series]]:
        """Return the counts of all processes by name. Raises: RedisError."""
        found: dict[tuple[str, str], Series] = {}
        for key, text in self._redis.hgetall(COUNTERS_KEY).items():
            name, labels, bucket = json.loads(key)
            values = json.loads(labels)
            if name not in COUNTERS or set(values) != set(COUNTERS[name].labels):  # of another release
                continue
            series = found.setdefault((name, labels), Series(labels=values))
            if bucket:
                series.buckets[float(bucket)] = float(text)
            else:
                found[name, labels] = Series(labels=values, total=float(text), buckets=series.buckets)
        by_name: dict[str, list[Series]] = {}
        for (name, _), series in sorted(found.items()):
            by_name.setdefault(name, []).append(series)
        return by_name


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()


def _labels_key(labels: Mapping[str, str]) -> str:
    return json.dumps({name: value[:80] for name, value in sorted(labels.items())})


def resident_bytes() -> int:
    """Return the resident memory of this process and its children."""
    own = psutil.Process()
    return sum(_resident_bytes_of(each) for each in (own, *own.children(recursive=True)))


def _resident_bytes_of(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # it has just ended
        return 0


def cumulated(series: Series, bounds: tuple[float, ...]) -> Iterator[tuple[str, float]]:
    """Yield the buckets of a histogram as (upper bound, how many were at most that)."""
    count = 0.0
    for bound in (*bounds, float("inf")):
        count += series.buckets.get(bound, 0.0)
        yield "+Inf" if bound == float("inf") else str(bound), count
