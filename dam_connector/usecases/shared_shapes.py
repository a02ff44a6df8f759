"""Shapes that products of several colours share: who makes them, who waits, and which can be joined.

The first product that can make a shape makes it. Those of other colours wait until it is approved; each of
them is then only recoloured. One model of all approved colours is joined from them, where plugin.json asks
for it.
"""

from collections.abc import Iterator, Mapping

from dam_connector.domain.brought_model import BROUGHT_MODEL
from dam_connector.domain.ids import Sha256
from dam_connector.domain.product import Product
from dam_connector.domain.rules import JOINED, RECOLOURED, Deliverable, Rules
from dam_connector.domain.shapes import (
    PART_VERSIONS,
    SHAPE_SHA256,
    Shapes,
    claim_rank,
    is_of_shape,
    shape_key,
)
from dam_connector.domain.version import Version, VersionState
from dam_connector.usecases.publish import rollback, withdraw
from dam_connector.wiring import Services

APPROVED_STATES = (VersionState.APPROVED, VersionState.PUBLISHED)
# Above those of `claim_rank`: an approved model; one with the very shape that others were recoloured from.
_RANK_APPROVED, _RANK_RECOLOURED = 3, 4


def join_shapes(services: Services, product: Product, rules: Rules) -> list[tuple[str, str, bool]]:
    """Record which shapes a product shares, in the open transaction; settle who makes them.

    Whatever is planned for the shapes until the transaction ends is planned here.

    Returns:
        The deliverables and the keys of the shapes that it left or joined, or that another product makes from
        now on; and whether the models of their other products are to be planned, or the joined models alone.
    """
    changed = []
    for deliverable in _shared(rules):
        name, key = deliverable.name, _key(services, product, deliverable)
        if not deliverable.is_for_category(product.category):
            key = ""
        left = services.shapes.join(name, product.sku, key)
        for each in sorted({left, key} - {""}):  # always in this order: two products may change places
            owner, before = settle_owner(services, name, each, rules, product.sku if each == key else "")
            if left != key or owner != before:
                changed.append((name, each, owner != before))
            if left not in ("", key):
                for joined in joined_from(name, rules):
                    withdraw_stale(services, owner, joined.name)
                    withdraw_stale(services, product.sku, joined.name)
    return changed


def settle_owner(
    services: Services, deliverable: str, key: str, rules: Rules, sku: str = ""
) -> tuple[str, str]:
    """Settle which product makes a shape, in the open transaction; return its SKU and the one before.

    The product that makes it stays as long as it is there and its model is approved. Before that, one that
    comes takes over if it can make a better one: a model of its own is better than photos, and a swatch makes
    none. When the product is gone, one with an approved model takes over, or else the one that can make the
    best. A joined model of the product that made it before is taken offline.

    Args:
        deliverable: the model deliverable.
        key: what the products share.
        rules: the rules in force.
        sku: a product that comes now, and may take over; empty: none does.
    """
    before = services.shapes.lock_owner(deliverable, key)
    members = services.shapes.members(deliverable, key)
    owner = before
    if before not in members:
        ranks = {member: _rank(services, deliverable, key, member) for member in members}
        owner = max(members, key=lambda member: ranks[member], default="")
        owner = owner if ranks.get(owner) else ""
    elif sku and not approved_shape(services, before, deliverable, key):
        rank = _rank(services, deliverable, key, sku, with_recoloured=False)
        owner = sku if rank > _rank(services, deliverable, key, before) else before
    if owner != before:
        services.shapes.set_owner(deliverable, key, owner)
        for joined in joined_from(deliverable, rules):
            withdraw_stale(services, before, joined.name)
    return owner, before


def _rank(services: Services, deliverable: str, key: str, sku: str, *, with_recoloured: bool = True) -> int:
    """Return how good a product's claim to a shape is; 0: it cannot make it.

    An approved recolouring has the shape that the others have. It counts only where the product that made the
    shape is gone: elsewhere that one was withdrawn for a reason.
    """
    version = approved_shape(services, sku, deliverable, key)
    is_recoloured = bool(version and version.provenance.get("generator") == RECOLOURED)
    if version and (with_recoloured or not is_recoloured):
        return _RANK_RECOLOURED if is_recoloured else _RANK_APPROVED
    record = services.products.get(sku)
    return claim_rank(record.product, record.sources) if record else 0


def withdraw_stale(services: Services, sku: str, deliverable: str) -> None:
    """Take a joined model offline that shows a colour which nobody approves any more, or of another shape."""
    version = approved_model(services, sku, deliverable) if sku else None
    if version and not _is_good(services, version):
        withdraw(services, version, by=JOINED, reason="one of its colours is no longer approved")


def restore_joined(services: Services, sku: str, deliverable: Deliverable) -> None:
    """Make a joined model live again that was taken offline for a colour which is back.

    Its input is that of the newest run, so that no run makes it again. One that a person withdrew stays so.
    """
    versions = [v for v in services.assets.of_product(sku) if v.asset.deliverable == deliverable.name]
    if not versions or versions[0].state is not VersionState.WITHDRAWN:  # the newest first
        return
    last = services.live_requests.last_of_asset(versions[0].asset.id)
    by_itself = last and last.by == JOINED and not last.goes_live and last.version_id == versions[0].id
    if by_itself and has_present_parts(services, versions[0], deliverable):
        rollback(services, versions[0], by=JOINED)


def _is_good(services: Services, joined: Version) -> bool:
    rules = services.rules.current().deliverable(joined.asset.deliverable)
    name, sku = rules.made_from if rules else "", joined.asset.sku
    key = services.shapes.key_of(name, sku)
    ids = str(joined.provenance.get(PART_VERSIONS, "")).split()
    parts = [services.assets.get(part) for part in ids]
    return services.shapes.owner(name, key) == sku and all(
        part
        and services.shapes.key_of(name, part.asset.sku) == key
        # A part that a newer version replaced was approved, too; the next joined model has the newer one.
        and (part.state in APPROVED_STATES or part.state is VersionState.SUPERSEDED)
        and approved_model(services, part.asset.sku, name)
        for part in parts
    )


def shapes_of(services: Services, product: Product, rules: Rules) -> Shapes:
    """Return the relation of a product's models to those of other products, by some rules."""
    shared, parts, made = {}, {}, set()
    for deliverable in _shared(rules):
        key = _key(services, product, deliverable)
        owner = services.shapes.owner(deliverable.name, key) if key else ""
        if owner and owner != product.sku:
            shape = approved_shape(services, owner, deliverable.name, key)
            glb = shape.file("glb") if shape else None
            shared[deliverable.name] = glb.sha256 if glb else None
        elif owner:
            found = colours_of(services, deliverable.name, key)
            if found and found[owner].provenance.get("generator") == RECOLOURED:
                made.add(deliverable.name)
            models = {sku: glb.sha256 for sku, v in found.items() if (glb := v.file("glb"))}
            for joined in joined_from(deliverable.name, rules):
                if len(models) > 1 or services.assets.current(product.sku, joined.name):
                    parts[joined.name] = models
    return Shapes(shared=shared, parts=parts, made=frozenset(made))


def shape_awaited(services: Services, product: Product, sources: Mapping[str, Sha256], rules: Rules) -> str:
    """Return what a product's model waits for, e.g. `the approval of the shape of CH1`; empty: nothing."""
    if product.model_url or BROUGHT_MODEL in sources:
        return ""
    for name, sha256 in shapes_of(services, product, rules).shared.items():
        if sha256 is None:
            owner = services.shapes.owner(name, services.shapes.key_of(name, product.sku))
            return f"the approval of the shape of {owner}"
    for deliverable in _shared(rules):
        key = services.shapes.key_of(deliverable.name, product.sku)
        if key and not services.shapes.owner(deliverable.name, key):
            return "a product of the same shape that has photos or a model"
    return ""


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


def approved_shape(services: Services, sku: str, deliverable: str, key: str) -> Version | None:
    """Return the newest approved or live model of a product that has a shape, or None.

    Its newest approved one may have another, e.g. since the product's size was corrected.
    """
    version = approved_model(services, sku, deliverable)
    return version if version and is_of_shape(version.provenance, key) else None


def colours_of(services: Services, deliverable: str, key: str) -> Mapping[str, Version]:
    """Return the approved models that have one approved shape, by SKU: the shape itself comes first.

    A product that was recoloured from an earlier version of the shape is left out until its recolouring from
    this one is approved.
    """
    owner = services.shapes.owner(deliverable, key)
    shape = approved_shape(services, owner, deliverable, key) if owner else None
    if shape is None or not shape.file("glb"):
        return {}
    found, shapes = {owner: shape}, _shape_sha256s(shape)
    for sku in services.shapes.members(deliverable, key):
        version = approved_model(services, sku, deliverable) if sku != owner else None
        if version and _shape_sha256s(version) & shapes:
            found[sku] = version
    return found


def _shape_sha256s(version: Version) -> set[str]:
    """Return the hashes of the GLBs with a version's shape: its own, and the one that it recolours."""
    glb = version.file("glb")
    return {glb.sha256 if glb else "", str(version.provenance.get(SHAPE_SHA256) or "")} - {""}


def parts_of_joined(services: Services, sku: str, deliverable: Deliverable) -> Mapping[str, Version]:
    """Return the approved models of which a product's joined model is to consist now, by SKU."""
    key = services.shapes.key_of(deliverable.made_from, sku)
    owner = services.shapes.owner(deliverable.made_from, key) if key else ""
    return colours_of(services, deliverable.made_from, key) if owner == sku else {}


def has_present_parts(services: Services, version: Version, deliverable: Deliverable) -> bool:
    """Return whether a joined model consists of the very versions of which it is to consist now."""
    parts = parts_of_joined(services, version.asset.sku, deliverable).values()
    return " ".join(part.id for part in parts) == version.provenance.get(PART_VERSIONS)


def joined_model(services: Services, product: Product, rules: Rules) -> tuple[str, list[str]]:
    """Return the SKU that has the joined model with a product's colour, and the names of its deliverables.

    The SKU is empty if there is none.
    """
    for deliverable in _shared(rules):
        key = services.shapes.key_of(deliverable.name, product.sku)
        owner = services.shapes.owner(deliverable.name, key) if key else ""
        if owner and (joined := [d.name for d in joined_from(deliverable.name, rules)]):
            return owner, joined
    return "", []


def _shared(rules: Rules) -> Iterator[Deliverable]:
    return (d for d in rules.deliverables if d.colours is not None)


def joined_from(name: str, rules: Rules) -> Iterator[Deliverable]:
    """Yield the deliverables that join the colours of a model deliverable."""
    return (d for d in rules.deliverables if d.is_joined and d.made_from == name)


def _key(services: Services, product: Product, deliverable: Deliverable) -> str:
    assert deliverable.colours is not None
    return shape_key(product, deliverable.colours, connection_of(services, product))


def connection_of(services: Services, product: Product) -> str:
    """Return the PIM of a product's record; empty for products that people add."""
    record = services.products.get(product.sku)
    return record.connection if record else ""
