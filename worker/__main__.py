"""dam-worker: `run` and `sweep` serve the queues; the other commands are tools for work by hand."""

import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from importlib import import_module
from itertools import pairwise
from types import FrameType
from typing import Any

import click
import structlog
from rq.serializers import JSONSerializer

from dam_connector import logs, tracing
from dam_connector.clock import SystemClock
from dam_connector.domain.ids import new_id
from dam_connector.errors import ConfigError, ConnectorError, StorageUnavailable
from dam_connector.outages import REPEAT_S
from dam_connector.private_files import use_private_umask
from dam_connector.queue import MAKE_KINDS, QUEUES_BY_WORKER, connect
from dam_connector.settings import Settings
from dam_connector.store.database_mark import database_mark
from dam_connector.usecases import maintenance
from dam_connector.usecases.adopt_known_products import continue_adoption, wake_waiting_checks
from dam_connector.usecases.backfill import poll_pims
from dam_connector.usecases.broker import Broker
from dam_connector.usecases.dam_sync.inbound import poll_dams
from dam_connector.usecases.expiry import warn_before_expiry, withdraw_deleted, withdraw_expired
from dam_connector.usecases.notify import remind_of_overdue, send_digests, send_notifications
from dam_connector.usecases.photo_sync import poll_photos
from dam_connector.usecases.reconciliation import note_start, note_stop, reconcile_when_due
from dam_connector.usecases.retention import remove_when_due
from dam_connector.usecases.rules_change import continue_change
from dam_connector.usecases.stages import refresh_stages
from dam_connector.usecases.storage_owner import require_own_storage
from dam_connector.wiring import Services, build_services
from worker.check_process import CHECK_PROCESS
from worker.queue_workers import MONITOR_S, WORKER_TTL_S, IntakeWorker, MakeWorker, wait_for_queue

log = structlog.get_logger()
SWEEP_S = 2.0
BROKER_WAIT_S = 1.0
POLL_S = 15.0
LIST_CHANGES_S = 300.0  # between two questions to a PIM for its changes
EXPIRY_EVERY_S = 60.0  # between two looks for products that have expired
POLLER_LEASE_S = 60.0
SCHEMA_WAIT_S = 2.0  # between two looks for a migration that is missing
BROKER_STOP_S = 5.0  # at the end, the time for the broker to finish
_AS_JSON = f"{__name__}.as_json"  # in the context of a command
TOOLS = ("adopt", "build", "check", "cutout", "render", "rendition", "variants")


def wait_for_schema(services: Services) -> None:
    """Wait until the database has the schema of this release: somebody runs `dam-connector migrate`."""
    noted_at = -REPEAT_S
    while True:
        with suppress(StorageUnavailable):  # the database logs its outages
            missing = services.db.missing_migration()
            if not missing:
                return
            if time.monotonic() - noted_at >= REPEAT_S:
                noted_at = time.monotonic()
                log.warning("migration_missing", revision=missing, remedy="dam-connector migrate")
        time.sleep(SCHEMA_WAIT_S)


def check_storage(services: Services) -> None:
    """End the process with one line unless the storage can be read and is this database's.

    A worker with another storage would fail the runs of all for files that it does not find.
    """
    try:
        require_own_storage(services)
    except (ConfigError, StorageUnavailable) as error:
        log.error("storage_refused", error=str(error))
        sys.exit(1)


def check_storage_apart(services: Services) -> None:
    """Check the storage as `check_storage` does, in a process of its own.

    The client of object storage works with threads, which no fork inherits: the process of a job that is
    forked after a first use here would wait for them for ever.
    """
    services.db.close()  # a fork shares no connection
    child = os.fork()
    if child == 0:
        status = 1
        try:
            check_storage(services)
            status = 0
        finally:
            sys.stdout.flush()
            os._exit(status)
    if os.waitpid(child, 0)[1] != 0:
        sys.exit(1)


def _mark_of_database(services: Services) -> str:
    with suppress(StorageUnavailable):
        return database_mark(services.db)
    return ""


class _Commands(click.Group):
    """The commands. A tool is imported when it is used: `sweep` needs no 3D library."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note whether JSON is asked for, which a command with wrong options no longer finds out."""
        asked = "--json" in args or "--as=json" in args or ("--as", "json") in pairwise(args)
        ctx.meta[_AS_JSON] = asked
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; print the connector's own errors without a traceback, and exit with code 1.

        With --json, wrong options are printed as JSON too, and exit with code 2 as always.
        """
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            if not ctx.meta[_AS_JSON]:
                raise
            from worker.tools.output import stop

            command = (error.ctx or ctx).command_path
            stop(True, "usage", error.format_message(), f"{command} --help lists the options.")
        except ConfigError as error:
            for line in error.problems:
                click.echo(f"error: {line}", err=True)
        except ConnectorError as error:
            click.echo(f"error: {error}", err=True)
        sys.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted([*super().list_commands(ctx), *TOOLS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name; None where there is none."""
        if cmd_name not in TOOLS:
            return super().get_command(ctx, cmd_name)
        tool = getattr(import_module(f"worker.tools.{cmd_name}_command"), cmd_name)
        assert isinstance(tool, click.Command)
        return tool


@click.group(cls=_Commands)
def main() -> None:
    """Make pictures and models, check them, and serve the connector's queues."""


@main.command()
@click.option(
    "--queue", "queue_name", type=click.Choice(list(QUEUES_BY_WORKER)), default="make", show_default=True
)
@click.option("--burst", is_flag=True, help="Stop when the queue is empty.")
def run(queue_name: str, burst: bool) -> None:
    """Work on a queue until stopped."""
    use_private_umask()
    settings = Settings.from_env()
    logs.configure_logging(settings.log_format)
    import cv2

    from worker import jobs

    cv2.setNumThreads(1)
    tracing.start(queue_name, settings.otlp_endpoint)
    services = jobs.services()
    wait_for_queue(settings.effective_redis_url)
    wait_for_schema(services)
    makes = queue_name in MAKE_KINDS
    if makes:
        check_storage_apart(services)
        jobs.warm()
    else:
        check_storage(services)
    kind = MakeWorker if makes else IntakeWorker
    pool = None if makes else jobs.start_delivery_pool()
    name = f"{queue_name}-{socket.gethostname()}-{os.getpid()}-{new_id('w', SystemClock().now())[-6:]}"
    server = kind(
        list(QUEUES_BY_WORKER[queue_name]),
        name=name,
        connection=connect(settings.effective_redis_url, for_worker=True),
        serializer=JSONSerializer,
        worker_ttl=WORKER_TTL_S,
        job_monitoring_interval=MONITOR_S,
    )
    server.prepare(queue_name, settings, services.runs)
    server.counters.service = _mark_of_database(services)
    if not makes:  # it forks nothing, so a thread may send
        services.counters.send_in_background(queue_name)
    log.info("worker_ready", queue=queue_name)
    server.work(burst=burst, logging_level="ERROR", with_scheduler=False)
    if pool:
        pool.close()
    CHECK_PROCESS.stop()


@main.command()
def sweep() -> None:
    """Wake runs that are due, carry out orders to providers, and poll DAMs and PIMs, until stopped.

    One sweeper works at a time; the others wait to replace it.
    """
    use_private_umask()
    settings = Settings.from_env()
    logs.configure_logging(settings.log_format)
    tracing.start("sweep", settings.otlp_endpoint)
    services = build_services(settings)
    wait_for_schema(services)
    check_storage(services)
    owner = f"{socket.gethostname()}:{os.getpid()}"
    stop = threading.Event()

    def request_stop(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, request_stop)
    signal.signal(signal.SIGINT, request_stop)
    arguments = (services, owner, stop)
    broker = threading.Thread(target=_run_broker, args=arguments, name="broker")
    # A thread of its own: a slow DAM must not delay wake-ups.
    poller = threading.Thread(target=_poll, args=arguments, name="poller", daemon=True)
    services.counters.service = _mark_of_database(services)
    services.counters.send_in_background("sweep")
    with suppress(StorageUnavailable):
        note_start(services)
    broker.start()
    poller.start()
    while not stop.wait(SWEEP_S):
        try:
            maintenance.sweep(services, owner)
        except Exception as error:  # noqa: BLE001 - each is logged, and the next try may succeed
            log_failure("sweep_failed", error)
    with suppress(StorageUnavailable):  # the lease ends by itself
        services.locks.release("sweeper", owner)
    broker.join(BROKER_STOP_S)
    with suppress(StorageUnavailable):
        note_stop(services)


def log_failure(event: str, error: Exception) -> None:
    """Log an error with its traceback, unless it is an outage: the database logs its own ones itself."""
    if not isinstance(error, StorageUnavailable):
        log.error(event, exc_info=error)
    elif error.vendor != "database":
        log.warning(event, error=str(error))


def _poll(services: Services, owner: str, stop: threading.Event) -> None:
    """Poll DAMs and PIMs, reconcile and remove what is old, until stopped. A lease admits one process."""
    last_listing = last_expiry = 0.0
    while not stop.wait(POLL_S):
        try:
            if not services.locks.lease("poller", owner, POLLER_LEASE_S):
                continue
            poll_dams(services)
            poll_photos(services)
            if time.monotonic() - last_listing > LIST_CHANGES_S:
                poll_pims(services)
                last_listing = time.monotonic()
            if time.monotonic() - last_expiry > EXPIRY_EVERY_S:
                withdraw_expired(services)
                withdraw_deleted(services)
                warn_before_expiry(services)
                refresh_stages(services)
                remind_of_overdue(services)
                send_digests(services)
                last_expiry = time.monotonic()
            continue_change(services)
            continue_adoption(services)
            wake_waiting_checks(services)
            send_notifications(services)
            reconcile_when_due(services, owner)
            remove_when_due(services)
        except Exception as error:  # noqa: BLE001 - each is logged, and the next try may succeed
            log_failure("poll_failed", error)
    with suppress(StorageUnavailable):  # the lease ends by itself
        services.locks.release("poller", owner)


def _run_broker(services: Services, owner: str, stop: threading.Event) -> None:
    """Carry out orders to providers, until stopped."""
    broker = Broker(services, owner)
    while not stop.is_set():
        broker.wait(BROKER_WAIT_S)
        try:
            broker.tick()
        except Exception as error:  # noqa: BLE001 - each is logged, and the next try may succeed
            log_failure("broker_failed", error)
    broker.close()


if __name__ == "__main__":
    main()
