"""Metrics for Prometheus: open work from the records, counts of all processes, and this process itself.

What is open is read from the database when it is asked for, so no process has to keep it. What happened is
counted by the processes (`counters.py`). So one answer of any web process describes all of them: scrape one,
or take the maximum over `instance`, never the sum.
"""

import itertools
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from dam_connector import __version__
from dam_connector.counters import COUNTERS, CounterDefinition, ProcessReport, Series, cumulated
from dam_connector.domain.run import RunKind
from dam_connector.errors import AdapterError, ConfigError, StorageUnavailable, Unavailable
from dam_connector.queue import JOBS, QUEUES
from dam_connector.store.fleet_figures import FleetFigures
from dam_connector.usecases.provider_orders import spend_caps
from dam_connector.wiring import Services

PREFIX = "dam_connector_"
CACHE_S = (
    5.0  # scrapes within this time get the same figures: many scrapers cost the database no more than one
)


class Metrics:
    """The metrics of the service, in Prometheus' text format."""

    def __init__(self, services: Services) -> None:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        registry.register(_ServiceCollector(services))
        self._registry = registry
        self._lock = threading.Lock()
        self._text, self._read_at = b"", -CACHE_S

    def text(self) -> bytes:
        """Return all metrics. A database or queue server that is away leaves its metrics out."""
        with self._lock:
            if time.monotonic() - self._read_at >= CACHE_S:
                self._text, self._read_at = generate_latest(self._registry), time.monotonic()
            return self._text


class _ServiceCollector(Collector):
    """Reads the figures at each scrape."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        services = self._services
        up = {"database": 0.0, "queue": 0.0}
        caps = _caps(services)
        with suppress(StorageUnavailable):
            figures = services.fleet.read(caps)
            up["database"] = 1.0
            yield from _figures(figures, services)
        with suppress(RedisError, Unavailable):
            counts, processes = services.counters.totals(), services.counters.processes()
            lengths = {job.queue: float(services.queue.length(name)) for name, job in JOBS.items()}
            up["queue"] = 1.0
            workers = {job.queue: float(services.queue.workers(name)) for name, job in JOBS.items()}
            yield _gauge("queue_jobs", "Wake-ups that wait in Redis.", "queue", lengths)
            yield _gauge("queue_workers", "Workers that serve a queue.", "queue", workers)
            yield from _counts(counts, _label_values(services))
            yield from _processes(processes)
        yield _gauge("up", "Whether the database and the queue server answer.", "part", up)
        yield _gauge("build", "The version of the connector.", "version", {__version__: 1.0})
        yield GaugeMetricFamily(
            f"{PREFIX}disk_short",
            "Whether there is too little free disk.",
            value=float(bool(services.disk.shortage())),
        )
        cap_gauge = GaugeMetricFamily(
            f"{PREFIX}spend_cap_usd", "Caps on spending, in USD.", labels=("provider", "period")
        )
        for provider, by_period in caps.items():
            for period, usd in by_period.items():
                cap_gauge.add_metric((provider, period), usd)
        yield cap_gauge


def _caps(services: Services) -> dict[str, dict[str, float]]:
    """Return the caps by provider in plugin.json, and by period."""
    found: dict[str, dict[str, float]] = {}
    with suppress(ConfigError, StorageUnavailable):
        for name in services.rules.current().provider:
            found[name] = {}
            with suppress(ConfigError):
                caps = spend_caps(services, name)
                found[name] = {
                    period: usd
                    for period, usd in (("day", caps.day), ("month", caps.month))
                    if usd is not None
                }
    return found


def _figures(figures: FleetFigures, services: Services) -> Iterator[Metric]:
    """Yield the figures of the records."""
    f = figures
    age = "Seconds for which the oldest work of a queue has been due without a worker. Scale workers by it."
    yield _gauge("queue_age_seconds", age, "queue", f.queue_age_s)
    yield _gauge("queue_due", "Records of a queue that are due, up to 10000.", "queue", f.queue_due)
    labels = ("state", "kind", "step")
    yield _gauge("runs_open", "Open runs by state, kind and next step.", labels, f.open_runs)
    yield _gauge("runs_failed", "Failed runs that nobody repeated, up to 10000.", (), {(): f.failed_runs})
    late = "Seconds for which the oldest waiting run of a kind has been due; publish, tell: channels, DAMs."
    yield _gauge("run_overdue_seconds", late, "kind", f.overdue_run_age_s)
    yield _gauge("runs_retried", "Open runs whose last try failed.", "kind", f.retried_runs)
    yield _gauge("run_tries", "The most failed tries of an open run.", "kind", f.most_tries)
    yield _gauge("leases_expired", "Running runs whose lease ran out.", (), {(): f.expired_leases})
    yield _gauge(
        "provider_tasks_open", "Tasks that are open or unknown.", ("provider", "state"), f.open_tasks
    )
    yield _gauge("spend_usd", "USD spent or reserved (UTC).", ("provider", "period"), f.spent_usd)
    yield _gauge("versions", "Versions that people must look at, up to 10000.", "state", f.versions)
    yield _gauge("review_age_seconds", "Age of the oldest version in review.", (), {(): f.review_age_s})
    held = {name: float(is_held) for name, is_held in f.held_leases.items()}
    yield _gauge("lease_held", "Whether a sweeper and a poller work.", "lease", held)
    polled = {name: age for name, age in f.dam_poll_age_s.items() if _is_polled(services, name)}
    yield _gauge("dam_poll_age_seconds", "Seconds since the last poll of a DAM that worked.", "dam", polled)


def _is_polled(services: Services, dam: str) -> bool:
    try:
        return services.dam(dam).capabilities.poll_interval_s > 0
    except (ConfigError, AdapterError):  # it is no longer in plugin.json
        return False


def _gauge(name: str, help_text: str, labels: str | tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    names = (labels,) if isinstance(labels, str) else labels
    family = GaugeMetricFamily(PREFIX + name, help_text, labels=names)
    for key, value in sorted(values.items()):
        family.add_metric((key,) if isinstance(key, str) else key, float(value))
    return family


def _counts(counts: Mapping[str, list[Series]], known: Mapping[str, Iterable[str]]) -> Iterator[Metric]:
    """Yield the counters and histograms of all processes.

    A plain counter with known labels begins at 0, or Prometheus would not see its first increase.

    Args:
        counts: What was counted.
        known: The known values of some labels.
    """
    for name, definition in COUNTERS.items():
        family = CounterMetricFamily if not definition.buckets else HistogramMetricFamily
        metric = family(PREFIX + name, definition.help, labels=definition.labels)
        counted = {tuple(s.labels[label] for label in definition.labels): s for s in counts.get(name, [])}
        if isinstance(metric, HistogramMetricFamily):
            for values, series in counted.items():
                buckets = list(cumulated(series, definition.buckets))
                metric.add_metric(values, buckets=buckets, sum_value=series.total)
        else:
            totals = dict.fromkeys(_known_labels(definition, known), 0.0)
            totals |= {values: series.total for values, series in counted.items()}
            for values, total in totals.items():
                metric.add_metric(values, total)
        yield metric


def _known_labels(
    definition: CounterDefinition, known: Mapping[str, Iterable[str]]
) -> Iterator[tuple[str, ...]]:
    values = [known.get(label, ()) for label in definition.labels]
    if definition.outcomes:
        values[-1] = definition.outcomes
    yield from itertools.product(*values)


def _label_values(services: Services) -> dict[str, Iterable[str]]:
    found: dict[str, Iterable[str]] = {"kind": [kind.value for kind in RunKind], "queue": QUEUES}
    with suppress(ConfigError, StorageUnavailable):
        rules = services.rules.current()
        found |= {"connection": (*rules.pim, *rules.dam, *rules.provider), "provider": tuple(rules.provider)}
    return found


def _processes(processes: Iterable[ProcessReport]) -> Iterator[Metric]:
    """Yield the processes and their memory by kind and host."""
    labels = ("kind", "host")
    groups: dict[tuple[str, str], list[int]] = {}
    for process in processes:
        groups.setdefault((process.kind, process.host), []).append(process.resident_bytes)
    yield _gauge(
        "processes", "Processes that reported lately.", labels, {k: len(v) for k, v in groups.items()}
    )
    yield _gauge(
        "process_bytes", "Their resident memory.", labels, {k: float(sum(v)) for k, v in groups.items()}
    )
    yield _gauge(
        "process_bytes_max", "Of the largest one.", labels, {k: float(max(v)) for k, v in groups.items()}
    )
