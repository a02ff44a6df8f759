"""Poses: how a product is placed in a scene, by its record, the view of the photo and the outline.

A product that stands must be able to: its centre lies above what touches the ground, and no large piece
floats. Otherwise it was photographed lying, from above, and it lies in the scene too. The slopes of the lower
outline of a product with corners give the camera's elevation.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.product import View
from worker.imaging.cutout import Cutout
from worker.imaging.feet import find_feet
from worker.imaging.lower_outline import (
    GROUND_GAP,
    MAX_CORNER,
    MIN_EDGE,
    MIN_EDGE_SLOPE,
    LowerOutline,
    reduced_mask,
)

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

FRONT_DEG, HERO_DEG, MAX_DEG = 9.0, 20.0, 46.0  # elevations of the camera: usual ones, and the highest
LOW_DEG, HERO_MAX_DEG = 12.0, 30.0  # its bounds where only one side of the product's base is seen
STEEP_SIDE, MAX_CORNER_STEEP = 1.6, 0.4  # with one very steep side, `MAX_CORNER` is less
TURNED_SLOPE = 0.7  # tangent of 35 degrees, by which a product with one visible side is taken to be turned
# The steepest side of a base of which the other is not seen: turned so far, by the highest of these cameras.
MAX_ONE_SIDE = TURNED_SLOPE * float(np.sin(np.radians(HERO_MAX_DEG)))
THIN_SHARE = 0.004  # of a side of the frame: a cable that leaves the photo covers more
BALANCE_MARGIN = 0.08  # of the product's width: how far the centre may be outside of what touches
MIN_SUPPORT = 0.05  # of the product's width
MIN_PIECE = 0.03  # of the product's area: a smaller piece is no part of a set
MAX_PIECE_GAP = 0.2  # of the product's height: a piece that ends higher above the ground floats
SLIM_GAP, MIN_SLIM_SUPPORT = (
    0.06,
    0.65,
)  # of the width of a slim product: what is level at a flat end, at least
FLAT_ASPECT = 3.5  # height to width: a slimmer product seldom stands on its own


class Pose(StrEnum):
    """How a product is placed."""

    UPRIGHT = "stands"
    LIES = "lies"  # seen from above
    HANGS = "hangs"
    LEANS = "leans"
    WORN = "worn"
    CROPPED = "cropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseFinding:
    """A pose and the camera of the photo."""

    pose: Pose
    oblique: bool = False  # the product shows its depth on the ground
    elevation_deg: float = FRONT_DEG  # of the camera above the ground
    touched: frozenset[str] = frozenset()  # sides of the frame that cut the product off
    doubt: str = ""  # what speaks against a scene, for the report
    refusal: str = ""  # why there is no scene


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseHints:
    """Facts about a product beside its outline."""

    view: str = View.FRONT  # that the photo shows
    usual_pose: str = ""  # of such products
    has_person: bool = False
    oblique: bool | None = None  # seen from above; None: unknown
    is_known_kind: bool = False  # a word says what the product is
    hangs: bool = False  # the photo shows that it hangs in the air


def find_pose(cutout: Cutout, hints: PoseHints) -> PoseFinding:
    """Return the pose of a product in its photo."""
    touched = frozenset(cutout.touched_sides)
    if hints.has_person or (hints.usual_pose == Pose.WORN and touched):
        return _cut_off(Pose.WORN, touched)
    if touched:
        return _cut_off(Pose.CROPPED, touched)
    finding = _whole(cutout, hints)
    leaving = _thin_parts_at_frame(cutout.alpha)
    if leaving and not finding.doubt:
        doubt = f"a thin part, e.g. a cable, is cut off by the photo's frame at: {', '.join(leaving)}"
        return replace(finding, doubt=doubt)
    return finding


def _thin_parts_at_frame(alpha: U8) -> tuple[str, ...]:
    """Return the sides of the photo's frame at which a part ends that is too thin to touch the side."""
    sides = {"left": alpha[:, 0], "right": alpha[:, -1], "top": alpha[0], "bottom": alpha[-1]}
    return tuple(side for side, rim in sides.items() if (rim > 127).mean() > THIN_SHARE)


def _whole(cutout: Cutout, hints: PoseHints) -> PoseFinding:
    """Return the pose of a product that is whole in its photo."""
    if hints.usual_pose in (Pose.HANGS, Pose.LEANS) and hints.view in (View.FRONT, View.TOP):
        return PoseFinding(pose=Pose(hints.usual_pose))
    if hints.view == View.TOP or hints.usual_pose in (Pose.LIES, Pose.WORN):
        return PoseFinding(pose=Pose.LIES, elevation_deg=90.0)
    return _upright(_reduced(cutout), hints)


def _cut_off(pose: Pose, touched: frozenset[str]) -> PoseFinding:
    """Return the finding for a product that the photo's frame cuts off."""
    finding = PoseFinding(pose=pose, touched=touched)
    if pose is Pose.WORN or touched <= {"bottom"}:
        return finding
    if len(touched) > 2:
        return replace(finding, refusal=f"the photo cuts the product off at: {', '.join(sorted(touched))}")
    return replace(finding, doubt=f"the photo cuts the product off at: {', '.join(sorted(touched))}")


def _upright(mask: U8, hints: PoseHints) -> PoseFinding:
    """Return whether a whole product stands, and how the camera sees it; it lies if it cannot stand."""
    outline = _Outline(mask)
    elevation, oblique = outline.camera(hints)
    lying = PoseFinding(pose=Pose.LIES, elevation_deg=90.0)
    if outline.is_on_a_corner():
        return replace(lying, doubt="the product seems to balance on a corner, so it was laid down")
    if outline.is_tilted():
        return replace(lying, doubt="the product seems to hang or to be tilted, so it was laid down")
    if hints.hangs:
        doubt = "the photo shows no shadow below the product, which seems to hang, so it was laid down"
        return replace(lying, doubt=doubt)
    if find_feet(mask):
        return PoseFinding(pose=Pose.UPRIGHT, oblique=True, elevation_deg=max(elevation, LOW_DEG))
    if outline.floats() or not outline.is_balanced() or (outline.is_cord() and not hints.is_known_kind):
        return lying
    return PoseFinding(pose=Pose.UPRIGHT, oblique=oblique, elevation_deg=elevation)


class _Outline(LowerOutline):
    """The lower outline of a mask, and what it says of the pose."""

    def camera(self, hints: PoseHints) -> tuple[float, bool]:
        """Return the camera's elevation in degrees, and whether the product shows its depth."""
        left, right = self.sides()
        is_hero = bool(hints.oblique) or hints.view in (View.HERO, View.DETAIL)
        if left and right:
            elevation = np.degrees(np.arcsin(min(1.0, (left * right) ** 0.5)))
            return float(np.clip(elevation, FRONT_DEG, MAX_DEG)), True
        if left or right:  # the other side is too short to be seen: the product is turned a little
            elevation = np.degrees(np.arcsin(min(1.0, max(left, right) / TURNED_SLOPE)))
            return float(np.clip(elevation, HERO_DEG if is_hero else LOW_DEG, HERO_MAX_DEG)), True
        return (HERO_DEG if is_hero else FRONT_DEG), is_hero

    def is_on_a_corner(self) -> bool:
        """Return whether the product balances on a corner: no camera sees a level base as steep as this."""
        left, right = self.sides()
        return left * right > MAX_CORNER or (
            max(left, right) > STEEP_SIDE and left * right > MAX_CORNER_STEEP
        )

    def is_tilted(self) -> bool:
        """Return whether the product rises to one side alone, steeper than a level product that is turned.

        Its own lower outline rises; the hull of a mug rises too, from its level foot to its handle.
        """
        left, right = self.sides()
        if min(left, right) > 0 or max(left, right) <= MAX_ONE_SIDE:
            return False
        long = [edge for edge in self.edges if edge[2] - edge[0] >= MIN_EDGE * self.width]
        slopes = [(y1 - y0) / (x1 - x0) for x0, y0, x1, y1 in long if self.is_followed(x0, y0, x1, y1)]
        has_level_foot = any(abs(slope) < MIN_EDGE_SLOPE for slope in slopes)
        return not has_level_foot and any(abs(slope) > MAX_ONE_SIDE for slope in slopes)

    def _ground(self) -> F32:
        """Return the row of the lower hull under each column of the product."""
        x = [self.edges[0][0], *(edge[2] for edge in self.edges)] if self.edges else [0.0]
        y = [self.edges[0][1], *(edge[3] for edge in self.edges)] if self.edges else [0.0]
        lowest = float(self.bottom.max())
        hull = np.interp(self.columns, x, y)
        reach = np.abs(self.columns - self.columns[int(self.bottom.argmax())])
        return np.maximum(hull, lowest - 0.48 * reach).astype(np.float32)

    def is_balanced(self) -> bool:
        """Return whether the product's centre lies above what touches the ground."""
        touching = self.columns[self._ground() - self.bottom <= GROUND_GAP * self.size]
        if not len(touching):
            return False
        weights = self.mask.sum(0).astype(np.float64)
        centre = float((weights * np.arange(len(weights))).sum() / max(1.0, weights.sum()))
        margin, support = BALANCE_MARGIN * self.width, int(touching[-1] - touching[0]) + 1
        return (
            touching[0] - margin <= centre <= touching[-1] + margin
            and support >= MIN_SUPPORT * self.width
            and not self._ends_round()
        )

    def _ends_round(self) -> bool:
        """Return whether a slim product has a rounded lower end, on which nothing stands."""
        if self.height <= FLAT_ASPECT * self.width or all(self.sides()):
            return False
        level = self.bottom >= self.bottom.max() - SLIM_GAP * self.width
        return bool(level.sum() < MIN_SLIM_SUPPORT * self.width)

    def floats(self) -> bool:
        """Return whether a large separate piece ends clearly above the ground."""
        count, labels, stats, _ = cv2.connectedComponentsWithStats(self.mask, connectivity=8)
        if count <= 2:
            return False
        ground, total = self._ground(), float(self.mask.sum())
        for number in range(1, count):
            if stats[number, cv2.CC_STAT_AREA] < MIN_PIECE * total:
                continue
            piece = labels == number
            columns = np.flatnonzero(piece.any(0))
            lowest = stats[number, cv2.CC_STAT_TOP] + stats[number, cv2.CC_STAT_HEIGHT] - 1
            under = float(ground[np.searchsorted(self.columns, columns)].max())
            if under - lowest > MAX_PIECE_GAP * self.height:
                return True
        return False


def _reduced(cutout: Cutout) -> U8:
    """Return the product's mask, 0 or 1, cropped and reduced."""
    left, top, right, bottom = cutout.box
    return reduced_mask(cutout.alpha[max(0, top) : bottom, max(0, left) : right])
