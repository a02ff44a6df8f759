"""SKUs in file names and folders: each SKU has one token that is safe on every disk, and can be read back."""

import hashlib
import re

MAX_SKU_LENGTH = 64
MAX_TOKEN_LENGTH = 100  # a file name has 200 bytes for the SKU, the product's name and the rest
_SAFE_SKU = re.compile(rf"[A-Za-z0-9](?:[A-Za-z0-9._+-]{{0,{MAX_SKU_LENGTH - 2}}}[A-Za-z0-9+])?")
_SAFE_CHARACTER = re.compile(r"[A-Za-z0-9._+-]")
_ESCAPE = re.compile(r"~([0-9A-F]{2})")


def is_safe_sku(sku: str) -> bool:
    """Return True if a SKU can be used unchanged in URLs and file names and cannot leave its folder."""
    return bool(_SAFE_SKU.fullmatch(sku)) and ".." not in sku


def sku_problem(sku: str) -> str:
    """Return why a SKU cannot be used at all; empty if it can."""
    if not sku:
        return "it is empty"
    if any(not c.isprintable() for c in sku) or sku != sku.strip():
        return "it has a control character, or blanks at its ends"
    if sku.startswith((".", "/", "\\")) or ".." in sku:
        return "it begins with a dot or a slash, or has two dots in a row"
    if len(sku) > MAX_SKU_LENGTH or len(sku_token(sku)) > MAX_TOKEN_LENGTH:
        return (
            f"it is longer than {MAX_SKU_LENGTH} characters, or {MAX_TOKEN_LENGTH} as it is written in names"
        )
    return ""


def sku_token(sku: str) -> str:
    """Return a SKU as file names have it: a safe one unchanged, e.g. `A/1 ü` as `A~2F1~20~C3~BC`."""
    if is_safe_sku(sku):
        return sku
    last = len(sku) - 1
    return "".join(
        c if _SAFE_CHARACTER.fullmatch(c) and (c.isalnum() or 0 < i < last) else _escape(c)
        for i, c in enumerate(sku)
    )


def sku_of_token(token: str) -> str:
    """Return the SKU of a token; the reverse of `sku_token`.

    Raises:
        ValueError: the text is no token.
    """
    raw = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), token)
    return raw.encode("latin-1").decode()


def apart_folder(folder: str, sku: str) -> str:
    """Return a second folder for a SKU, where a disk takes that of another SKU for the same."""
    return f"{folder}~{hashlib.sha256(sku.encode()).hexdigest()[:8]}"


def _escape(character: str) -> str:
    return "".join(f"~{byte:02X}" for byte in character.encode())
