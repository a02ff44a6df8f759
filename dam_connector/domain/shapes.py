"""Shapes: products of other colours share one approved shape, and each is only recoloured."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from dam_connector.domain.brought_model import BROUGHT_MODEL
from dam_connector.domain.ids import Sha256
from dam_connector.domain.product import SWATCH, Product, capture_of_key, is_colour_code, named_photos
from dam_connector.domain.rules import RECOLOURED, ColourRules, Deliverable

SHAPE = "shape"  # the key of the shared GLB among the inputs of a recolouring
# in provenance of a recoloured model
SHAPE_VERSION, SHAPE_SHA256 = "shape_version", "shape_sha256"
# in provenance of each model whose shape can be shared: what its product shared when it was made
SHAPE_MARK = "shape_key"
# in provenance of a joined model: the ids of the versions that it is made of, with blanks between them
PART_VERSIONS = "part_versions"
PART_COLOURS = "part_colours"  # and the names of its colours by SKU, as JSON
_ATTRIBUTES = "attributes."
MAX_KEY = 400  # characters of what products share


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """What a product's models have to do with those of other products."""

    # The approved GLB to recolour, by model deliverable; None: it is not approved yet. A deliverable whose
    # shape the product makes itself is not there.
    shared: Mapping[str, Sha256 | None] = field(default_factory=dict)
    # The GLBs of all approved colours by SKU, by joined deliverable.
    parts: Mapping[str, Mapping[str, Sha256]] = field(default_factory=dict)
    # Model deliverables of which the product has the shape already: an approved recolouring that took over.
    made: frozenset[str] = frozenset()


OF_ITS_OWN = Shapes()  # a product that shares nothing


def shape_key(product: Product, rules: ColourRules, connection: str = "") -> str:
    """Return what a product shares with those of other colours; empty: it shares its shape with none.

    Products of other sizes have other shapes, and so have those of other PIMs, whose parents may have the
    same numbers by chance.

    Args:
        product: the product.
        rules: of the model deliverable.
        connection: the PIM of the product's record; empty for products that people add.
    """
    mark = shape_mark(product, rules, connection)
    return mark if not mark.startswith(" ") else ""


def shape_mark(product: Product, rules: ColourRules, connection: str) -> str:
    """Return what a product shares, with its PIM, and its size in millimetres: `pim:CHAIR 500x600x500`.

    It begins with the blank where the product shares its shape with none.
    """
    if rules.by.startswith(_ATTRIBUTES):
        shared = str(product.attributes.get(rules.by.removeprefix(_ATTRIBUTES), "")).strip()
    else:
        shared = product.parent.strip()
    d = product.dimensions
    size = "x".join("-" if m is None else str(round(m * 1000)) for m in (d.width_m, d.height_m, d.depth_m))
    if len(shared) > MAX_KEY:
        shared = f"{shared[: MAX_KEY - 65]} {hashlib.sha256(shared.encode()).hexdigest()}"
    return f"{f'{connection}:{shared}' if connection and shared else shared} {size}"


def is_of_shape(provenance: Mapping[str, object], key: str) -> bool:
    """Return whether a model has a shape, by its provenance.

    A recolouring has the shape that it was made from. Any other model has that of its product as long as the
    size is the same, also under another parent. Models without a mark, e.g. of earlier releases, have it.
    """
    mark = str(provenance.get(SHAPE_MARK) or key)
    same_size = mark.rpartition(" ")[2] == key.rpartition(" ")[2]
    return mark == key or (same_size and provenance.get("generator") != RECOLOURED)


def claim_rank(product: Product, sources: Mapping[str, Sha256]) -> int:
    """Return how well a product can make a shape: 2 with a model of its own, 1 with photos, else 0."""
    if product.model_url or BROUGHT_MODEL in sources:
        return 2 if BROUGHT_MODEL in sources else 0
    return 1 if named_photos(sources) or any(map(capture_of_key, sources)) else 0


def colour_name(product: Product) -> str:
    """Return the name of a product's colour for people who choose one."""
    return product.color.strip() or product.sku


def part_colour(provenance: Mapping[str, object], sku: str) -> str:
    """Return the name of a product's colour in a joined model, by its provenance; empty: it is not there."""
    return str(json.loads(str(provenance.get(PART_COLOURS) or "{}")).get(sku, ""))


def colour_inputs(
    product: Product, deliverable: Deliverable, sources: Mapping[str, Sha256], photos: Mapping[str, Sha256]
) -> dict[str, Sha256]:
    """Return the pictures that tell a product's colour, by the order of the rules; empty if there is none.

    A swatch that is a code is no picture: it gives the entry `swatch` without a hash.

    Args:
        product: The product.
        deliverable: The model deliverable, with rules for colours.
        sources: The stored pictures by their keys.
        photos: Those of them that are photos, by view.
    """
    assert deliverable.colours is not None
    for source in deliverable.colours.made_from:
        if source == "photo" and photos:
            return dict(photos)
        if source == SWATCH and is_colour_code(product.swatch):
            return {SWATCH: Sha256("")}
        if source == SWATCH and SWATCH in sources:
            return {SWATCH: sources[SWATCH]}
    return {}
