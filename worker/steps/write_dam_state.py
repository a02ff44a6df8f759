"""Tell the DAM how the asset's versions stand now: what went live, what it replaced, what a person decided here."""

from dam_connector.errors import NotFound
from dam_connector.usecases.dam_sync.outbound import write_asset_states
from dam_connector.wiring import Services
from worker.work import Work


def write_dam_state(work: Work, services: Services) -> Work:
    """The same work. Reads: version. Raises: Unavailable, RateLimited, Refused."""
    version = services.assets.get(work.draft)
    if version is None:
        raise NotFound("store", "write_dam_state", work.draft)
    write_asset_states(services, version)
    return work
