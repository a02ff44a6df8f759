"""/metrics tells the truth about open work, outside systems and processes, and tells it to nobody unasked."""

import json
import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from prometheus_client.parser import text_string_to_metric_families

import worker.runner
from dam_connector.app import create_app
from dam_connector.counters import COUNTERS, COUNTERS_KEY, PROCESSES_KEY, SharedCounters
from dam_connector.domain.run import RunKind
from dam_connector.errors import NotFound, Unavailable
from dam_connector.queue import connect
from dam_connector.usecases import intake, webhook_receipt
from dam_connector.usecases.metrics import Metrics
from dam_connector.wiring import Services, build_services
from tests.pipeline.helpers import Drain, approve, chair, newest, send, work
from tests.support import PhotoServer, picture

MONITORING = Path(__file__).parents[2] / "deploy/monitoring"
TOKEN = "a-token-for-metrics"


def samples(services: Services) -> dict[tuple[str, ...], float]:
    """All samples by name without the prefix and the labels' values in the order of their names."""
    found = {}
    for family in text_string_to_metric_families(Metrics(services).text().decode()):
        for sample in family.samples:
            labels = (value for _, value in sorted(sample.labels.items()))
            found[sample.name.removeprefix("dam_connector_"), *labels] = sample.value
    return found


def test_work_is_seen_from_its_delivery_to_its_publication(
    services: Services, photos: PhotoServer, drain: Drain
) -> None:
    send(services, chair(photos))
    services.clock.forward(100)
    services.counters.send()
    before = samples(services)
    assert before["queue_age_seconds", "intake"] == 100 and before["queue_due", "intake"] == 1
    assert before["queue_age_seconds", "make"] == 0
    assert before["queue_jobs", "intake"] == 1
    assert before["deliveries_received_total", "main", "new"] == 1
    drain()
    after = samples(services)
    assert after["queue_age_seconds", "intake"] == after["queue_due", "intake"] == 0
    assert after["deliveries_ended_total", "main", "handled"] == 1
    assert after["delivery_seconds_bucket", "main", "60.0"] == 0  # it took 100 s
    assert after["delivery_seconds_bucket", "main", "180.0"] == after["delivery_seconds_count", "main"] == 1
    assert after["runs_ended_total", "image", "done"] == after["run_seconds_count", "image"] == 2
    assert after["step_seconds_count", "make_renditions"] == 2
    assert after["step_cpu_seconds_total", "make_renditions"] > 0
    assert after["versions", "in_review"] == 2
    assert after["requests_total", "ok", "picture"] == 1  # the photo
    approve(services, newest(services))
    services.clock.forward(60)
    waiting = samples(services)
    assert waiting["runs_open", "publish", "queued", "first"] == 1
    assert waiting["queue_age_seconds", "finish"] == waiting["run_overdue_seconds", "publish"] > 0
    work(services, drain, rounds=1)
    assert samples(services)["runs_ended_total", "publish", "done"] == 1


def test_all_lines_of_the_log_and_all_runs_name_the_delivery_that_began_it(
    services: Services, photos: PhotoServer, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[dict[str, Any]] = []

    def keep(_: object, __: str, event: dict[str, Any]) -> str:
        lines.append(event)
        return ""

    listening = structlog.wrap_logger(
        structlog.testing.CapturingLogger(),
        processors=[structlog.contextvars.merge_contextvars, keep],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )
    monkeypatch.setattr(worker.runner, "log", listening)
    monkeypatch.setattr(intake, "log", listening)
    monkeypatch.setattr(webhook_receipt, "log", listening)
    delivery, _ = send(services, chair(photos))
    drain()
    approve(services, newest(services))  # from a request, or from another delivery: of the DAM
    work(services, drain, rounds=1)
    runs = services.runs.page()
    assert {run.kind for run in runs} == {RunKind.IMAGE, RunKind.PUBLISH}
    assert {run.origin for run in runs} == {delivery}
    events = [line["event"] for line in lines]
    assert {"delivery_received", "delivery_handled", "run_done"} <= set(events)
    assert {line["origin"] for line in lines} == {delivery}


def test_a_run_that_no_delivery_began_is_its_own_origin(services: Services, photos: PhotoServer) -> None:
    photos.files["front.jpg"] = picture()
    delivery, _ = send(services, chair(photos))
    intake.handle_delivery(services, delivery)
    record = services.products.get("CH123")
    intake.edit_product(services, record, replace(record.product, color="blue"), by="ann")
    assert all(run.origin in (run.id, delivery) for run in services.runs.page())


def test_only_who_has_the_token_reads_them(services: Services) -> None:
    assert create_app(services).test_client().get("/metrics").status_code == 404
    settings = replace(
        services.settings,
        environ={**services.settings.environ, "DAM_CONNECTOR_METRICS_TOKEN": TOKEN},
    )
    client = create_app(replace(services, settings=settings)).test_client()
    for header in ("", "Bearer", "Bearer wrong", "Bearer a-tökén", f"Basic {TOKEN}x"):
        answer = client.get("/metrics", headers={"Authorization": header} if header else {})
        assert answer.status_code == 401 and b"dam_connector_" not in answer.data
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200 and answer.content_type.startswith("text/plain; version=0.0.4")
    assert b"process_resident_memory_bytes" in answer.data
    assert answer.headers["Cache-Control"] == "no-store"


def test_what_is_away_is_said_and_left_out(services: Services, tmp_path: Any) -> None:
    settings = replace(
        services.settings,
        redis_url=f"unix://{tmp_path}/nobody.sock",
        database_url="postgresql+psycopg://nobody@127.0.0.1:9/none",
    )
    found = samples(build_services(settings))
    assert found["up", "database"] == found["up", "queue"] == 0
    assert ("queue_age_seconds", "intake") not in found and ("queue_jobs", "intake") not in found


def test_requests_to_outside_systems_count_by_their_end(services: Services, photos: PhotoServer) -> None:
    photos.files["a.jpg"] = b"x"
    services.http.get(photos.url("a.jpg"), max_bytes=10, vendor="shop")
    with pytest.raises(NotFound):
        services.http.get(photos.url("missing.jpg"), max_bytes=10, vendor="shop")
    photos.statuses["down.jpg"] = 503
    with pytest.raises(Unavailable):
        services.http.get(photos.url("down.jpg"), max_bytes=10, vendor="dam")
    services.counters.send()
    found = samples(services)
    assert found["requests_total", "ok", "shop"] == found["requests_total", "refused", "shop"] == 1
    assert found["request_seconds_count", "shop"] == 2 and found["requests_total", "unavailable", "dam"] == 1


def test_counts_of_threads_and_processes_add_up_and_outlast_a_queue_server_that_is_away(
    queue_url: str, services: Services
) -> None:
    counters = [SharedCounters(queue_url) for _ in range(3)]

    def count(number: int) -> None:
        counters[number % 3].add("leases_lost")
        counters[number % 3].observe("step_seconds", 0.1, step="make_model")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(300)))
    away = SharedCounters("unix:///nowhere/queue.sock")
    away.add("leases_lost", 5)
    assert not away.send()
    away._redis = connect(queue_url)
    assert away.send() and all(each.send() for each in counters)
    totals = away.totals()
    assert [series.total for series in totals["leases_lost"]] == [305]
    (steps,) = totals["step_seconds"]
    assert steps.buckets == {0.2: 300} and round(steps.total) == 30


def test_counts_of_another_release_are_left_out(services: Services, queue_url: str) -> None:
    redis = connect(queue_url)
    redis.hset(COUNTERS_KEY, json.dumps(["gone", "{}", ""]), 1)
    redis.hset(COUNTERS_KEY, json.dumps(["step_seconds", '{"other": "x"}', ""]), 1)
    assert services.counters.totals() == {}


def test_a_process_is_shown_with_its_memory_until_it_is_silent(services: Services, queue_url: str) -> None:
    services.counters.report_process("make")
    silent = {"kind": "make", "bytes": 1, "at": time.time() - 1000}
    connect(queue_url).hset(PROCESSES_KEY, "elsewhere:1", json.dumps(silent))
    (process,) = services.counters.processes()
    assert process.kind == "make" and process.resident_bytes > 10_000_000
    assert connect(queue_url).hlen(PROCESSES_KEY) == 1
    kinds = {key[2] for key in samples(services) if key[0] == "process_bytes"}
    assert kinds == {"make"}


def test_a_job_that_is_killed_is_counted(
    services: Services, queue_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real worker with a real fork; the job kills its own process."""
    from rq import Queue
    from rq.serializers import JSONSerializer

    from worker.queue_workers import MakeWorker

    monkeypatch.setattr("worker.queue_workers.CHECK_PROCESS.warm", lambda: None)
    queue = Queue("make", connection=connect(queue_url), serializer=JSONSerializer)
    queue.enqueue_call("signal.raise_signal", args=(9,), result_ttl=0, failure_ttl=1)
    server = MakeWorker(["make"], connection=connect(queue_url, for_worker=True), serializer=JSONSerializer)
    server.prepare("make", services.settings, services.runs)
    server.work(burst=True, logging_level="CRITICAL")
    found = samples(services)
    assert found["jobs_killed_total", "make"] == found["job_peak_bytes_count", "make"] == 1
    assert found["processes", next(k[1] for k in found if k[0] == "processes"), "make"] == 1


def test_alerts_and_dashboard_ask_for_metrics_that_exist_and_docs_answer(services: Services) -> None:
    services.counters.observe("step_seconds", 0.1, step="make_model")
    for histogram in ("delivery_seconds", "request_seconds", "run_seconds", "job_peak_bytes"):
        labels = dict.fromkeys(COUNTERS[histogram].labels, "x")
        services.counters.observe(histogram, 1, **labels)
    services.counters.send()
    text = Metrics(services).text().decode()
    known = set(re.findall(r"^# HELP (\w+) ", text, re.MULTILINE))
    known |= {f"{name}_bucket" for name in re.findall(r"^# TYPE (\w+) histogram$", text, re.MULTILINE)}
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
    panels = json.loads((MONITORING / "grafana.json").read_text())["panels"]
    asked = " ".join([rule["expr"] for rule in rules] + [t["expr"] for p in panels for t in p["targets"]])
    assert set(re.findall(r"(?:dam_connector|process)_\w+", asked)) - known == set()
    assert set(re.findall(r"by \(([^)]+)\)", asked)), "no label is asked for"
    operations = (MONITORING.parents[1] / "docs/operations.md").read_text()
    assert re.findall(r"^\| `([A-Z][a-z]\w+)` \|", operations, re.MULTILINE) == [
        rule["alert"] for rule in rules
    ]
    assert all(rule["annotations"]["reason"] for rule in rules)


def test_prometheus_own_linter_finds_nothing_wrong(services: Services) -> None:
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    services.counters.observe("step_seconds", 0.1, step="make_model")
    services.counters.send()
    linted = subprocess.run(
        [promtool, "check", "metrics"], input=Metrics(services).text(), capture_output=True
    )
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, b"", b"")
