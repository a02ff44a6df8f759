"""Sizes of products that are probably of another unit than was meant."""

from dam_connector.domain.product import Product
from dam_connector.domain.usual_products import usual_product

AXES = ("width", "height", "depth")
FAR = 8.0  # from the usual size: units differ by 10 and more, products of one kind seldom by 8
PLAUSIBLE_M = (0.003, 15.0)  # of the longest side of products of no known kind


def doubtful_size(product: Product) -> tuple[str, str]:
    """Return the axis of a product's longest side and why it is doubted; empty texts if it is not.

    An example of the reason: `3 mm; such products usually have about 22 cm`.
    """
    sides = {axis: side for axis in AXES if (side := getattr(product.dimensions, f"{axis}_m"))}
    if not sides:
        return "", ""
    axis = max(sides, key=lambda each: sides[each])
    usual = usual_product(product.name, product.category)
    low, high = (usual.longest_m / FAR, usual.longest_m * FAR) if usual else PLAUSIBLE_M
    if low <= sides[axis] <= high:
        return "", ""
    expected = (
        f"such products usually have about {length_text(usual.longest_m)}" if usual else "hardly any has"
    )
    return axis, f"{length_text(sides[axis])}; {expected}"


def length_text(metres: float) -> str:
    """Return a length for people, e.g. `3 mm`, `22 cm` or `1.4 m`."""
    for unit, factor, below in (("mm", 1000, 0.01), ("cm", 100, 1.0)):
        if metres < below:
            return f"{metres * factor:.3g} {unit}"
    return f"{metres:.3g} m"
