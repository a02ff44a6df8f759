"""Comments on versions: threads, pinned to a place in a picture or on a model.

A comment belongs to an asset. It is shown on the version on which it was written and on all later ones,
until somebody resolves it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

MAX_COMMENT_CHARS = 2000
_MENTION = re.compile(r"(?<![\w@.])@([\w][\w.+@-]{0,79})")
_SIDES = {
    (0, 1): "right",
    (0, -1): "left",
    (1, 1): "top",
    (1, -1): "bottom",
    (2, 1): "front",
    (2, -1): "back",
}
Vector = tuple[float, ...]  # x, y, z in metres; y is up, the front faces z, as in glTF


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureAnchor:
    """A point or rectangle in a picture, in shares of its width and height from the top left corner."""

    x: float
    y: float
    width: float = 0.0  # 0: a point
    height: float = 0.0
    frame: int = 0  # of a spin

    @property
    def text(self) -> str:
        """Return the place in words, e.g. `upper left, 20 % from the left and 30 % from the top`."""
        x, y = self.x + self.width / 2, self.y + self.height / 2
        row = "upper" if y < 1 / 3 else "lower" if y > 2 / 3 else ""
        column = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
        area = " ".join(filter(None, (row, column))) or "middle"
        return f"{area}, {x:.0%} from the left and {y:.0%} from the top".replace("%", " %")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnchor:
    """A point on a model, and the camera through which it was seen."""

    point: Vector
    normal: Vector
    orbit: Vector  # of the camera: degrees round, degrees from the top, metres away
    target: Vector  # what the camera looks at
    fov_deg: float = 30.0  # field of view

    @property
    def text(self) -> str:
        """Return the place in words, e.g. `on the front side, 42 cm above the ground`."""
        axis = max(range(3), key=lambda i: abs(self.normal[i]))
        side = _SIDES[axis, 1 if self.normal[axis] >= 0 else -1]
        return f"on the {side} side, {self.point[1] * 100:.0f} cm above the ground"


Anchor = PictureAnchor | ModelAnchor


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """One comment, or the reply to one."""

    id: str
    asset_id: str
    version_id: str  # on which it was written
    version_number: int
    parent_id: str | None  # the comment that it replies to
    by: str  # who wrote it
    text: str
    at: datetime
    anchor: Anchor | None  # None: it is about the whole version
    mentions: tuple[str, ...]  # names of users
    resolved_at: datetime | None
    resolved_by: str
    resolved_number: int | None  # the number of the version that resolved it

    @property
    def is_open(self) -> bool:
        """Return True if it waits for somebody to resolve it."""
        return self.resolved_at is None and self.parent_id is None

    @property
    def place(self) -> str:
        """Return the place in words; empty without a pin."""
        return self.anchor.text if self.anchor else ""


def mentioned_names(text: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return which of the names a text mentions as `@name`; a full stop after a name does not count."""
    by_name = {name.casefold(): name for name in names}
    found = (each.casefold() for each in _MENTION.findall(text))
    return tuple(
        dict.fromkeys(by_name[key] for each in found for key in (each, each.rstrip(".-+@")) if key in by_name)
    )


def summary_text(comments: Iterable[Comment]) -> str:
    """Return the open comments in one text, for prompts and notes, e.g. `darker (upper left, ...)`."""
    return "; ".join(f"{c.text} ({c.place})" if c.anchor else c.text for c in comments if c.is_open)
