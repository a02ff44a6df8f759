"""RQ's entry points: ids in, nothing out. What they do stands in the flow and in the runner."""

import gc
from contextlib import suppress
from functools import cache

from PIL import Image

from dam_connector.errors import ConnectorError
from dam_connector.settings import Settings
from dam_connector.usecases import batches, intake
from dam_connector.wiring import Services, build_services
from worker.imaging import cutout
from worker.runner import advance


@cache
def services() -> Services:
    """This process' services."""
    return build_services(Settings.from_env())


def warm() -> None:
    """Have all that jobs need ready before they are forked, so that none pays for it: a quarter of a CPU-second each.

    The services, coders of pictures, OpenCV's tables, the database's statements as text; no connection is left open. What is not ready, such
    as a database that is away, each job finds out for itself.
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
    gc.freeze()  # a collection in a job would touch, and so copy, every object that it has from here


def handle_deliveries(*delivery_ids: str) -> None:
    """Do what some stored webhooks mean."""
    for delivery_id in delivery_ids:
        intake.handle_delivery(services(), delivery_id)


def advance_batch(turn: str) -> None:
    """Take the next rows of a batch."""
    batches.advance(services(), turn)


def advance_run(run_id: str) -> None:
    """Take a run as far as it goes."""
    advance(services(), run_id)
