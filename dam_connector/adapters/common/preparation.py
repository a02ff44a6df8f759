"""What a setup finds or makes at an outside system: one object each."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """One object that the connector needs in an outside system."""

    description: str  # in words, e.g. "role `DAM reviewer`"
    exists: bool
    create: Callable[[], None]  # call it where the object does not exist; raises AdapterError
