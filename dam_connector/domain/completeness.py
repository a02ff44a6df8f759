"""Completeness of products: required fields that are missing, and values that cannot be true."""

from collections.abc import Iterator

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.product import Product, View
from dam_connector.domain.rules import ProductRules
from dam_connector.domain.sku_tokens import sku_problem
from dam_connector.domain.trade_codes import wrong_gtin

MAX_PLAUSIBLE_M = 100.0  # a shed is 10 m; ten times that is a wrong unit
AXES = ("width", "height", "depth")
MIN_PLAUSIBLE_M = 0.0005  # half a millimetre: paper


def _demanded_by(field: str, category: str, rules: ProductRules) -> str:
    """Return what demands a field, if it is the product's category; else an empty text."""
    return "" if field in rules.required else f", which the rules demand for the category {category}"


def _missing_field(product: Product, field: str, demanded_by: str) -> Issue:
    """Return the issue of a field without a value; of the dimensions, it names the axes that are missing."""
    head, _, tail = field.partition(".")
    axes = [a for a in AXES if getattr(product.dimensions, f"{a}_m") is None] if head == "dimensions" else []
    if tail:
        axes = axes and [tail]
    if len(axes) == len(AXES):
        text = "The size is missing (width, height and depth)"
    elif axes:
        text = f"The {' and '.join(axes)} {'is' if len(axes) == 1 else 'are'} missing"
    elif head == "images":
        text = f"A photo{f' of the {tail}' if tail not in ('', 'any') else ''} is missing"
    else:
        text = f"The {f'attribute {tail}' if tail else head.replace('_', ' ')} is missing"
    place = "/".join(["dimensions", *axes]) if len(axes) == 1 else field.replace(".", "/")
    return issue("product.field_missing", f"{text}{demanded_by}.", pointer=f"/{place}")


def product_issues(product: Product, rules: ProductRules) -> Iterator[Issue]:
    """Yield the issues that a person must correct in the product's record before assets are made."""
    if problem := sku_problem(product.sku):
        yield issue(
            "product.sku_unsafe",
            f"The SKU {product.sku!r} cannot be used in names: {problem}.",
            pointer="/sku",
            measured=product.sku,
        )
    for field in rules.required_for(product.category):
        if not has_field(product, field):
            yield _missing_field(product, field, _demanded_by(field, product.category, rules))
    if product.live_from and product.live_until and product.live_until <= product.live_from:
        yield issue(
            "product.never_live",
            f"It may be live from {product.live_from:%Y-%m-%d %H:%M} UTC and until "
            f"{product.live_until:%Y-%m-%d %H:%M} UTC, so that it never goes live.",
            pointer="/live_until",
        )
    attribute, wrong = wrong_gtin(product)
    if attribute:
        yield issue(
            "product.gtin_wrong",
            f"{attribute} is no GTIN, EAN or UPC: {wrong[:40]!r}.",
            pointer=f"/attributes/{attribute}",
            measured=wrong[:40],
            limit="8, 12, 13 or 14 digits, of which the last one is right for the others",
        )
    for axis in [f"{a}_m" for a in AXES]:
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
    """Return True if a product has a value for a field.

    Args:
        product: The product.
        field: The field as plugin.json names it, e.g. `name`, `dimensions`, `dimensions.width`,
            `images.front`, `attributes.ean`. `images.any` means a photo of any view except detail,
            or a model that the product brings along, or a swatch.
    """
    head, _, tail = field.partition(".")
    if head == "images":
        views = [v for v in View if v is not View.DETAIL] if tail in ("", "any") else [View(tail)]
        is_any = tail in ("", "any")
        has_front = product.has_capture and View.FRONT in views
        return (
            has_front
            or product.image(*views) is not None
            or (is_any and bool(product.model_url or product.swatch))
        )
    if head == "dimensions":
        return (
            product.dimensions.complete if not tail else getattr(product.dimensions, f"{tail}_m") is not None
        )
    if head == "attributes":
        return bool(product.attributes.get(tail))
    return bool(getattr(product, head))
