"""Colours of one shape: the effect of an approval or a withdrawal of one model on the others."""

from dam_connector.domain.rules import JOINED
from dam_connector.domain.shapes import PART_VERSIONS
from dam_connector.domain.version import Version, VersionState
from dam_connector.usecases.publish import withdraw
from dam_connector.usecases.run_planning import can_be_made, plan_runs
from dam_connector.usecases.shared_shapes import approved_model
from dam_connector.wiring import Services

# A part that a newer version replaced was approved, too; the next joined model has the newer one.
_STILL_GOOD = (VersionState.APPROVED, VersionState.PUBLISHED, VersionState.SUPERSEDED)


def plan_colours(services: Services, sku: str, deliverable: str, *, bulk: bool = False) -> int:
    """Plan what follows for the other colours after an approval or a withdrawal; return how many runs.

    When a shape was approved, the products of its other colours are recoloured. When the approved colours
    are others than before, the joined models are made again; one with a colour that was withdrawn is taken
    offline at once.

    Args:
        sku: the product whose model was approved or withdrawn.
        deliverable: its model deliverable.
        bulk: the runs wait behind those of single products.
    """
    count = 0
    with services.transaction():
        key = services.shapes.key_of(deliverable, sku)
        if not key:
            return 0
        rules = services.rules.current()
        owner = services.shapes.claim(deliverable, sku, key)
        joined = [d.name for d in rules.deliverables if d.is_joined and d.made_from == deliverable]
        for name in joined:
            _withdraw_stale(services, owner, name)
        for member in services.shapes.members(deliverable, key):
            names = joined if member == owner else [deliverable] if owner == sku else []
            record = services.products.get(member)
            if names and record and can_be_made(record, rules):
                count += plan_runs(services, record.product, record.sources, deliverables=names, bulk=bulk)
    return count


def _withdraw_stale(services: Services, sku: str, deliverable: str) -> None:
    """Take a joined model offline that has a colour which nobody approves any more."""
    version = approved_model(services, sku, deliverable)
    if version and not all(_is_good(part) for part in _parts(services, version)):
        withdraw(services, version, by=JOINED, reason="one of its colours is no longer approved")


def _parts(services: Services, version: Version) -> list[Version | None]:
    return [services.assets.get(part) for part in str(version.provenance.get(PART_VERSIONS, "")).split()]


def _is_good(part: Version | None) -> bool:
    return part is not None and part.state in _STILL_GOOD
