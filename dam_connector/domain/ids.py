"""Identifiers: one NewType for each kind, and ids that sort by time."""

import secrets
import threading
from datetime import datetime
from typing import NewType

Sku = NewType("Sku", str)
DeliveryId = NewType("DeliveryId", str)
RunId = NewType("RunId", str)
AssetId = NewType("AssetId", str)
VersionId = NewType("VersionId", str)
Sha256 = NewType("Sha256", str)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u

_lock = threading.Lock()
_last = [0, 0]  # milliseconds and the random part of the newest id


def new_id(prefix: str, now: datetime) -> str:
    """Return a new id that sorts by time, e.g. `run_01k9...`.

    After the prefix it has 48 bits of milliseconds and 80 random bits. Within one millisecond of one process
    the random part counts up, so that these ids sort too.
    """
    moment = int(now.timestamp() * 1000)
    with _lock:
        _last[:] = [moment, _last[1] + 1 if _last[0] == moment else secrets.randbits(79)]
        number = (moment << 80) | _last[1]
    return _written(prefix, number)


def first_id(prefix: str, moment: datetime) -> str:
    """Return the least id that `new_id` could give at a time, as a bound for queries."""
    return _written(prefix, int(moment.timestamp() * 1000) << 80)


def _written(prefix: str, number: int) -> str:
    digits = [_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5)]
    return f"{prefix}_{''.join(digits)}"
