"""Cut-out on a background of one exact colour, as after retouching: everything else is the product.

There a comparison of colours finds rods, wires and slats that a net loses. Shadows, compression noise and
products of the background's colour show as an outline without a clear step; then this file has no answer.

Where the picture was never compressed with loss, so that the ground has its colour right up to the product,
the comparison decides alone. On 99 renders on white, mean mask IoU .994 instead of .955 with the net, none
lower by more than .002; handles, slats and strings stay open. Real photos in JPEG keep at most 95 % of the
ground beside the product exact, and lose white parts this way: there it only adds to a doubted mask.
"""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.cutout import Cutout, checked_cutout, remove_background_colour
from worker.imaging.cutout_evidence import DISPUTED_FACTOR
from worker.imaging.decode import Photo
from worker.imaging.segmentation import disc_kernel

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

BORDER_PX = 3  # along the frame, that shows the background
MAX_BORDER_STEP = 2  # of 255: the border has one colour
MIN_BORDER_SHARE = 0.995  # of the border
THRESHOLDS = (2, 6, 12)  # of 255: more differs from the background; the higher ones are for compressed photos
CLEAR_STEP = 6  # of 255, above the threshold, two pixels inside the outline
MAX_SOFT_SHARE = 0.08  # of the outline without a clear step
MIN_PART_SHARE = 0.0005  # of the largest part; smaller ones are specks
MIN_OVERLAP = 0.7  # with the cut-out found otherwise; less means that something stands beside the product
MAX_REMOVED = 0.02  # of the cut-out found otherwise; more is white that stood on white
RING_PX = (3, 12)  # from the outline: there a picture that was compressed with loss is uneven
MIN_LOSSLESS_SHARE = 0.998  # of this ring that has exactly the background's colour
GLINT_PX = 2  # half the width of a glint; the gaps of slats and strings are wider
# Of the product's area: that of a glint, and that below which more than so many holes are a mesh.
MAX_GLINT_SHARE, MIN_OPENING_SHARE, MAX_GLINTS = 0.0007, 0.01, 6
# Around a glint's hole: between these pixels, and of 255. Eight glints: 12 to 145; four openings: 174 to 216.
GLINT_RIM_PX, MAX_GLINT_STEP = (2, 4), 160
# A separate part is a mark or a measure if the mean of the net's look and its share of the area are less.
MAX_FOREIGN_SEEN, MAX_FOREIGN_SHARE = 0.1, 0.1
EXACT_PROBABILITY = 0.95  # that such a cut-out is usable: 94 of 99 renders
FILLED_FACTOR = 0.7  # on it, where the net disagrees by more than these shares of the product's area:
MAX_FILLED_SHARE = 0.02  # it sees product in openings; a white label looks like one
MAX_LEFT_OUT_SHARE = 0.003  # it sees nothing in separate parts
LARGE_PIECE_SHARE = 0.05  # of the area: with more than one such piece, a white band may be lost between them
_SQUARE = np.ones((3, 3), np.uint8)


def refine_on_clean_background(rgb: U8, found: Cutout) -> Cutout:
    """Return the cut-out by exact colours where the background has one colour, else the one found.

    It may add what the other one lost, and hardly remove anything. The confidence stays: it is of the net,
    and nothing measured says that this outline is surer.
    """
    alpha = clean_alpha(rgb)
    if alpha is None or found.frame is not None:
        return found
    mine, other = alpha > 127, found.alpha > 127
    shared = (mine & other).sum()
    if shared < MIN_OVERLAP * mine.sum() or shared < (1 - MAX_REMOVED) * other.sum():
        return found
    colours = _without_ground(rgb, alpha)
    refined = checked_cutout(colours, alpha, found.confidence, found.busy_share, "")
    return replace(refined, net=found.net, doubts=found.doubts)


def cut_out_exactly(photo: Photo, look: Callable[[U8], F32] | None, pointer: str = "") -> Cutout | None:
    """Return the cut-out of a picture without loss on a background of one exact colour; None for others.

    Args:
        photo: The photo.
        look: Returns a net's map of a picture, at any size, 0 to 1: a small part that stands alone and that
            the net does not see is left out, e.g. a measure. None without a net.
        pointer: JSON pointer of the photo in the product, for the error.

    Raises:
        InputError: `cutout.empty`, when the product covers hardly anything, or everything.
    """
    alpha = clean_alpha(photo.rgb)
    if alpha is None or not _is_lossless(photo.rgb, alpha):
        return None
    doubts: tuple[str, ...] = ()
    probability = EXACT_PROBABILITY
    if look is not None:
        seen = cv2.resize(look(photo.rgb), alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
        whole, alpha = alpha, _without_glints(photo.rgb, _without_foreign_parts(alpha, seen), seen)
        if _filled_share(alpha, seen) > MAX_FILLED_SHARE:
            doubts = ("what has exactly the background's colour inside the product was taken for openings",)
        if np.count_nonzero(whole) - np.count_nonzero(alpha) > MAX_LEFT_OUT_SHARE * np.count_nonzero(alpha):
            doubts = (*doubts, "something small beside the product was left out")
        probability *= FILLED_FACTOR if doubts else 1.0
    if _large_pieces(alpha) > 1:
        doubts = ("the product is in pieces; a white part between them may be lost", *doubts)
        probability *= DISPUTED_FACTOR
    colours = _without_ground(photo.rgb, alpha)
    return replace(checked_cutout(colours, alpha, probability, 0.0, pointer), doubts=doubts)


def is_one_piece(alpha: U8) -> bool:
    """Return whether an exact cut-out is whole: letters that lost their paper would stand alone."""
    return cv2.connectedComponents((alpha > 0).astype(np.uint8), connectivity=8)[0] <= 2


def _is_lossless(rgb: U8, alpha: U8) -> bool:
    """Return whether the ground has exactly the background's colour right up to the product."""
    near, far = (cv2.dilate(alpha, disc_kernel(radius)) > 0 for radius in RING_PX)
    ring = far & ~near
    exact = (rgb == _ground_colour(rgb)).all(2)
    return bool(ring.any()) and float(exact[ring].mean()) >= MIN_LOSSLESS_SHARE


def _without_foreign_parts(alpha: U8, seen: F32) -> U8:
    """Return the opacity without small separate parts that the net does not see, e.g. marks and measures."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats((alpha > 0).astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    means = np.bincount(labels.ravel(), seen.ravel(), count) / areas
    areas[0] = 0
    foreign = (means < MAX_FOREIGN_SEEN) & (areas < MAX_FOREIGN_SHARE * areas.sum())
    foreign[0] = False
    return np.where(foreign[labels], 0, alpha).astype(np.uint8) if foreign.any() else alpha


def _large_pieces(alpha: U8) -> int:
    """Return the number of pieces that have LARGE_PIECE_SHARE of the product's area."""
    areas = cv2.connectedComponentsWithStats((alpha > 0).astype(np.uint8), connectivity=8)[2][
        1:, cv2.CC_STAT_AREA
    ]
    return int((areas >= LARGE_PIECE_SHARE * areas.sum()).sum())


def _without_glints(rgb: U8, alpha: U8, seen: F32) -> U8:
    """Return the opacity without white glints: narrow gaps and a few small holes.

    They are filled where the net sees product. A model would get a groove at the height of each hole. Around
    a glint the product fades into it; around a true opening it has its own colour up to the edge.
    """
    closed = np.where(seen > 0.5, cv2.morphologyEx(alpha, cv2.MORPH_CLOSE, disc_kernel(GLINT_PX)), alpha)
    open_places = (closed <= 127).astype(np.uint8)
    labels, stats = cv2.connectedComponentsWithStats(open_places, connectivity=4)[1:3]
    share = stats[:, cv2.CC_STAT_AREA] / max(1, closed.size - int(open_places.sum()))
    small = [label for label in range(1, len(stats)) if share[label] < MAX_GLINT_SHARE]
    if (share[1:] < MIN_OPENING_SHARE).sum() > MAX_GLINTS:
        return closed
    ground = _ground_colour(rgb).astype(np.int16)
    filled = closed.copy()
    for label in small:
        region, hole = _surroundings(labels == label, stats[label])
        near, far = (cv2.dilate(hole, disc_kernel(radius)) > 0 for radius in GLINT_RIM_PX)
        step = np.abs(rgb[region].astype(np.int16) - ground).max(2)[far & ~near]
        if step.size and np.median(step) < MAX_GLINT_STEP:
            filled[region][near & (seen[region] > 0.5)] = 255
    return filled


def _surroundings(place: Mask, box: NDArray[np.int32]) -> tuple[tuple[slice, slice], U8]:
    """Return the rows and columns around a place, and the place there."""
    left, top, across, down = (int(v) for v in box[:4])
    margin = GLINT_RIM_PX[1] + 1
    rows = slice(max(0, top - margin), top + down + margin)
    columns = slice(max(0, left - margin), left + across + margin)
    return (rows, columns), place[rows, columns].astype(np.uint8)


def _filled_share(alpha: U8, seen: F32) -> float:
    """Return the area that the net sees as product and the opacity leaves open, over the product's."""
    filled = cv2.morphologyEx(
        ((seen > 0.5) & (alpha < 128)).astype(np.uint8), cv2.MORPH_OPEN, np.ones((9, 9))
    )
    return float(filled.sum() / max(1, (alpha > 127).sum()))


def clean_alpha(rgb: U8) -> U8 | None:
    """Return the opacity (h, w) of all that differs from a background of one colour; None if unclear."""
    border = _border(rgb).astype(np.int16)
    colour = np.median(border, 0)
    if (np.abs(border - colour).max(1) <= MAX_BORDER_STEP).mean() < MIN_BORDER_SHARE:
        return None
    difference = np.abs(rgb - colour.astype(np.int16)).max(2).astype(np.uint8)
    for threshold in THRESHOLDS:
        mask = _without_specks((difference > threshold).astype(np.uint8))
        if mask.any() and _soft_share(difference, mask, threshold) <= MAX_SOFT_SHARE:
            return _opacity(difference, mask)
    return None


def _without_ground(rgb: U8, alpha: U8) -> U8:
    """Return the product's own colours in a soft edge."""
    return remove_background_colour(rgb, alpha, np.full_like(rgb, _ground_colour(rgb)))


def _ground_colour(rgb: U8) -> U8:
    return np.asarray(np.median(_border(rgb), 0), np.uint8)


def _border(rgb: U8) -> U8:
    lines = (rgb[:BORDER_PX], rgb[-BORDER_PX:], rgb[:, :BORDER_PX], rgb[:, -BORDER_PX:])
    return np.concatenate([line.reshape(-1, 3) for line in lines])


def _without_specks(mask: U8) -> U8:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count < 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return np.asarray((areas > MIN_PART_SHARE * areas.max())[labels], np.uint8)


def _soft_share(difference: U8, mask: U8, threshold: int) -> float:
    """Return the share of the outline, two pixels inside, that hardly differs from the background."""
    inner = cv2.erode(mask, _SQUARE, iterations=2)
    rim = (inner > 0) & (cv2.erode(inner, _SQUARE) == 0)
    return float((difference[rim] < threshold + CLEAR_STEP).mean()) if rim.any() else 0.0


def _opacity(difference: U8, mask: U8) -> U8:
    """Return 255 inside; on the outermost pixel the share of the colour step behind it."""
    step = np.maximum(cv2.dilate(difference, np.ones((5, 5), np.uint8)), 1).astype(np.float32)
    rim = (mask > 0) & (cv2.erode(mask, _SQUARE) == 0)
    share = np.where(rim, np.minimum(1, difference / step), mask)
    return np.asarray(np.rint(share * 255), np.uint8)
