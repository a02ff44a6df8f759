"""The text of `connection try`: products that a message results in."""

from collections.abc import Iterator
from typing import Any

from dam_connector.usecases.connections import TriedProduct
from schemas.product import AXES_BY_FIELD, TEXT_FIELDS, dump_product

_MORE_TEXTS = ("inspiration_image", "model_url", "parent", "swatch")


def tried_json(tried: TriedProduct) -> dict[str, Any]:
    """Return a tried product as JSON values."""
    return {
        "event": tried.kind,
        "ref": tried.ref,
        "at": tried.at.isoformat(),
        "product": dump_product(tried.product) if tried.product else None,
        "problem": tried.problem,
        "left_out": list(tried.left_out),
        "issues": [
            {"code": i.code, "severity": i.severity.value, "message": i.message} for i in tried.issues
        ],
    }


def tried_lines(tried: TriedProduct) -> Iterator[str]:
    """Yield the lines that show a tried product: every field, also those without a value."""
    yield f"{tried.kind} {tried.ref or '(no SKU)'}, changed {tried.at:%Y-%m-%d %H:%M:%S} UTC"
    product = tried.product
    if product:
        values: list[tuple[str, str]] = [(name, getattr(product, name)) for name in TEXT_FIELDS]
        for axis, field in AXES_BY_FIELD.items():
            metres = getattr(product.dimensions, field)
            values.append((axis, "" if metres is None else f"{metres:g} m"))
        values += [(f"images.{image.view.value}", image.url) for image in product.images]
        values += [("images", "")] if not product.images else []
        for name in ("spin_images", "walk_images"):
            values += [(f"{name}.{number}", url) for number, url in enumerate(getattr(product, name), 1)]
        values += [(name, getattr(product, name)) for name in _MORE_TEXTS if getattr(product, name)]
        values += [
            (f"{name}@{locale}", text)
            for locale, texts in product.translations.items()
            for name, text in texts.items()
        ]
        values += [(f"attributes.{name}", value) for name, value in product.attributes.items()]
        for name in ("live_from", "live_until"):
            moment = getattr(product, name)
            values += [(name, moment.isoformat())] if moment else []
        for name, value in values:
            yield (
                f"  {name:<22} {value if len(value) <= 100 else value[:99] + '…'}"
                if value
                else f"  {name:<22} -"
            )
    yield from (f"  not used: {line}" for line in tried.left_out)
    if tried.problem:
        yield f"  cannot be taken in: {tried.problem}"
    for issue in tried.issues:
        yield f"  {issue.severity.value}: {issue.message}"
