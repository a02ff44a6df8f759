"""Evidence for and against a cut-out, and the one probability that it is usable."""

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.cutout_probability import INTERCEPT, MEANS, WEIGHTS
from worker.imaging.plane_arithmetic import largest_difference
from worker.imaging.see_through import fitted_surface
from worker.imaging.segmentation import colour_slope, disc_kernel

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

NEAR_PX = 2  # at working size: outlines within this distance are the same
MIN_EDGE_SLOPE = 0.75  # Lab units a pixel: less is no edge of the photo
GAP_PX = 4  # at working size: half the width up to which a gap between parts is narrow
LEAST_GAP_SHARE = 0.003  # of the mask's area; less is none
DISPUTED_FACTOR = 0.5  # on the probability, for each loss or excess that is seen: it must not pass
MAX_DOUBTS = 2  # that the report names
MAX_UNSURE_PX = 6.0  # a wider unsure band says no more
# A filled opening: it looks like the background, the classical mask leaves it open and has all of its rim.
# The classical mask eats white labels and screens too, but parts of their rims with them.
CLEARANCE_PX = 6  # at working size, around both masks: the background beyond it is fitted
MIN_GROUND_SHARE = 0.03  # of the photo
MAX_GROUND_NOISE = 3.0  # Lab units: 90 % of a plain background deviate less from its surface
LEAST_DEVIATION, NOISE_FACTOR = 1.5, 1.5  # Lab units, and of that noise: less is like the background
MIN_OPENING_SHARE = 0.006  # of the mask's area
MAX_OPENING_OWN, MIN_RIM_OWN = 0.05, 0.95  # share of the opening, and of its rim, that the classical mask has
# Strings, which both ways fill: the background shows in many small places. Real photos have up to .044.
MIN_MESH_SHARE = 0.08  # of the mask's area that these places cover
MESH_CLEARANCE_PX = 3  # at working size, inside the outline
_SQUARE = np.ones((3, 3), np.uint8)


class Source(StrEnum):
    """Where the mask of a cut-out comes from."""

    CLASSICAL = "classical"
    FIRST_LOOK = "first_look"
    SECOND_LOOK = "second_look"
    RECTANGLE = "rectangle"
    FINE = "fine"  # the look of a large net


def overlap(one: Mask, other: Mask) -> float:
    """Return the intersection of two masks over their union."""
    return float((one & other).sum() / max(1, (one | other).sum()))


def outline(mask: Mask) -> Mask:
    """Return the outermost pixels of a mask; the frame of the picture is no outline."""
    eroded = cv2.erode(mask.astype(np.uint8), _SQUARE, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return mask & (eroded == 0)


def outline_agreement(one: Mask, other: Mask) -> float:
    """Return the F-measure of two outlines that count as met within NEAR_PX."""
    ends, shares = (outline(one), outline(other)), []
    near = np.ones((2 * NEAR_PX + 1, 2 * NEAR_PX + 1), np.uint8)
    for here, there in (ends, ends[::-1]):
        if not here.any():
            return 0.0
        shares.append(float((cv2.dilate(there.astype(np.uint8), near) > 0)[here].mean()))
    return 2 * shares[0] * shares[1] / max(1e-6, sum(shares))


@dataclass(frozen=True, slots=True, kw_only=True)
class CutoutEvidence:
    """Evidence about a cut-out without a reference; all measured at working size."""

    source: Source  # where the mask comes from
    own_outline: float  # agreement of the outline with that of the classical mask, on a logarithmic scale
    edge_share: float  # of the outline that lies on a ridge of the photo's slope
    unsure_px: float  # width of the band along the outline in which the net's closest look is unsure
    narrow_gaps: float  # logarithm of the area of narrow gaps between the product's parts, over its area
    is_filled: bool = False  # an opening through the product, or a mesh, is filled
    is_disputed: bool = False  # the classical mask, clear on a plain background, has much more

    @property
    def probability(self) -> float:
        """Return the probability that the cut-out is usable: a logistic regression on real photos."""
        logit = INTERCEPT + sum(weight * getattr(self, name) for name, weight in WEIGHTS.items())
        return float(1 / (1 + np.exp(-logit))) * DISPUTED_FACTOR**self.flaws

    @property
    def flaws(self) -> int:
        """Return the number of flaws that are seen; each lowers the probability."""
        return self.is_disputed + self.is_filled

    @property
    def doubts(self) -> tuple[str, ...]:
        """Return the arguments against the cut-out, in words for the report; the weightiest first."""
        found = [
            (WEIGHTS[name] * (getattr(self, name) - MEANS[name]), words) for name, words in _DOUBTS.items()
        ]
        against = sorted(pair for pair in found if pair[0] < 0)
        if self.is_filled:
            against.insert(0, (0.0, "openings through which the background shows were filled"))
        if self.is_disputed:
            against.insert(0, (0.0, "something beside the product that stands out was left out"))
        return tuple(words for _, words in against[:MAX_DOUBTS]) or ("its outline is not clear everywhere",)


_DOUBTS = {
    "own_outline": "two ways of cutting out give different outlines",
    "edge_share": "parts of the outline lie on no visible edge",
    "unsure_px": "product and background are hard to distinguish along the outline",
    "narrow_gaps": "there are narrow gaps, e.g. between cords, teeth or fingers",
}


def gather_evidence(
    small: U8, mask: F32, source: Source, *, alpha: U8, second: F32, own: F32
) -> CutoutEvidence:
    """Return the evidence about a mask.

    Args:
        small: The photo at working size, (h, w, 3).
        mask: The mask, (h, w), 0 to 1.
        source: Where the mask comes from.
        alpha: The opacity that was made of the mask, at any size.
        second: The net's closest look, 0 to 1.
        own: The classical mask, 0 to 1.
    """
    product = cv2.resize(alpha, mask.shape[::-1], interpolation=cv2.INTER_AREA) > 127
    lab = cv2.cvtColor(small.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab)
    smooth = cv2.GaussianBlur(lab, (0, 0), 0.8)
    return CutoutEvidence(
        source=source,
        own_outline=_spread_agreement(outline_agreement(mask > 0.5, own > 0.5)),
        edge_share=_edge_share(smooth, outline(product)),
        unsure_px=_unsure_px(second),
        narrow_gaps=float(np.log(_gap_share(product) + LEAST_GAP_SHARE)),
        is_filled=_fills_opening(smooth, product, own > 0.5),
    )


def _spread_agreement(agreement: float) -> float:
    """Return an agreement, 0 to 1, on a scale that separates .97 from .99."""
    return float(-np.log(1.01 - min(agreement, 1.0)))


def _edge_share(lab: F32, rim: Mask) -> float:
    """Return the share of an outline that lies within a pixel of an edge; the photo's frame does not count.

    An edge is where the slope is the largest of its row or column: an outline beside an edge is not on it.
    """
    inner = rim.copy()
    inner[[0, -1]] = False
    inner[:, [0, -1]] = False
    if not inner.any():
        return 0.0
    slope = colour_slope(lab)
    ridge = (slope >= cv2.dilate(slope, _SQUARE[:1])) | (slope >= cv2.dilate(slope, _SQUARE[:, :1]))
    edges = (ridge & (slope > MIN_EDGE_SLOPE)).astype(np.uint8)
    return float((cv2.dilate(edges, _SQUARE) > 0)[inner].mean())


def _gap_share(product: Mask) -> float:
    """Return the area that a closing of the mask fills, over that of the mask."""
    margin = 3 * GAP_PX
    padded = np.pad(product.astype(np.uint8), margin)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc_kernel(GAP_PX))
    gaps = ((closed > 0) & (padded == 0))[margin:-margin, margin:-margin]
    return float(gaps.sum() / max(1, product.sum()))


def _unsure_px(look: F32) -> float:
    rim = max(8, int(outline(look > 0.5).sum()))
    return min(MAX_UNSURE_PX, float(((look > 0.1) & (look < 0.9)).sum() / rim))


def _fills_opening(lab: F32, product: Mask, mine: Mask) -> bool:
    """Return whether the mask fills an opening or a mesh.

    Args:
        lab: The photo, smoothed, (h, w, 3).
        product: The mask, (h, w).
        mine: The classical mask, (h, w).
    """
    around = cv2.dilate((product | mine).astype(np.uint8), disc_kernel(CLEARANCE_PX)) == 0
    if around.mean() < MIN_GROUND_SHARE:
        return False
    deviation = largest_difference(lab, fitted_surface(lab, around))
    noise = float(np.percentile(deviation[around], 90))
    if noise > MAX_GROUND_NOISE:
        return False
    alike = ((deviation < max(LEAST_DEVIATION, NOISE_FACTOR * noise)) & product).astype(np.uint8)
    least = MIN_OPENING_SHARE * product.sum()
    inner = cv2.erode(product.astype(np.uint8), disc_kernel(MESH_CLEARANCE_PX))
    _, _, stats, _ = cv2.connectedComponentsWithStats(alike & inner, connectivity=4)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if areas[areas < least].sum() >= MIN_MESH_SHARE * product.sum():
        return True
    alike = cv2.morphologyEx(alike, cv2.MORPH_OPEN, _SQUARE)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(alike, connectivity=4)
    stats[0, cv2.CC_STAT_AREA] = 0
    large = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] >= least)
    return any(_is_opening(labels == label, product & mine, mine) for label in large)


def _is_opening(place: Mask, both: Mask, mine: Mask) -> bool:
    """Return whether the classical mask leaves a place open, and both masks have its rim."""
    if mine[place].mean() > MAX_OPENING_OWN:
        return False
    near, far = (cv2.dilate(place.astype(np.uint8), np.ones((n, n), np.uint8)) > 0 for n in (5, 9))
    rim = far & ~near
    return bool(rim.any() and both[rim].mean() >= MIN_RIM_OWN)
