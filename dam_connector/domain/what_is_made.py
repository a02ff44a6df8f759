"""What the rules make of a product, before its pictures are fetched; and why they make nothing."""

from collections.abc import Collection
from difflib import get_close_matches

from dam_connector.domain.categories import category_key
from dam_connector.domain.ids import Sha256
from dam_connector.domain.planning import makeable_deliverables
from dam_connector.domain.product import SWATCH, Product
from dam_connector.domain.row_request import request_type_of
from dam_connector.domain.rules import PHOTO, Deliverable, Rules
from dam_connector.domain.run import RunKind
from dam_connector.domain.shapes import Shapes, claim_rank, shape_key

_NOT_FETCHED = Sha256("")
_NOT_APPROVED_YET = Sha256("approved later")  # the shape of another product
MAX_NAMED = 6  # categories in a message


def expected_deliverables(
    product: Product, pictures: Collection[str], rules: Rules, models: Collection[str] = ()
) -> list[Deliverable]:
    """Return the deliverables that will be made of a product if all its pictures can be fetched.

    Args:
        product: The product.
        pictures: The keys of its pictures and of its model, as `planned_runs` takes them.
        rules: The rules in force.
        models: Model deliverables that it has already.

    Returns:
        The deliverables as its request changes them; those that are rendered from a model that will be made
        are among them, and models that are recoloured when the shape of another product is approved.
    """
    sources = dict.fromkeys(pictures, _NOT_FETCHED)
    shared = {
        d.name: _NOT_APPROVED_YET
        for d in rules.deliverables
        if d.colours and shape_key(product, d.colours) and not claim_rank(product, sources)
    }
    shapes = Shapes(shared=shared)
    of_photos = [d for d, _ in makeable_deliverables(product, sources, {}, rules, shapes)]
    named = {*models, *(d.name for d in of_photos if d.kind is RunKind.MODEL)}
    found = dict.fromkeys(named, _NOT_FETCHED)
    return [deliverable for deliverable, _ in makeable_deliverables(product, sources, found, rules, shapes)]


def why_nothing(product: Product, pictures: Collection[str], rules: Rules) -> str:
    """Return why nothing is made of a product, e.g. `makes nothing: no rule for category lamps`.

    Only for a product that has no `expected_deliverables`; the arguments are theirs.
    """
    of_category = [d for d in rules.deliverables if d.is_for_category(product.category)]
    category = f"category {product.category}" if product.category else "products without a category"
    if not of_category:
        return f"makes nothing: no rule for {category}{_known_categories(product.category, rules)}"
    types = product.request.types
    asked = [d for d in of_category if not types or request_type_of(d) in types]
    if not asked:
        return f"makes nothing: it asks for {' and '.join(types)}, and no rule makes that for {category}"
    wanted = sorted({"a photo" if d.made_from == PHOTO else f"the model {d.made_from}" for d in asked})
    has = ", ".join(sorted({*pictures, *([SWATCH] if product.swatch else [])})) or "no picture"
    return f"makes nothing: the rules for {category} need {' or '.join(wanted)}; the product has {has}"


def _known_categories(category: str, rules: Rules) -> str:
    named = {category_key(c): c for d in rules.deliverables for c in d.categories}
    if near := get_close_matches(category_key(category), named, n=1):
        return f'; did you mean "{named[near[0]]}"?'
    shown = ", ".join(list(named.values())[:MAX_NAMED])
    return f"; the rules are for {shown}{' and others' if len(named) > MAX_NAMED else ''}"
