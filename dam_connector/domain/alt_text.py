"""Alt text: what a picture of a product shows, in words, for those who do not see it."""

from dam_connector.domain.product import Product


def alt_text(product: Product, view: str = "", *, style: str = "studio") -> str:
    """One line from the product's facts, such as `Falun chair by Nord, teal, oak, front view`."""
    named = (
        f"{product.name or product.sku} by {product.brand}" if product.brand else product.name or product.sku
    )
    known = named.lower()
    facts = [fact for fact in (product.color, product.material) if fact and fact.lower() not in known]
    seen = (
        f"{view} view"
        if view.isalpha() and view not in ("hero", "detail")
        else "detail"
        if view == "detail"
        else ""
    )
    return ", ".join(filter(None, [named, *facts, seen, "in a room" if style == "lifestyle" else ""]))
