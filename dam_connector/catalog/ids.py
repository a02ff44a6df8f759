"""Identifiers: NewTypes, and ids that sort by time."""

import secrets
from datetime import datetime
from typing import NewType

Sku = NewType("Sku", str)
DeliveryId = NewType("DeliveryId", str)
RunId = NewType("RunId", str)
AssetId = NewType("AssetId", str)
VersionId = NewType("VersionId", str)
Sha256 = NewType("Sha256", str)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u


def new_id(prefix: str, now: datetime) -> str:
    """A fresh id such as `run_01k9...`: 48 bits of milliseconds, then 80 random bits, so that ids sort by time."""
    number = (int(now.timestamp() * 1000) << 80) | secrets.randbits(80)
    digits = [_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5)]
    return f"{prefix}_{''.join(digits)}"
