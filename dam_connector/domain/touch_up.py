"""Touch-ups: strokes by which a person corrects the cut-out of a photo.

They belong to the photo, by its hash. Every later cut-out of the photo is corrected by them too.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from dam_connector.domain.ids import Sha256

MAX_STROKES = 200  # of one touch-up
MAX_POINTS = 400  # of a stroke
MAX_RADIUS = 0.25
MAX_PHOTO_STROKES = 1000  # of all touch-ups of a photo


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """One stroke of a brush over a photo."""

    keep: bool  # True: this is product; False: this is background
    radius: float  # of the brush, as a share of the photo's longer side
    points: tuple[tuple[float, float], ...]  # x, y in shares of width and height from the top left corner
    stops_at_edges: bool = True  # False: everything under the brush changes


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchUp:
    """Strokes that a person painted on the mask of a version."""

    id: str
    photo_sha256: Sha256
    version_id: str  # whose mask was shown
    by: str
    at: datetime
    strokes: tuple[Stroke, ...]
    replaces: bool  # whether the earlier touch-ups of the photo no longer count


def strokes_in_force(touch_ups: Iterable[TouchUp]) -> tuple[Stroke, ...]:
    """Return the strokes that count for a photo.

    Args:
        touch_ups: All touch-ups of the photo, the oldest first.
    """
    found: tuple[Stroke, ...] = ()
    for each in touch_ups:
        found = each.strokes if each.replaces else (*found, *each.strokes)
    return found
