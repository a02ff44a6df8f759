"""Wishes in a reviewer's note that our own code follows when it makes a picture again."""

import re
from dataclasses import dataclass, replace

from dam_connector.domain.rules import Deliverable

# Shares by which the product grows or shrinks in the picture, and the bounds of its fill.
LARGER, SMALLER = 1.15, 0.85
MIN_FILL, MAX_FILL = 0.2, 0.96
_SMALLER = re.compile(
    r"\b(more (room|space|margin)|smaller|further away|too (large|big|close)|zoom out)\b", re.IGNORECASE
)
_LARGER = re.compile(
    r"\b(less (room|space|margin)|larger|bigger|closer|(too|bit|much) small|zoom in)\b", re.IGNORECASE
)
_OTHER_ROOM = re.compile(
    r"\b(an?other|different|new) (room|light|background|scene|wall|floor)\b", re.IGNORECASE
)
_NO_SHADOW = re.compile(r"\b(no|without) (a |the )?shadow\b", re.IGNORECASE)
LIFESTYLE = "lifestyle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The wishes that a note holds."""

    growth: float = 1.0  # of the product in the picture
    other_room: bool = False
    no_shadow: bool = False


def read_wishes(note: str) -> Wishes:
    """Return the wishes in a note; words that contradict each other are no wish."""
    smaller, larger = bool(_SMALLER.search(note)), bool(_LARGER.search(note))
    growth = 1.0 if smaller == larger else SMALLER if smaller else LARGER
    return Wishes(
        growth=growth,
        other_room=bool(_OTHER_ROOM.search(note)),
        no_shadow=bool(_NO_SHADOW.search(note)),
    )


def with_wishes(deliverable: Deliverable, wishes: Wishes) -> Deliverable:
    """Return a deliverable of pictures as the wishes change it."""
    fill = min(MAX_FILL, max(MIN_FILL, deliverable.fill * wishes.growth))
    return replace(
        deliverable,
        fill=deliverable.fill if wishes.growth == 1.0 else fill,
        shadow=deliverable.shadow and not wishes.no_shadow,
    )


def understood_words(deliverable: Deliverable) -> tuple[str, ...]:
    """Return words that change a picture of a deliverable, for people."""
    sizes = ("more room", "less room")
    if deliverable.style == LIFESTYLE:
        return (*sizes, "another room", "on marble")
    return (*sizes, "no shadow") if deliverable.shadow else sizes
