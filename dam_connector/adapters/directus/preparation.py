"""Preparing the other side of a connection: what is needed there, shown before anything is made."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """One thing that is needed on the other side. what: in words. make: makes it, where it is not there; raises AdapterError."""

    description: str
    exists: bool
    create: Callable[[], None]
