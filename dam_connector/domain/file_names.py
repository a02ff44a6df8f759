"""File names and folders of versions, made by the patterns of the rules."""

from dam_connector.domain import name_pattern_syntax
from dam_connector.domain.product import Product
from dam_connector.domain.rules import PHOTO, Deliverable, Rules
from dam_connector.domain.version import Role, VersionFile

WEB_GLB = "web"  # format of a version's second GLB, compressed for the web
LODS = ("lod1", "lod2")  # levels of detail, each with a quarter of the triangles of the one before
GLB_FORMATS = ("glb", WEB_GLB, *LODS)


def file_stem(
    format: str, product: Product, deliverable: Deliverable, slot: int, number: int, rules: Rules
) -> str:
    """Return the name of a version's file without its extension, e.g. `CH123_Chair_V2_GLB`.

    Args:
        format: The file's format, e.g. "glb" or "jpeg".
        product: The product that the file shows.
        deliverable: What was made for it.
        slot: Which slot of the deliverable, from 1 on.
        number: The version's number.
        rules: The rules with the naming patterns.
    """
    return name_pattern_syntax.build_name(
        rules.naming.pattern_for(deliverable.name),
        _pattern_values(format, product, deliverable, slot, number),
    )


def expected_fields(
    format: str, product: Product, deliverable: Deliverable, slot: int, number: int, rules: Rules
) -> dict[str, str]:
    """Return the fields that must be found when the name from `file_stem` is parsed."""
    return name_pattern_syntax.canonical_fields(
        rules.naming.pattern_for(deliverable.name),
        _pattern_values(format, product, deliverable, slot, number),
    )


def file_suffix(file: VersionFile) -> str:
    """Return the text that follows the stem and tells a version's files of one format apart.

    It is the view of a preview (`_preview_hero`), the number of a spin frame, or the kind of GLB (`_web`).
    """
    if file.role in (Role.PREVIEW, Role.EVIDENCE):
        return f"_{file.role.value}_{file.view.replace(',', '-')}"
    if file.format in (WEB_GLB, *LODS):
        return f"_{file.format}"
    return f"_{file.view}" if file.view else ""


def _pattern_values(
    format: str, product: Product, deliverable: Deliverable, slot: int, number: int
) -> dict[str, str | int]:
    from_photo = deliverable.made_from == PHOTO
    return {
        "sku": product.sku,
        "name": product.name,
        "version": number,
        "format": "glb" if format in GLB_FORMATS else format,
        "deliverable": deliverable.name,
        "slot": slot,
        "view": (deliverable.views or ("front",))[0] if from_photo else deliverable.camera.replace(",", "-"),
        "category": product.category,
        "color": product.color,
    }


def product_folder(product: Product, rules: Rules) -> str:
    """Return the folder of a product's files, e.g. `chairs/CH123`."""
    return name_pattern_syntax.build_folder(
        rules.naming.folder,
        {
            "sku": product.sku,
            "name": product.name,
            "category": product.category or "uncategorized",
            "color": product.color,
        },
    )
