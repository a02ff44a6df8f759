"""Identifiers and codes of the trade: GTINs, and the codes of views in the names of GS1 and of Amazon."""

import re
from collections.abc import Mapping

from dam_connector.domain.product import Product

GTIN_ATTRIBUTES = ("gtin", "gtin14", "gtin13", "ean", "ean13", "upc", "gtin12", "gtin8", "ean8", "barcode")
# GS1 Product Image Specification Standard, release 4.4 (April 2024): image type A (product image), facing
# (1 front, 2 left, 3 top, 7 back, 8 right, 9 bottom, 0 not applicable), angle (C centre, R right),
# state (0 out of packaging)
GS1_CODES = {
    "front": "A1C0",
    "left": "A2C0",
    "top": "A3C0",
    "back": "A7C0",
    "right": "A8C0",
    "bottom": "A9C0",
    "hero": "A1R0",
    "detail": "A0C0",
}
ANY_ANGLE = "A0C0"  # of a camera angle that has no name
# Amazon, "Name your image files": an identifier, a code of four characters and the extension, with dots
AMAZON_MAIN = "MAIN"
AMAZON_PARTS = tuple(f"PT{number:02}" for number in range(1, 100))


def gtin(product: Product) -> str:
    """Return a product's GTIN, EAN or UPC from its attributes, as digits; empty without a valid one."""
    attributes = {re.sub(r"[^a-z0-9]", "", name.lower()): value for name, value in product.attributes.items()}
    for name in GTIN_ATTRIBUTES:
        digits = re.sub(r"[\s-]", "", attributes.get(name, ""))
        if is_gtin(digits):
            return digits
    return ""


def wrong_gtin(product: Product) -> tuple[str, str]:
    """Return the attribute that holds a GTIN which is none, and its value; empty if there is a right one."""
    if gtin(product):
        return "", ""
    for name, value in product.attributes.items():
        if re.sub(r"[^a-z0-9]", "", name.lower()) in GTIN_ATTRIBUTES and value.strip():
            return name, value.strip()
    return "", ""


def is_gtin(text: str) -> bool:
    """Return True if a text is a GTIN-8, -12, -13 or -14 with the right check digit."""
    if not (text.isascii() and text.isdigit() and len(text) in (8, 12, 13, 14)):
        return False
    weights = (3, 1) * 7
    total = sum(int(digit) * weight for digit, weight in zip(reversed(text[:-1]), weights, strict=False))
    return (10 - total % 10) % 10 == int(text[-1])


def view_code(deliverable: str, view: str, codes: Mapping[str, str]) -> str:
    """Return the code of a picture's view: the admin's for its deliverable or view, else that of GS1.

    Args:
        deliverable: the deliverable's name.
        view: the view or camera angle that it shows.
        codes: `naming.codes` of plugin.json.
    """
    return codes.get(deliverable) or codes.get(view) or GS1_CODES.get(view, ANY_ANGLE)


def amazon_id(product: Product) -> str:
    """Return the identifier that Amazon's names begin with: the ASIN, else the GTIN; empty without one."""
    asin = next((v for name, v in product.attributes.items() if name.lower() == "asin"), "").strip()
    return asin.upper() if re.fullmatch(r"[A-Za-z0-9]{10}", asin) else gtin(product)
