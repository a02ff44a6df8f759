"""Surplus assets: slots that were made and that the rules no longer want.

`rules apply` takes them out of review; the channels lose them as those of a deliverable that was removed.
"""

from dam_connector.domain.product import Product
from dam_connector.domain.rules import Rules
from dam_connector.domain.version import Version, VersionState
from dam_connector.domain.wanted_slots import is_wanted
from dam_connector.errors import StateConflict
from dam_connector.usecases.dam_sync.outbound import sync_to_dam
from dam_connector.wiring import Services

DROPPED = "no_longer_asked_for"  # in the history
UNDECIDED = (VersionState.IN_REVIEW, VersionState.BLOCKED)


def drop_surplus(services: Services, product: Product, rules: Rules) -> int:
    """Take the undecided versions of surplus slots out of review; return how many slots.

    Their open and failed runs are cancelled. If the rules want the slot again, it is made anew. It is part of
    the open transaction.
    """
    dropped: set[str] = set()
    for sku, deliverable, slot in services.catalog_state.open_slots([product.sku]):
        if not is_wanted(rules, product, deliverable, slot):
            services.runs.cancel_slot(sku, deliverable, slot)
    for version in services.assets.of_product(product.sku):
        asset = version.asset
        if version.state in UNDECIDED and not is_wanted(rules, product, asset.deliverable, asset.slot):
            _drop(services, version)
            dropped.add(asset.id)
    return len(dropped)


def _drop(services: Services, version: Version) -> None:
    services.assets.lock_asset(version.asset.id)
    current = services.assets.get(version.id) or version
    if current.state not in UNDECIDED:
        return  # somebody decided meanwhile
    services.assets.transition(version.id, VersionState.SUPERSEDED)
    services.history.add(
        DROPPED, sku=version.asset.sku, version_id=version.id, detail="by the rules that were applied"
    )
    sync_to_dam(services, version)


def require_wanted(services: Services, version: Version) -> None:
    """Check that the rules in force still want the slot of a version.

    Raises:
        StateConflict: they do not, so that it goes live nowhere.
    """
    asset = version.asset
    record = services.products.get(asset.sku)
    rules = services.rules.current()
    if record and not is_wanted(rules, record.product, asset.deliverable, asset.slot):
        name = f"{asset.deliverable} {asset.slot} of {asset.sku}"
        raise StateConflict(
            f"plugin.json no longer asks for {name}, so it cannot be approved; ask for it there again, or "
            "let an admin apply the rules: it leaves review then"
        )
