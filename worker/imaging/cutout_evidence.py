"""Evidence for and against a cut-out, and the one probability that it is usable."""

from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.cutout_probability import INTERCEPT, MEANS, WEIGHTS
from worker.imaging.segmentation import colour_slope, disc_kernel

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

NEAR_PX = 2  # at working size: outlines within this distance are the same
VISIBLE_SLOPE = 1.5  # Lab units a pixel: the outline lies on an edge of the photo
GAP_PX = 4  # at working size: half the width up to which a gap between parts is narrow
LEAST_GAP_SHARE = 0.003  # of the mask's area; less is none
DISPUTED_FACTOR = 0.5  # on the probability: the loss of a part of a set must not pass
MAX_DOUBTS = 2  # that the report names
MAX_UNSURE_PX = 6.0  # a wider unsure band says no more
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
    visible_share: float  # of the outline that lies on an edge of the photo
    unsure_px: float  # width of the band along the outline in which the net's closest look is unsure
    narrow_gaps: float  # logarithm of the area of narrow gaps between the product's parts, over its area
    complexity: float  # logarithm of the outline's length squared over the area
    is_disputed: bool = False  # the classical mask, clear on a plain background, has much more

    @property
    def probability(self) -> float:
        """Return the probability that the cut-out is usable: a logistic regression on real photos."""
        logit = INTERCEPT + sum(weight * getattr(self, name) for name, weight in WEIGHTS.items())
        return float(1 / (1 + np.exp(-logit))) * (DISPUTED_FACTOR if self.is_disputed else 1.0)

    @property
    def doubts(self) -> tuple[str, ...]:
        """Return the arguments against the cut-out, in words for the report; the weightiest first."""
        found = [
            (WEIGHTS[name] * (getattr(self, name) - MEANS[name]), words) for name, words in _DOUBTS.items()
        ]
        against = sorted(pair for pair in found if pair[0] < 0)
        if self.is_disputed:
            against.insert(0, (0.0, "something beside the product that stands out was left out"))
        return tuple(words for _, words in against[:MAX_DOUBTS]) or ("its outline is not clear everywhere",)


_DOUBTS = {
    "own_outline": "two ways of cutting out give different outlines",
    "visible_share": "parts of the outline lie on no visible edge",
    "unsure_px": "product and background are hard to distinguish along the outline",
    "narrow_gaps": "there are narrow gaps, e.g. between cords, teeth or fingers",
    "complexity": "the outline is long and intricate, e.g. thin cords, legs or several parts",
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
    product = mask > 0.5
    rim = outline(product)
    length, area = max(1, int(rim.sum())), max(1, int(product.sum()))
    slopes = _slopes(small, rim)
    reduced = cv2.resize(alpha, mask.shape[::-1], interpolation=cv2.INTER_AREA)
    return CutoutEvidence(
        source=source,
        own_outline=_spread_agreement(outline_agreement(product, own > 0.5)),
        visible_share=float((slopes > VISIBLE_SLOPE).mean()) if len(slopes) else 0.0,
        unsure_px=_unsure_px(second),
        narrow_gaps=float(np.log(_gap_share(reduced > 127) + LEAST_GAP_SHARE)),
        complexity=float(np.log(length * length / area)),
    )


def _spread_agreement(agreement: float) -> float:
    """Return an agreement, 0 to 1, on a scale that separates .97 from .99."""
    return float(-np.log(1.01 - min(agreement, 1.0)))


def _slopes(small: U8, rim: Mask) -> F32:
    """Return the photo's slope at each pixel of an outline; the photo's frame does not count."""
    inner = rim.copy()
    inner[[0, -1]] = False
    inner[:, [0, -1]] = False
    lab = cv2.cvtColor(small.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab)
    slope = cv2.dilate(colour_slope(cv2.GaussianBlur(lab, (0, 0), 0.8)), _SQUARE)
    return np.asarray(slope[inner], np.float32)


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
