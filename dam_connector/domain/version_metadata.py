"""About a version: what a DAM keeps beside its files, in words."""

from dam_connector.domain.product import Product
from dam_connector.domain.version import Version


def about(version: Version, product: Product) -> dict[str, str]:
    """What there is to know about a version, by name: the product, who made it from what, what the checks found."""
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
        "report": summary(version),
    }
    return {name: value for name, value in facts.items() if value}


def summary(version: Version) -> str:
    """The report in one line."""
    found = [i for i in version.report.issues if i.severity.value != "info"]
    if not found:
        return "no findings"
    codes = list(dict.fromkeys(i.code for i in found))
    return f"{len(found)} finding{'s' if len(found) > 1 else ''}: {', '.join(codes[:5])}" + (
        " ..." if len(codes) > 5 else ""
    )


def title(version: Version, product: Product) -> str:
    """What a version is called where people see it."""
    slot = f" {version.asset.slot}" if version.asset.slot > 1 else ""
    return f"{product.sku} {version.asset.deliverable}{slot} V{version.number}"
