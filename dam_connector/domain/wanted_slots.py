"""The slots that the rules want of a product, and the channels in which they go live.

A slot that exists is surplus when its deliverable left plugin.json, is not for the product's category any
more, or has fewer slots than it had. A row of a sheet that asks for less makes nothing surplus: it is about
the next versions alone.
"""

from dam_connector.domain.product import Product
from dam_connector.domain.row_request import RequestType, request_type_of
from dam_connector.domain.rules import Rules


def is_wanted(rules: Rules, product: Product, deliverable: str, slot: int) -> bool:
    """Return whether the rules still ask for a slot of a product, whatever it lacks to be made.

    Args:
        rules: The rules.
        product: The product.
        deliverable: The name of the slot's deliverable.
        slot: Its number, from 1 on.
    """
    found = rules.deliverable(deliverable)
    if found is None or not found.is_for_category(product.category):
        return False
    asked_for = product.request.images if request_type_of(found) is RequestType.LIFESTYLE else None
    return slot <= max(found.count, asked_for or 0)


def wanted_channels(rules: Rules, product: Product, deliverable: str, slot: int) -> tuple[str, ...]:
    """Return the channels in which a slot of a product is live; none if the rules do not want the slot.

    They are those of its deliverable that the product's sheet asks for. Arguments: see `is_wanted`.
    """
    found = rules.deliverable(deliverable)
    if found is None or not is_wanted(rules, product, deliverable, slot):
        return ()
    asked_for = product.request.channels
    return tuple(c for c in found.channels if not asked_for or c in asked_for)
