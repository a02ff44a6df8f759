"""Traces by OpenTelemetry: of deliveries, runs, steps and requests to outside systems.

All spans of one origin, the delivery or run with which it all began, are in one trace: its id is made of the
origin's, so that neither the database nor the queue carries it from process to process, however many days
lie between a delivery and its publication. Nothing is traced, and no library is loaded, until `start` was
called with the address of a collector. Outside systems are sent no ids of traces.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from dam_connector.errors import ConfigError

EXPORT_TIMEOUT_S = 2  # a collector that is away holds up a job's end by so much
Value = str | int | float | bool
T = TypeVar("T")
R = TypeVar("R")


class Span(Protocol):
    """A span that is open."""

    def set_attribute(self, key: str, value: Value) -> object:
        """Add a fact."""
        ...


class _NoSpan:
    def set_attribute(self, key: str, value: Value) -> None:
        """Add nothing: nothing is traced."""


_NO_SPAN = _NoSpan()
_provider: Any = None  # of this process; a fork inherits it


def start(part: str, endpoint: str) -> None:
    """Trace this process.

    Args:
        part: The part of the connector, e.g. `web`.
        endpoint: Where a collector takes OTLP by HTTP, e.g. `http://collector:4318`. Empty: no traces.

    Raises:
        ConfigError: The extra `otel` is not installed.
    """
    if not endpoint:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: "
            "`pip install dam-connector[otel]`, or unset the variable"
        ) from error
    provider = TracerProvider(resource=Resource.create({"service.name": f"dam-connector-{part}"}))
    address = f"{endpoint.rstrip('/')}/v1/traces"
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=address, timeout=EXPORT_TIMEOUT_S))
    )
    use(provider)


def use(provider: Any) -> None:
    """Trace this process by a provider; None: not at all."""
    global _provider  # noqa: PLW0603 - one a process, as OpenTelemetry means it
    _provider = provider


def flush() -> None:
    """Send what was traced, before a process ends without further notice."""
    if _provider is not None:
        _provider.force_flush(EXPORT_TIMEOUT_S * 1000)


@contextmanager
def span(
    name: str,
    *,
    origin: str = "",
    is_outgoing: bool = False,
    expected: tuple[type[Exception], ...] = (),
    **facts: Value,
) -> Iterator[Span]:
    """Trace a block.

    An exception that leaves the block is noted by its class alone: messages may hold facts of products.

    Args:
        name: Of the span, one of few.
        origin: The id of the delivery or run with which it all began, where it is known: a span within
            another one of the same origin needs none.
        is_outgoing: Whether it is a request to an outside system.
        expected: Exceptions that are no errors.
        facts: Its attributes, by name; `_` in a name becomes a dot. Empty ones are left out.
    """
    if _provider is None:
        yield _NO_SPAN
        return
    from opentelemetry.trace import SpanKind, Status, StatusCode

    tracer = _provider.get_tracer("dam_connector")
    attributes = {key.replace("_", "."): value for key, value in facts.items() if value != ""}
    kind = SpanKind.CLIENT if is_outgoing else SpanKind.INTERNAL
    with tracer.start_as_current_span(
        name,
        context=_context_of(origin),
        kind=kind,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as opened:
        try:
            yield opened
        except expected:
            raise
        except Exception as error:
            opened.set_attribute("error.type", type(error).__name__)
            opened.set_status(Status(StatusCode.ERROR))
            raise


def carried(call: Callable[[T], R]) -> Callable[[T], R]:
    """Return a function whose spans belong to the span that is open now, in whatever thread it is called."""
    if _provider is None:
        return call
    from opentelemetry import context

    opened = context.get_current()

    def within(argument: T) -> R:
        token = context.attach(opened)
        try:
            return call(argument)
        finally:
            context.detach(token)

    return within


def note(**facts: Value) -> None:
    """Add facts to the span that is open in this thread, if there is one."""
    if _provider is None:
        return
    from opentelemetry.trace import get_current_span

    for key, value in facts.items():
        get_current_span().set_attribute(key.replace("_", "."), value)


def _context_of(origin: str) -> Any:
    """Return the context of an origin's trace; None, i.e. the current one, within a span of that trace."""
    from opentelemetry.trace import (
        NonRecordingSpan,
        SpanContext,
        TraceFlags,
        get_current_span,
        set_span_in_context,
    )

    if not origin:
        return None
    digest = hashlib.sha256(origin.encode()).digest()
    trace_id = int.from_bytes(digest[:16], "big")
    if get_current_span().get_span_context().trace_id == trace_id:
        return None
    root = SpanContext(
        trace_id=trace_id,
        span_id=int.from_bytes(digest[16:24], "big"),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return set_span_in_context(NonRecordingSpan(root))
