"""RQ's entry points: ids in, nothing out. What they do stands in the flow and in the runner."""

from functools import cache

from dam_connector.flow import batches, intake
from dam_connector.settings import Settings
from dam_connector.wiring import Services, build_services
from worker.runner import advance


@cache
def services() -> Services:
    """This process' services. The worker's parent builds them before it forks; connections are made anew after."""
    return build_services(Settings.from_env())


def handle_deliveries(*delivery_ids: str) -> None:
    """Do what some stored webhooks mean."""
    for delivery_id in delivery_ids:
        intake.handle(services(), delivery_id)


def advance_batch(turn: str) -> None:
    """Take the next rows of a batch."""
    batches.advance(services(), turn)


def advance_run(run_id: str) -> None:
    """Take a run as far as it goes."""
    advance(services(), run_id)
