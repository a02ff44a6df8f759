"""Shapes that products of several colours share: who makes them, who waits, and which can be joined.

The first product of a shape makes it. Those of other colours wait until it is approved; each of them is then
only recoloured. One model of all approved colours is joined from them, where plugin.json asks for it.
"""

from collections.abc import Iterator, Mapping

from dam_connector.domain.product import Product
from dam_connector.domain.rules import Deliverable, Rules
from dam_connector.domain.shapes import SHAPE_SHA256, Shapes, shape_key
from dam_connector.domain.version import Version, VersionState
from dam_connector.wiring import Services

APPROVED_STATES = (VersionState.APPROVED, VersionState.PUBLISHED)


def join_shapes(services: Services, product: Product, rules: Rules) -> None:
    """Record which shapes a product shares, in the open transaction.

    It makes a shape that nobody makes yet. Whatever is planned for the shape until the transaction ends is
    planned here.
    """
    for deliverable in _shared(rules):
        assert deliverable.colours is not None
        key = shape_key(product, deliverable.colours)
        if not deliverable.is_for_category(product.category):
            key = ""
        services.shapes.join(deliverable.name, product.sku, key)
        if key:
            services.shapes.claim(deliverable.name, product.sku, key)


def shapes_of(services: Services, product: Product, rules: Rules) -> Shapes:
    """Return the relation of a product's models to those of other products, by some rules."""
    shared, parts = {}, {}
    for deliverable in _shared(rules):
        assert deliverable.colours is not None
        key = shape_key(product, deliverable.colours)
        owner = services.shapes.owner(deliverable.name, key) if key else ""
        if owner and owner != product.sku:
            shape = approved_model(services, owner, deliverable.name)
            glb = shape.file("glb") if shape else None
            shared[deliverable.name] = glb.sha256 if glb else None
        elif owner:
            found = colours_of(services, deliverable.name, key)
            models = {sku: glb.sha256 for sku, v in found.items() if (glb := v.file("glb"))}
            for joined in _joined_from(deliverable.name, rules):
                if len(models) > 1 or services.assets.current(product.sku, joined.name):
                    parts[joined.name] = models
    return Shapes(shared=shared, parts=parts)


def shape_awaited(services: Services, product: Product, rules: Rules) -> str:
    """Return the SKU of the product whose shape must be approved before this one is recoloured, if any."""
    waits = [name for name, sha256 in shapes_of(services, product, rules).shared.items() if sha256 is None]
    return services.shapes.owner(waits[0], services.shapes.key_of(waits[0], product.sku)) if waits else ""


def approved_model(services: Services, sku: str, deliverable: str) -> Version | None:
    """Return the newest approved or live version of a model deliverable, or None."""
    return next(
        (
            v
            for v in services.assets.of_product(sku)
            if (v.asset.deliverable, v.asset.slot) == (deliverable, 1) and v.state in APPROVED_STATES
        ),
        None,
    )


def colours_of(services: Services, deliverable: str, key: str) -> Mapping[str, Version]:
    """Return the approved models that have one approved shape, by SKU: the shape itself comes first.

    A product that was recoloured from an earlier version of the shape is left out until its recolouring from
    this one is approved.
    """
    owner = services.shapes.owner(deliverable, key)
    shape = approved_model(services, owner, deliverable) if owner else None
    glb = shape.file("glb") if shape else None
    if shape is None or glb is None:
        return {}
    found = {owner: shape}
    for sku in services.shapes.members(deliverable, key):
        version = approved_model(services, sku, deliverable) if sku != owner else None
        if version and version.provenance.get(SHAPE_SHA256) == glb.sha256:
            found[sku] = version
    return found


def parts_of_joined(services: Services, sku: str, deliverable: Deliverable) -> Mapping[str, Version]:
    """Return the approved models of which a product's joined model is to consist now, by SKU."""
    key = services.shapes.key_of(deliverable.made_from, sku)
    owner = services.shapes.owner(deliverable.made_from, key) if key else ""
    return colours_of(services, deliverable.made_from, key) if owner == sku else {}


def joined_model(services: Services, product: Product, rules: Rules) -> tuple[str, list[str]]:
    """Return the SKU that has the joined model with a product's colour, and the names of its deliverables.

    The SKU is empty if there is none.
    """
    for deliverable in _shared(rules):
        key = services.shapes.key_of(deliverable.name, product.sku)
        owner = services.shapes.owner(deliverable.name, key) if key else ""
        if owner and (joined := [d.name for d in _joined_from(deliverable.name, rules)]):
            return owner, joined
    return "", []


def _shared(rules: Rules) -> Iterator[Deliverable]:
    return (d for d in rules.deliverables if d.colours is not None)


def _joined_from(name: str, rules: Rules) -> Iterator[Deliverable]:
    return (d for d in rules.deliverables if d.is_joined and d.made_from == name)
