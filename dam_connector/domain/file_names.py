"""File names and folders of versions, by the rules' patterns."""

from dam_connector.domain import naming
from dam_connector.domain.product import Product
from dam_connector.domain.rules import PHOTO, Deliverable, Rules
from dam_connector.domain.version import Role, VersionFile

WEB = "web"  # a second GLB of a version
LODS = ("lod1", "lod2")  # further ones, each with a quarter of the triangles of the one before
GLBS = ("glb", WEB, *LODS)


def file_stem(
    format: str, product: Product, deliverable: Deliverable, slot: int, number: int, rules: Rules
) -> str:
    """The name that the rules give a version's file, without its extension."""
    return naming.build(
        rules.naming.pattern_for(deliverable.name), _values(format, product, deliverable, slot, number)
    )


def expected_fields(
    format: str, product: Product, deliverable: Deliverable, slot: int, number: int, rules: Rules
) -> dict[str, str]:
    """What reading that name back must give."""
    return naming.canonical(
        rules.naming.pattern_for(deliverable.name), _values(format, product, deliverable, slot, number)
    )


def suffix_of(file: VersionFile) -> str:
    """What follows the name that the rules give: the view of a preview, the number of a picture in a turn, which GLB it is."""
    if file.role in (Role.PREVIEW, Role.EVIDENCE):
        return f"_{file.role.value}_{file.view.replace(',', '-')}"
    if file.format in (WEB, *LODS):
        return f"_{file.format}"
    return f"_{file.view}" if file.view else ""


def _values(
    format: str, product: Product, deliverable: Deliverable, slot: int, number: int
) -> dict[str, str | int]:
    return {
        "sku": product.sku,
        "name": product.name,
        "version": number,
        "format": "glb" if format in GLBS else format,
        "deliverable": deliverable.name,
        "slot": slot,
        "view": (deliverable.views or ("front",))[0]
        if deliverable.made_from == PHOTO
        else deliverable.camera.replace(",", "-"),
        "category": product.category,
        "color": product.color,
    }


def product_folder(product: Product, rules: Rules) -> str:
    """The folder that the rules give a product's files."""
    return naming.folder(
        rules.naming.folder,
        {
            "sku": product.sku,
            "name": product.name,
            "category": product.category or "uncategorized",
            "color": product.color,
        },
    )
