"""Completeness: which required fields a product lacks, and which of its facts cannot be true."""

from collections.abc import Iterator

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.product import Product, View, is_safe_sku
from dam_connector.domain.rules import ProductRules

MAX_PLAUSIBLE_M = 100.0  # larger than any shop's product: a shed is 10 m; ten times that is a wrong unit
MIN_PLAUSIBLE_M = 0.0005  # half a millimetre: paper


def product_issues(product: Product, rules: ProductRules) -> Iterator[Issue]:
    """What a person must mend in the product's record before anything can be made."""
    if not is_safe_sku(product.sku):
        yield issue(
            "product.sku_unsafe",
            f"The SKU {product.sku!r} cannot be used in names.",
            pointer="/sku",
            measured=product.sku,
        )
    for field in rules.required_for(product.category):
        if not has_field(product, field):
            yield issue(
                "product.field_missing",
                f"The field {field} is missing.",
                pointer="/" + field.replace(".", "/"),
            )
    for axis in ("width_m", "height_m", "depth_m"):
        value = getattr(product.dimensions, axis)
        if value is not None and not MIN_PLAUSIBLE_M <= value <= MAX_PLAUSIBLE_M:
            yield issue(
                "product.dimensions_implausible",
                f"{axis.removesuffix('_m')} is {value:g} m.",
                pointer=f"/dimensions/{axis}",
                measured=f"{value:g} m",
                limit=f"{MIN_PLAUSIBLE_M:g} to {MAX_PLAUSIBLE_M:g} m",
            )


def has_field(product: Product, field: str) -> bool:
    """Whether a product has a field as plugin.json names it: `name`, `dimensions`, `images.front`, `attributes.ean`.

    `images.any` asks for a picture of any view but detail.
    """
    head, _, tail = field.partition(".")
    if head == "images":
        wanted = [v for v in View if v is not View.DETAIL] if tail in ("", "any") else [View(tail)]
        return product.image(*wanted) is not None
    if head == "dimensions":
        return (
            product.dimensions.complete if not tail else getattr(product.dimensions, f"{tail}_m") is not None
        )
    if head == "attributes":
        return bool(product.attributes.get(tail))
    return bool(getattr(product, head))
