"""Texts about assets: titles, alt texts, one-line reports, and the metadata that DAMs keep with the files."""

from dam_connector.domain.product import Product
from dam_connector.domain.version import Version

# A product of a brand, and a picture in a room, by language.
_BY_BRAND = {
    "de": "{} von {}",
    "es": "{} de {}",
    "fr": "{} de {}",
    "it": "{} di {}",
    "nl": "{} van {}",
    "pl": "{} marki {}",
}
_IN_A_ROOM = {
    "de": "in einem Raum",
    "es": "en una habitación",
    "fr": "dans une pièce",
    "it": "in una stanza",
    "ja": "室内",
    "nl": "in een kamer",
    "pl": "w pokoju",
    "zh": "室内",
}
_BRAND_FIRST = ("ja", "zh")


def alt_text(product: Product, view: str = "", *, style: str = "studio", locale: str = "") -> str:
    """Return the alt text of a picture, e.g. `Falun chair by Nord, teal, oak, front view`.

    Args:
        product: The product that the picture shows, with its texts in the locale.
        view: The view of the picture, e.g. "front"; "hero" and angles such as "35,18" are not mentioned.
        style: "studio" or "lifestyle".
        locale: Language of our own words; empty: English.
    """
    name, language = product.name or product.sku, locale.partition("-")[0]
    if language in _BRAND_FIRST:
        named = f"{product.brand} {name}".strip()
    else:
        by_brand = _BY_BRAND.get(language, "{} by {}")
        named = by_brand.format(name, product.brand) if product.brand else name
    facts = [f for f in (product.color, product.material) if f and f.lower() not in named.lower()]
    named_views = {"detail": "detail", "hero": ""}
    seen = named_views.get(view, f"{view} view" if view.isalpha() else "")
    room = _IN_A_ROOM.get(language, "in a room")
    return ", ".join(filter(None, [named, *facts, seen, room if style == "lifestyle" else ""]))


def version_title(version: Version, product: Product) -> str:
    """Return the title of a version for people, e.g. `CH123 packshot V2`."""
    slot = f" {version.asset.slot}" if version.asset.slot > 1 else ""
    return f"{product.sku} {version.asset.deliverable}{slot} V{version.number}"


def version_metadata(version: Version, product: Product) -> dict[str, str]:
    """Return metadata of a version by name: the product, how it was made, and what the checks found.

    Empty values are left out.
    """
    made = version.provenance
    facts = {
        "sku": product.sku,
        "name": product.name,
        "category": product.category,
        "deliverable": version.asset.deliverable,
        "slot": str(version.asset.slot),
        "version": str(version.number),
        "generator": str(made.get("generator", "")),
        "made_with": str(made.get("model_actual", "")),
        "prompt": str(made.get("prompt", "")),
        "report": report_summary(version),
    }
    return {name: value for name, value in facts.items() if value}


def report_summary(version: Version) -> str:
    """Return the report in one line, e.g. `2 findings: geometry.origin, likeness.colour`."""
    found = [i for i in version.report.issues if i.severity.value != "info"]
    if not found:
        return "no findings"
    codes = list(dict.fromkeys(i.code for i in found))
    more = " ..." if len(codes) > 5 else ""
    return f"{len(found)} finding{'s' if len(found) > 1 else ''}: {', '.join(codes[:5])}{more}"
