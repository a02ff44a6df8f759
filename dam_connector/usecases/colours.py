"""Colours of one shape: the effect of an approval or a withdrawal of one model on the others."""

from dam_connector.usecases.run_planning import plan_group
from dam_connector.usecases.shared_shapes import joined_from, settle_owner, withdraw_stale
from dam_connector.wiring import Services


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
    with services.transaction():
        key = services.shapes.key_of(deliverable, sku)
        if not key:
            return 0
        rules = services.rules.current()
        owner, before = settle_owner(services, deliverable, key, rules)
        for joined in joined_from(deliverable, rules):
            withdraw_stale(services, owner, joined.name)
        is_of_all = sku == owner or owner != before
        return plan_group(services, deliverable, key, rules, joined_only=not is_of_all, bulk=bulk)
