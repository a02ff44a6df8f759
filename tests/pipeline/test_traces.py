"""Traces: a delivery, its runs, their steps and requests are one trace, in whatever process they happen."""

import importlib.util
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import rq

from dam_connector import tracing
from dam_connector.errors import ConfigError, Unavailable
from dam_connector.wiring import Services
from tests.pipeline.helpers import Drain, approve, chair, newest, send, work
from tests.support import PhotoServer
from worker.queue_workers import MakeWorker
from worker.work import Park

HAS_EXTRA = importlib.util.find_spec("opentelemetry") is not None
needs_extra = pytest.mark.skipif(not HAS_EXTRA, reason="the extra `otel` is not installed")


@pytest.fixture
def spans() -> Iterator[Any]:
    """Return a function that gives the spans that ended so far."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter.get_finished_spans
    tracing.use(None)


@needs_extra
def test_a_delivery_is_one_trace_up_to_its_publication(
    spans: Any, services: Services, photos: PhotoServer, drain: Drain
) -> None:
    delivery, _ = send(services, chair(photos))
    drain()
    approve(services, newest(services))
    work(services, drain, rounds=1)
    found = {span.name: span for span in spans()}
    assert {
        "delivery",
        "request picture",  # in a thread of its own
        "run",
        "step collect_sources",
        "step make_renditions",
        "step seal_version",
        "step publish_to_channels",
    } <= set(found)
    assert len({span.context.trace_id for span in spans()}) == 1
    assert found["delivery"].attributes["delivery.id"] == delivery
    assert found["delivery"].attributes["delivery.outcome"] == "handled"
    assert found["request picture"].kind.name == "CLIENT"
    runs = {span.attributes["run.id"]: span for span in spans() if span.name == "run"}
    assert {span.attributes["run.kind"] for span in runs.values()} == {"image", "publish"}
    assert {span.attributes["run.outcome"] for span in runs.values()} == {"done"}
    steps = [span for span in spans() if span.name.startswith("step ")]
    assert {step.parent.span_id for step in steps} == {span.context.span_id for span in runs.values()}
    assert all(run.origin == delivery for run in services.runs.page())


@needs_extra
def test_another_delivery_is_another_trace_within_the_first_one_too(spans: Any) -> None:
    with tracing.span("a", origin="dlv_1"), tracing.span("b", origin="dlv_2"), tracing.span("c"):
        pass
    with tracing.span("d", origin="dlv_1"):
        pass
    trace = {span.name: span.context.trace_id for span in spans()}
    assert trace["a"] == trace["d"] != trace["b"] == trace["c"]


@needs_extra
def test_an_error_is_noted_by_its_class_and_a_wait_is_none(spans: Any, services: Services) -> None:
    with pytest.raises(Unavailable):
        with tracing.span("request shop"):
            raise Unavailable("shop", "publish", "a secret in the message")
    with pytest.raises(Park):
        with tracing.span("step make_model", expected=(Park,)):
            raise Park(services.clock.now())
    request, step = spans()
    assert request.attributes["error.type"] == "Unavailable" and not request.status.is_ok
    assert "secret" not in request.to_json()
    assert step.status.is_unset and not step.events


@needs_extra
def test_a_forked_process_sends_its_spans_before_it_ends(services: Services) -> None:
    bodies: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == "/v1/traces"
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tracing.start("make", f"http://127.0.0.1:{server.server_port}/")
    try:
        pid = os.fork()
        if not pid:
            with tracing.span("run", origin="dlv_1", run_id="run_of_the_fork"):
                pass
            tracing.flush()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        tracing.use(None)
        server.shutdown()
        server.server_close()
    assert len(bodies) == 1 and b"dam-connector-make" in bodies[0] and b"run_of_the_fork" in bodies[0]


@pytest.mark.skipif(HAS_EXTRA, reason="the extra `otel` is installed")
def test_without_the_extra_an_address_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match=r"pip install dam-connector\[otel\]"):
        tracing.start("web", "http://collector:4318")


def test_nothing_is_traced_without_an_address() -> None:
    tracing.start("web", "")
    with tracing.span("run", origin="dlv_1", run_id="run_1") as span:
        span.set_attribute("a", 1)
        tracing.note(run_outcome="done")
    tracing.flush()
    assert tracing._provider is None


def test_a_make_worker_sends_the_traces_of_a_job_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(rq.Worker, "perform_job", lambda *_: order.append("job") or True)
    monkeypatch.setattr(tracing, "flush", lambda: order.append("flush"))
    worker = MakeWorker.__new__(MakeWorker)
    assert worker.perform_job(object(), object()) is True  # type: ignore[arg-type]
    assert order == ["job", "flush"]
