"""File names and folders of versions, made by the patterns of the rules."""

from dam_connector.domain import name_pattern_syntax
from dam_connector.domain.product import Product
from dam_connector.domain.rules import PHOTO, Deliverable, Rules
from dam_connector.domain.trade_codes import gtin, view_code
from dam_connector.domain.version import Role, VersionFile

WEB_GLB = "web"  # format of a version's second GLB, compressed for the web
LODS = ("lod1", "lod2")  # levels of detail, each with a quarter of the triangles of the one before
VIDEO = "mp4"  # format of a turntable as a video
GLB_FORMATS = ("glb", WEB_GLB, *LODS)
EXTENSIONS = {"jpeg": "jpg", **dict.fromkeys(GLB_FORMATS, "glb")}  # where it is not the format's name


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
        pattern_values(format, product, deliverable, slot, number, rules),
    )


def expected_fields(
    format: str, product: Product, deliverable: Deliverable, slot: int, number: int, rules: Rules
) -> dict[str, str]:
    """Return the fields that must be found when the name from `file_stem` is parsed."""
    return name_pattern_syntax.canonical_fields(
        rules.naming.pattern_for(deliverable.name),
        pattern_values(format, product, deliverable, slot, number, rules),
    )


def file_suffix(file: VersionFile) -> str:
    """Return the text that follows the stem and tells a version's files of one format apart.

    It is the view of a preview (`_preview_hero`), the number of a spin frame, or the kind of GLB (`_web`),
    with its channel (`_web_shop`).
    """
    if file.role in (Role.PREVIEW, Role.EVIDENCE):
        return f"_{file.role.value}_{file.view.replace(',', '-')}"
    if file.format in (WEB_GLB, *LODS):
        return f"_{file.format}_{file.view}" if file.view else f"_{file.format}"
    return f"_{file.view}" if file.view else ""


def pattern_values(
    format: str, product: Product, deliverable: Deliverable, slot: int, number: int, rules: Rules
) -> dict[str, str | int]:
    """Return the value of each field of a pattern, for a file as `file_stem` takes it."""
    view = shown_view(deliverable)
    return {
        **product_values(product),
        "version": number,
        "format": "glb" if format in GLB_FORMATS else format,
        "deliverable": deliverable.name,
        "slot": slot,
        "view": view,
        "view_code": view_code(deliverable.name, view, rules.naming.codes),
    }


def shown_view(deliverable: Deliverable) -> str:
    """Return the view or camera angle that a deliverable shows, e.g. `front` or `35-18`."""
    if deliverable.made_from == PHOTO:
        return (deliverable.views or ("front",))[0]
    return deliverable.camera.replace(",", "-")


def product_values(product: Product) -> dict[str, str | int]:
    """Return the values of a product for patterns of names, folders and metadata."""
    return {
        "sku": product.sku,
        "name": product.name,
        "category": product.category,
        "color": product.color,
        "brand": product.brand,
        "gtin": gtin(product),
        **{f"{name_pattern_syntax.ATTRIBUTE}{name}": value for name, value in product.attributes.items()},
    }


def product_folder(product: Product, rules: Rules) -> str:
    """Return the folder of a product's files, e.g. `chairs/CH123`."""
    values = {**product_values(product), "category": product.category or "uncategorized"}
    return name_pattern_syntax.build_folder(rules.naming.folder, values)
