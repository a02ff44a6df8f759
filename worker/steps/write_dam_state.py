"""Write the states of the asset's versions into the DAM: published, superseded, approved or rejected here."""

from dam_connector.usecases.dam_sync.inbound import sync_early_decision
from dam_connector.usecases.dam_sync.outbound import write_asset_states
from dam_connector.wiring import Services
from worker.work import Work


def write_dam_state(work: Work, services: Services) -> Work:
    """Write the states of the asset's versions.

    Reads: version. Adds: nothing.

    Raises:
        Unavailable, RateLimited, Refused: The DAM failed.
    """
    version = work.version(services, "write_dam_state")
    sync_early_decision(services, version)
    write_asset_states(services, version)
    return work
