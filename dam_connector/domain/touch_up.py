"""Touch-ups: strokes by which a person corrects the cut-out of a photo.

They belong to the photo, by its hash. Every later cut-out of the photo is corrected by them too.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import Issue, issue

MAX_STROKES = 200  # of one touch-up
MAX_POINTS = 400  # of a stroke
MAX_RADIUS = 0.25
MAX_PHOTO_STROKES = 1000  # of all touch-ups of a photo
# Of the product's area. Strokes that change less lift no doubt by themselves: that a person looked at one
# place says nothing of the others.
MIN_CHANGED_SHARE = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """One stroke of a brush over a photo."""

    keep: bool  # True: this is product; False: this is background
    radius: float  # of the brush, as a share of the photo's longer side
    points: tuple[tuple[float, float], ...]  # x, y in shares of width and height from the top left corner
    stops_at_edges: bool = True  # False: everything under the brush changes
    mask_seen: bool = False  # whether the person said that they looked at the whole mask


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

    @property
    def mask_seen(self) -> bool:
        """Return whether the person said that they looked at the whole mask."""
        return any(stroke.mask_seen for stroke in self.strokes)


def strokes_in_force(touch_ups: Iterable[TouchUp]) -> tuple[Stroke, ...]:
    """Return the strokes that count for a photo.

    Args:
        touch_ups: All touch-ups of the photo, the oldest first.
    """
    return tuple(stroke for each in touch_ups_in_force(touch_ups) for stroke in each.strokes)


def touch_ups_in_force(touch_ups: Iterable[TouchUp]) -> tuple[TouchUp, ...]:
    """Return the touch-ups with strokes that count for a photo, the oldest first."""
    found: tuple[TouchUp, ...] = ()
    for each in touch_ups:
        found = (each,) if each.replaces else (*found, each)
    return tuple(each for each in found if each.strokes)


def correction_text(touch_ups: Iterable[TouchUp]) -> str:
    """Return who corrected the mask of a photo, e.g. `1 stroke by ada`; empty: nobody.

    Args:
        touch_ups: All touch-ups of the photo, the oldest first.
    """
    counts: dict[str, int] = {}
    for each in touch_ups_in_force(touch_ups):
        counts[each.by] = counts.get(each.by, 0) + len(each.strokes)
    return ", ".join(f"{count} stroke{'s' if count > 1 else ''} by {by}" for by, count in counts.items())


def correction_issue(text: str, view: str, before: float, limit: float, *, is_seen: bool) -> Issue:
    """Return the statement that a person corrected the mask of a photo.

    Args:
        text: Who did, see `correction_text`.
        view: The view that the photo shows.
        before: How probably the cut-out was usable before.
        limit: How probable it must be, lest it is doubted.
        is_seen: Whether the strokes show that a person saw the mask: a doubt is lifted by that.
    """
    share, is_doubted = f"{MIN_CHANGED_SHARE * 100:g} %", before < limit
    if is_seen:
        effect = "Its doubt was lifted, since a person saw the mask." if is_doubted else ""
    else:
        effect = f"They changed less than {share} of the product{', so its doubt stays' * is_doubted}."
    return issue(
        "cutout.corrected",
        f"{view}: the mask was corrected: {text}. {effect}".rstrip(),
        pointer=f"/images/{view}",
        measured=f"{before:.2f}" if is_doubted else "",
    )
