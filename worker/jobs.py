"""Jobs: the functions that RQ calls, with ids as arguments. dam_connector/queue.py names them."""

import gc
from contextlib import suppress
from functools import cache

import structlog
from PIL import Image

from dam_connector.errors import ConnectorError
from dam_connector.settings import Settings
from dam_connector.usecases import batches, intake
from dam_connector.wiring import Services, build_services
from worker.imaging import cutout
from worker.runner import advance

log = structlog.get_logger()


@cache
def services() -> Services:
    """Return this process's services."""
    return build_services(Settings.from_env())


def warm() -> None:
    """Load everything that jobs need, before they are forked: each job saves a quarter of a CPU-second.

    That is the services, the picture codecs, OpenCV's tables and the database's compiled statements. No
    connection stays open. A part that fails, such as a database that does not answer, is left to each job.
    """
    Image.init()
    cutout.warm_up_colour_tables()
    with suppress(ConnectorError, OSError):
        services().db.ping()
        services().rules.current()
        for store in (services().runs, services().assets, services().products):
            store.get("")
    services().db.close()
    gc.collect()
    gc.freeze()  # a collection in a job would touch, and so copy, every object that it inherits from here


def handle_deliveries(*delivery_ids: str) -> None:
    """Handle stored webhook deliveries. One that fails in any way does not stop the others.

    `handle_delivery` counts its failures itself. What it raises all the same, e.g. because the database is
    away, is logged; the delivery stays due.
    """
    for delivery_id in delivery_ids:
        try:
            intake.handle_delivery(services(), delivery_id)
        except Exception:
            log.exception("delivery_not_recorded", delivery_id=delivery_id)


def advance_batch(wake_token: str) -> None:
    """Take the next rows of a batch."""
    batches.advance(services(), wake_token)


def advance_run(run_id: str) -> None:
    """Execute the steps of a run."""
    advance(services(), run_id)
