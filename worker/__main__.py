"""dam-worker: `run` and `sweep` serve the queues; the rest are the same tools by hand."""

import os
import signal
import socket
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any

import click
import structlog
from rq import Queue, SimpleWorker, Worker
from rq.serializers import JSONSerializer

from dam_connector import logs
from dam_connector.clock import SystemClock
from dam_connector.domain.ids import new_id
from dam_connector.queue import FAIRNESS_INTERVAL, QUEUES_BY_WORKER, connect
from dam_connector.settings import Settings
from dam_connector.usecases import maintenance
from dam_connector.usecases.backfill import poll_pims
from dam_connector.usecases.broker import Broker
from dam_connector.usecases.dam_sync.inbound import poll_dams
from dam_connector.usecases.maintenance import delete_expired
from dam_connector.usecases.reconciliation import reconcile_when_due
from dam_connector.wiring import Services, build_services
from worker.check_process import CHECK_PROCESS, CheckerExited
from worker.tools.build_command import build
from worker.tools.check_command import check
from worker.tools.cutout_command import cutout
from worker.tools.render_command import render
from worker.tools.rendition_command import rendition

log = structlog.get_logger()
SWEEP_S = 2.0
BROKER_S = 1.0
POLL_S = 15.0
LIST_S = 300.0  # between two questions to a PIM for what was changed
TIDY_S = 3600.0  # between two times that what is over is forgotten
POLLER_LEASE_S = 60.0
STOP_S = 5.0


class _Manners:
    """Mixed into RQ's workers: a queue server that was away is asked again every other second, not every minute; and the lanes
    take turns, so that bulk work never holds up a single product, nor is held up for ever itself."""

    max_connection_wait_time = 2.0
    queues: list[Queue]
    _ordered_queues: list[Queue]
    _taken = 0

    def reorder_queues(self, reference_queue: Queue) -> None:
        """Called after each job that was taken."""
        self._taken += 1
        self._ordered_queues = self.queues[::-1] if self._taken % FAIRNESS_INTERVAL == 0 else self.queues[:]


class MakeWorker(_Manners, Worker):
    """One process a job: what crashes or eats memory takes only its job with it. The checker is started before, so that every job finds it warm."""

    def fork_work_horse(self, *args: Any, **kwargs: Any) -> None:
        with suppress(CheckerExited):  # then each job tries by itself, and tells what is wrong
            CHECK_PROCESS.warm()
        super().fork_work_horse(*args, **kwargs)


class IntakeWorker(_Manners, SimpleWorker):
    """Many small jobs in one process."""


@click.group()
def main() -> None:
    """Makes pictures and models, checks them, and serves the connector's queues."""


@main.command()
@click.option(
    "--queue", "queue_name", type=click.Choice(list(QUEUES_BY_WORKER)), default="make", show_default=True
)
@click.option("--burst", is_flag=True, help="Stop when the queue is empty.")
def run(queue_name: str, burst: bool) -> None:
    """Work on a queue until stopped."""
    import cv2

    from worker import jobs

    cv2.setNumThreads(1)
    settings = Settings.from_env()
    logs.configure_logging(settings.log_format)
    if queue_name == "make":
        jobs.warm()
    kind = MakeWorker if queue_name == "make" else IntakeWorker
    name = f"{queue_name}-{socket.gethostname()}-{os.getpid()}-{new_id('w', SystemClock().now())[-6:]}"
    server = kind(
        list(QUEUES_BY_WORKER[queue_name]),
        name=name,
        connection=connect(settings.effective_redis_url, for_worker=True),
        serializer=JSONSerializer,
    )
    log.info("worker_ready", queue=queue_name)
    server.work(burst=burst, logging_level="ERROR", with_scheduler=False)
    CHECK_PROCESS.stop()


@main.command()
def sweep() -> None:
    """Wake what is due, carry out what was ordered from providers, ask the DAMs for decisions and the
    PIMs for changes, until stopped.

    One sweeper works at a time; others stand by.
    """
    settings = Settings.from_env()
    logs.configure_logging(settings.log_format)
    services = build_services(settings)
    owner = f"{socket.gethostname()}:{os.getpid()}"
    stop = threading.Event()

    def leave(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    brokering = threading.Thread(target=_broker, args=(services, owner, stop), name="broker")
    polling = threading.Thread(
        target=_poll, args=(services, owner, stop), name="poller", daemon=True
    )  # a slow DAM holds up no wake-up
    brokering.start()
    polling.start()
    while not stop.wait(SWEEP_S):
        try:
            maintenance.sweep(services, owner)
        except Exception:
            log.exception("sweep_failed")
    services.locks.release("sweeper", owner)
    brokering.join(STOP_S)


def _poll(services: Services, owner: str, stop: threading.Event) -> None:
    """Ask DAMs, PIMs and, when it is time, compare them all and tidy up, until stopped. One process does, by lease."""
    listed = tidied = 0.0
    while not stop.wait(POLL_S):
        try:
            if not services.locks.lease("poller", owner, POLLER_LEASE_S):
                continue
            poll_dams(services)
            if time.monotonic() - listed > LIST_S:
                poll_pims(services)
                listed = time.monotonic()
            if time.monotonic() - tidied > TIDY_S:
                delete_expired(services)
                tidied = time.monotonic()
            reconcile_when_due(services, owner)
        except Exception:
            log.exception("poll_failed")
    services.locks.release("poller", owner)


def _broker(services: Services, owner: str, stop: threading.Event) -> None:
    broker = Broker(services, owner)
    while not stop.is_set():
        broker.wait(BROKER_S)
        try:
            broker.tick()
        except Exception:
            log.exception("broker_failed")
    broker.close()


for tool in (build, check, cutout, rendition, render):
    main.add_command(tool)


if __name__ == "__main__":
    main()
