"""The products that share a shape with a product, for people: who made it, who waits, in which colours."""

from dataclasses import dataclass

from dam_connector.domain.product import SWATCH, Product, is_colour_code
from dam_connector.domain.rules import Rules
from dam_connector.domain.shapes import colour_name
from dam_connector.store.gallery import VersionCard
from dam_connector.usecases.shared_shapes import approved_shape
from dam_connector.wiring import Services

MAX_RELATIVES = 60  # products of a shape that are looked up


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """A product that shares a shape, as its tile shows it."""

    product_id: str
    sku: str
    colour: str  # its name; that of the product without one is its SKU
    code: str  # the swatch as `#rrggbb`; empty: it is a picture, or there is none
    source: str  # the key of its stored swatch, or else of a photo; empty: it has neither
    card: VersionCard | None  # its newest model
    makes_shape: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedShape:
    """A shape that a product shares with others."""

    deliverable: str  # whose models have it
    parent: str  # what the products share; empty: an attribute says it
    owner: str  # the SKU that makes it; empty: none can yet
    is_approved: bool
    relatives: tuple[Relative, ...]  # the product itself is one of them
    count: int  # of all, also of those that are not looked up


def shared_shapes_of(services: Services, product: Product, rules: Rules) -> list[SharedShape]:
    """Return the shapes that a product shares with others, by its model deliverables."""
    found = []
    for deliverable in rules.deliverables:
        key = services.shapes.key_of(deliverable.name, product.sku) if deliverable.colours else ""
        members = services.shapes.members(deliverable.name, key) if key else []
        if len(members) < 2:
            continue
        owner = services.shapes.owner(deliverable.name, key)
        others = [sku for sku in members if sku not in (owner, product.sku)]
        shown = [*dict.fromkeys(filter(None, (owner, product.sku))), *others][:MAX_RELATIVES]
        found.append(
            SharedShape(
                deliverable=deliverable.name,
                parent=product.parent,
                owner=owner,
                is_approved=bool(owner and approved_shape(services, owner, deliverable.name, key)),
                relatives=_relatives(services, shown, deliverable.name, owner),
                count=len(members),
            )
        )
    return found


def _relatives(services: Services, skus: list[str], deliverable: str, owner: str) -> tuple[Relative, ...]:
    """Return products in the given order, each with its newest model."""
    cards: dict[str, VersionCard] = {}
    for card in services.gallery.product_cards(skus):  # the newest first
        if card.asset.deliverable == deliverable:
            cards.setdefault(card.asset.sku, card)
    relatives = []
    for sku in skus:
        record = services.products.get(sku)
        if record is None:
            continue
        swatch = record.product.swatch
        relatives.append(
            Relative(
                product_id=record.id,
                sku=sku,
                colour=colour_name(record.product),
                code=swatch if is_colour_code(swatch) else "",
                source=SWATCH if SWATCH in record.sources else next(iter(record.photos), ""),
                card=cards.get(sku),
                makes_shape=sku == owner,
            )
        )
    return tuple(relatives)
