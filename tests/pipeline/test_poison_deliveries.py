"""Deliveries that meet a bug of ours stop no other, are not repeated for ever, and leave their cause."""

from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import CapturingLogger

import worker.jobs
from dam_connector.domain.retry_policy import DELIVERY_RETRIES
from dam_connector.errors import StateConflict
from dam_connector.store.inbox import Inbox
from dam_connector.usecases import intake
from dam_connector.wiring import Services
from tests.pipeline.helpers import chair, send
from tests.support import PhotoServer


@pytest.fixture
def two(
    services: Services, photos: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Exception], list[str]]:
    """Store two deliveries, of which the first raises an exception."""
    monkeypatch.setattr(worker.jobs, "services", lambda: services)

    def store(error: Exception) -> list[str]:
        ingest = intake.ingest_event

        def faulty(services: Services, connection: str, event: Any, **more: Any) -> str:
            if event.ref == "BAD1":
                raise error
            return ingest(services, connection, event, **more)

        monkeypatch.setattr(intake, "ingest_event", faulty)
        return [send(services, chair(photos, sku=sku), message=sku)[0] for sku in ("BAD1", "CH123")]

    return store


@pytest.mark.parametrize("error", [ZeroDivisionError("in our code"), StateConflict("changed meanwhile")])
def test_it_is_failed_after_its_attempts_and_its_neighbour_is_handled(
    services: Services,
    two: Callable[[Exception], list[str]],
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad, good = two(error)
    log = CapturingLogger()
    monkeypatch.setattr(intake, "log", log)
    worker.jobs.handle_deliveries(bad, good)
    assert services.inbox.get(good).state == "handled"
    stored = services.inbox.get(bad)
    assert (stored.state, stored.attempts) == ("received", 1) and stored.due_at > services.clock.now()
    (crash,) = [call for call in log.calls if call.method_name == "exception"]
    assert crash.args == ("delivery_crashed",)  # with its traceback
    assert crash.kwargs["delivery_id"] == bad
    for _ in range(DELIVERY_RETRIES.max_attempts):
        worker.jobs.handle_deliveries(bad)
    stored = services.inbox.get(bad)
    assert (stored.state, stored.attempts, stored.due_at) == ("failed", DELIVERY_RETRIES.max_attempts, None)
    assert type(error).__name__ in stored.error and str(error) in stored.error


def test_a_delivery_that_cannot_be_read_stops_no_other(
    services: Services, two: Callable[[Exception], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = two(ZeroDivisionError())
    get = Inbox.get

    def faulty(inbox: Inbox, delivery_id: str) -> Any:
        if delivery_id == bad:
            raise ValueError("the row is broken")
        return get(inbox, delivery_id)

    monkeypatch.setattr(Inbox, "get", faulty)
    for _ in range(DELIVERY_RETRIES.max_attempts):
        worker.jobs.handle_deliveries(bad, good)
    monkeypatch.undo()
    assert services.inbox.get(good).state == "handled" and services.inbox.get(bad).state == "failed"


def test_a_failure_that_cannot_be_recorded_stops_no_other(
    services: Services, two: Callable[[Exception], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = two(ZeroDivisionError())

    def away(inbox: Inbox, delivery_id: str, error: str) -> bool:
        raise OSError("the database is away")

    monkeypatch.setattr(Inbox, "retry_later", away)
    log = CapturingLogger()
    monkeypatch.setattr(worker.jobs, "log", log, raising=False)
    worker.jobs.handle_deliveries(bad, good)
    assert services.inbox.get(good).state == "handled"
    assert [(c.method_name, c.kwargs["delivery_id"]) for c in log.calls] == [("exception", bad)]
