"""Cut-out with a net: the classical cut-out where both agree, the net's own map elsewhere.

The net looks at the whole photo, then again at the product's box, where it sees finer detail. The first look
is better where the second loses a part: close up, a plain product looks like a background. A colour guided
filter moves the map's soft edge to the photo's. docs/lab/cutouts.md lists the attempts with their figures.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_connector.errors import InputError
from worker.imaging.clean_background import cut_out_exactly, is_one_piece, refine_on_clean_background
from worker.imaging.cutout import (
    Cutout,
    checked_cutout,
    cut_out,
    extend_colours,
    local_background,
    remove_background_colour,
)
from worker.imaging.cutout_evidence import (
    DISPUTED_FACTOR,
    MAX_DOUBTS,
    CutoutEvidence,
    Source,
    gather_evidence,
)
from worker.imaging.decode import Photo
from worker.imaging.guided_filter import guide_mask
from worker.imaging.lost_parts import restore_lost_parts
from worker.imaging.lost_print import lost_letters
from worker.imaging.mask_repair import open_agreed, repair_mask, settle_opacity
from worker.imaging.open_mesh import open_mesh
from worker.imaging.salient_net import SalientNet
from worker.imaging.see_through import open_see_through

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]  # left, top, right, bottom

WORKING_PX = 512  # longer side of the picture in which masks are compared
PRODUCT_VALUE = 0.3  # of the first look's map, from which on the second look includes it
BOX_MARGIN = 0.08  # of the box's sides, on each side
MAX_BOX_SHARE = 0.9  # of the photo: a second look at a larger box shows no more
MAX_LOST_SHARE = 0.1  # of the first look's area that the second may lose
FIRST_RADIUS, SECOND_RADIUS = 3 / 320, 1.5 / 320  # of the longer side: how far the guided filter moves edges
FINE_PX, FINE_RADIUS = (
    1024,
    1.5 / 1024,
)  # a net of this size needs no closer look, and of other masks only rectangles
MIN_CLASSICAL_CONFIDENCE = 0.97
MAX_MISSING_SHARE, MAX_EXTRA_SHARE = 0.012, 0.02  # of the net's area: the classical mask agrees with it
# A plain print, e.g. a book's cover: the net sees the motif, the classical mask the whole rectangle.
MIN_RECTANGLE_SHARE = 0.93  # of the smallest rectangle around the hull that the hull fills
MIN_FILLED_SHARE = 0.5  # of the hull that the classical mask fills
MAX_MOTIF_SHARE = 0.4  # of the hull that the net sees
MAX_DISPUTED_SHARE = 0.1  # of the product: more that the classical mask alone has is a part of a set
MAX_FRAME_SHARE = 0.2  # of the frame that the rectangle may cover
MAX_PRINT_BUSY_SHARE = 0.1  # of the border: only a plain background shows where the rectangle ends
SURE = 0.6  # probability from which a mask is left as it is
MAX_FOR_CLASSICAL = 0.5  # probability up to which the classical mask may correct the net's
MAX_LOST_BY_FINE = 0.25  # of a large net's area: more that the classical mask has is something else
MAX_FOR_OPENINGS = 0.5  # probability up to which openings are sought: white labels look like some


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looks:
    """The net's maps at working size, 0 to 1."""

    first: F32
    second: F32  # the same as the first where there was no second look
    seen: F32  # the first at the net's own size


@dataclass(frozen=True, slots=True, kw_only=True)
class _Views:
    """A photo and what both ways of cutting out say of it."""

    photo: Photo
    small: U8  # at working size, (h, w, 3)
    classical: Cutout | None
    own: F32  # its mask at working size, 0 to 1
    looks: _Looks

    @property
    def confidence(self) -> float:
        """Of the classical mask."""
        return self.classical.confidence if self.classical else 0.0

    @property
    def busy_share(self) -> float:
        """Of the photo's border that is unlike a plain background."""
        return self.classical.busy_share if self.classical else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """A cut-out with its evidence and the mask at working size that it was made by."""

    found: Cutout
    evidence: CutoutEvidence
    mask: F32


def cut_out_product(photo: Photo, net: SalientNet | None, pointer: str = "") -> Cutout:
    """Cut the product out of a photo, with a net if there is one.

    Args:
        photo: The photo.
        net: The net; None for the classical cut-out alone.
        pointer: JSON pointer of the photo in the product, for the error.

    Raises:
        InputError: `cutout.empty`, when the product covers hardly anything, or everything.
    """
    exact = cut_out_exactly(photo, net.look if net else None, pointer) if photo.alpha is None else None
    if exact is not None:
        exact = replace(exact, net=net.path.name if net else "")
        return exact if is_one_piece(exact.alpha) else doubt_lost_print(photo, exact)
    if net is None or photo.alpha is not None:
        return doubt_lost_print(photo, cut_out(photo, pointer))
    found, evidence = cut_out_with_evidence(photo, net, pointer)
    found = replace(found, confidence=evidence.probability, doubts=evidence.doubts, net=net.path.name)
    return doubt_lost_print(photo, finish(photo, found, evidence))


def doubt_lost_print(photo: Photo, found: Cutout) -> Cutout:
    """Return the cut-out, with half of its probability if it lost print: then it lost more than that."""
    found = replace(found, lost_letters=lost_letters(photo, found))
    if not found.lost_letters:
        return found
    doubts = ("print, or the white paper below it, was left out", *found.doubts)
    return replace(found, confidence=found.confidence * DISPUTED_FACTOR, doubts=doubts[:MAX_DOUBTS])


def finish(photo: Photo, found: Cutout, evidence: CutoutEvidence) -> Cutout:
    """Return a cut-out with the parts that the net lost, and with its mesh open.

    One that is doubted gets openings before and, on a background of one colour, exact colours.
    """
    finished = _with_lost_parts(photo, found, evidence)
    if evidence.is_filled:
        return open_mesh(photo.rgb, finished)
    is_of_net = evidence.source in (Source.FIRST_LOOK, Source.SECOND_LOOK)
    return replace(finished, may_fray=is_of_net and found.busy_share < MAX_PRINT_BUSY_SHARE)


def _with_lost_parts(photo: Photo, found: Cutout, evidence: CutoutEvidence) -> Cutout:
    if evidence.source in (Source.CLASSICAL, Source.FINE):  # openings took more than they gave
        return found if evidence.source is Source.FINE else restore_lost_parts(photo.rgb, found)
    if found.confidence < SURE:
        if found.confidence < MAX_FOR_OPENINGS:
            found = open_see_through(photo.rgb, found)
        found = refine_on_clean_background(photo.rgb, found)
    return restore_lost_parts(photo.rgb, found)


def cut_out_with_evidence(photo: Photo, net: SalientNet, pointer: str = "") -> tuple[Cutout, CutoutEvidence]:
    """Return the cut-out of a photo without transparency, and the evidence about it.

    Raises:
        InputError: `cutout.empty`.
    """
    try:
        classical: Cutout | None = cut_out(photo, pointer)
    except InputError:
        classical = None
    scale = min(1.0, WORKING_PX / max(photo.size))
    size = (max(1, round(photo.size[0] * scale)), max(1, round(photo.size[1] * scale)))
    small = cv2.resize(photo.rgb, size, interpolation=cv2.INTER_AREA)
    own = _reduced(classical.alpha, size) if classical else np.zeros(small.shape[:2], np.float32)
    confidence, busy = (classical.confidence, classical.busy_share) if classical else (0.0, 1.0)
    is_fine = net.kind.side_px >= FINE_PX
    looks = _look(photo.rgb, net, size, is_settled=lambda first: is_fine or _agrees(first, own, confidence))
    source, mask = _choose(looks, own, confidence, busy)
    if is_fine and source is not Source.RECTANGLE:
        source, mask = Source.FINE, looks.first
    views = _Views(photo=photo, small=small, classical=classical, own=own, looks=looks)
    if source in (Source.FIRST_LOOK, Source.SECOND_LOOK):
        mask = _repaired(views, mask, confidence)
    made = _make(views, source, mask, pointer)
    if made.evidence.probability < MAX_FOR_CLASSICAL:
        better = _reconsidered(small, source, mask, own=own, confidence=confidence, busy_share=busy)
        if better[1] is not mask:
            made = _make(views, *better, pointer)
    if made.evidence.source is Source.FINE:  # last: what it lacks is a reason to take the classical mask
        made = _completed(views, made, pointer)
    is_disputed = _is_disputed(made.mask > 0.5, own > 0.5, confidence, busy)
    return made.found, replace(made.evidence, is_disputed=is_disputed)


def _repaired(views: _Views, mask: F32, confidence: float) -> F32:
    looked = {"own": views.own, "first": views.looks.first, "second": views.looks.second}
    return repair_mask(views.small, mask, confidence=confidence, busy_share=views.busy_share, **looked)


def _make(views: _Views, source: Source, mask: F32, pointer: str) -> _Made:
    """Return the cut-out by a mask at working size.

    Raises:
        InputError: `cutout.empty`.
    """
    photo, found = views.photo, views.classical
    if source is not Source.CLASSICAL or found is None:
        coarse = _resized(mask, photo.size)
        if source is Source.FINE:
            coarse = _with_fine_detail(coarse, views.looks, mask)
        alpha = _full_size(photo.rgb, coarse, source)
        rgb = remove_background_colour(photo.rgb, alpha, background_behind(views.small, mask, photo.size))
        found = checked_cutout(rgb, alpha, 0.0, views.busy_share, pointer)
    looked = {"second": views.looks.second, "own": views.own}
    evidence = gather_evidence(views.small, mask, source, alpha=found.alpha, **looked)
    return _Made(found=found, evidence=evidence, mask=mask)


def _completed(views: _Views, made: _Made, pointer: str) -> _Made:
    """Return a large net's cut-out with its holes filled, and with the parts that it lost.

    Lost parts are sought where the classical mask is clear, on a plain background: a room has edges too.

    Raises:
        InputError: `cutout.empty`.
    """
    whole = _repaired(views, made.mask, 0.0)  # no openings: a large net sees them itself
    if (whole != made.mask).any():
        made = _make(views, Source.FINE, whole, pointer)
    if not _is_clear(views.confidence, views.busy_share):
        return made
    restored = restore_lost_parts(views.photo.rgb, made.found)
    if restored is made.found:
        return made
    mask = np.maximum(made.mask, _reduced(restored.alpha, (views.small.shape[1], views.small.shape[0])))
    looked = {"second": views.looks.second, "own": views.own}
    evidence = gather_evidence(views.small, mask, Source.FINE, alpha=restored.alpha, **looked)
    return _Made(found=restored, evidence=evidence, mask=mask)


def _reduced(alpha: U8, size: tuple[int, int]) -> F32:
    return cv2.resize(alpha, size, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)


def _resized(mask: F32, size: tuple[int, int]) -> F32:
    return np.asarray(np.clip(cv2.resize(mask, size, interpolation=cv2.INTER_CUBIC), 0, 1), np.float32)


def _look(rgb: U8, net: SalientNet, size: tuple[int, int], is_settled: Callable[[F32], bool]) -> _Looks:
    """Return the first look, and the second at the product's box unless the first settles the matter."""
    seen = net.look(rgb)
    first = _resized(seen, size)
    box = _product_box(seen, rgb.shape[1], rgb.shape[0])
    if box is None or is_settled(first):
        return _Looks(first=first, second=first, seen=seen)
    left, top, right, bottom = box
    part = net.look(np.ascontiguousarray(rgb[top:bottom, left:right]))
    x, y = size[0] / rgb.shape[1], size[1] / rgb.shape[0]
    x0, x1, y0, y1 = (round(v) for v in (left * x, right * x, top * y, bottom * y))
    second = np.zeros_like(first)
    second[y0:y1, x0:x1] = _resized(part, (x1 - x0, y1 - y0))
    return _Looks(first=first, second=second, seen=seen)


def _product_box(seen: F32, width: int, height: int) -> Box | None:
    """Return the box in the photo that the second look is at; None where it would show no more."""
    left, top, across, down = cv2.boundingRect((seen > PRODUCT_VALUE).astype(np.uint8))
    if not across:
        return None
    x, y = width / seen.shape[1], height / seen.shape[0]
    margin_x, margin_y = BOX_MARGIN * across, BOX_MARGIN * down
    box = (
        round(max(0.0, left - margin_x) * x),
        round(max(0.0, top - margin_y) * y),
        min(width, round((left + across + margin_x) * x)),
        min(height, round((top + down + margin_y) * y)),
    )
    area = (box[2] - box[0]) * (box[3] - box[1])
    return box if area < MAX_BOX_SHARE * width * height else None


def _choose(looks: _Looks, own: F32, confidence: float, busy_share: float) -> tuple[Source, F32]:
    """Return the source of the mask, and the mask at working size, 0 to 1."""
    first, second, mine = looks.first > 0.5, looks.second > 0.5, own > 0.5
    area = max(1, int(first.sum()))
    hull = _rectangle(mine)
    if hull is not None and busy_share < MAX_PRINT_BUSY_SHARE and area < MAX_MOTIF_SHARE * hull.sum():
        return Source.RECTANGLE, hull.astype(np.float32)
    if _agrees(looks.first, own, confidence):
        return Source.CLASSICAL, own
    if (first & ~second).sum() / area <= MAX_LOST_SHARE:
        return Source.SECOND_LOOK, looks.second
    return Source.FIRST_LOOK, looks.first


def _agrees(first: F32, own: F32, confidence: float) -> bool:
    """Return whether the classical mask is clear, and the net's first look sees the same."""
    seen, mine = first > 0.5, own > 0.5
    area = max(1, int(seen.sum()))
    missing, extra = int((seen & ~mine).sum()), int((mine & ~seen).sum())
    agrees = missing <= MAX_MISSING_SHARE * area and extra <= MAX_EXTRA_SHARE * area
    return agrees and confidence >= MIN_CLASSICAL_CONFIDENCE


def _is_disputed(product: Mask, mine: Mask, confidence: float, busy_share: float) -> bool:
    """Return whether the classical mask is clear, on a plain background, and has much that is left out."""
    extra = (mine & ~product).sum() / max(1, product.sum())
    return bool(_is_clear(confidence, busy_share) and extra > MAX_DISPUTED_SHARE)


def _is_clear(confidence: float, busy_share: float) -> bool:
    """Return whether the classical mask is clear, on a plain background."""
    return confidence >= MIN_CLASSICAL_CONFIDENCE and busy_share < MAX_PRINT_BUSY_SHARE


def _reconsidered(
    small: U8, source: Source, mask: F32, *, own: F32, confidence: float, busy_share: float
) -> tuple[Source, F32]:
    """Return the source and the mask that take the place of a doubted one; the same where none is better."""
    if source in (Source.FIRST_LOOK, Source.SECOND_LOOK):
        return source, open_agreed(small, mask, own)
    seen, mine = mask > 0.5, own > 0.5
    area = max(1, int(seen.sum()))
    holds = (seen & ~mine).sum() <= MAX_MISSING_SHARE * area
    is_clear = _is_clear(confidence, busy_share)
    if source is Source.FINE and is_clear and holds and (mine & ~seen).sum() <= MAX_LOST_BY_FINE * area:
        return Source.CLASSICAL, own
    return source, mask


def _rectangle(mine: Mask) -> Mask | None:
    """Return the convex hull of the classical mask where it is a rectangle that the mask nearly fills."""
    points = cv2.findNonZero(mine.astype(np.uint8))
    if points is None:
        return None
    hull = cv2.convexHull(points)
    filled = np.zeros(mine.shape, np.uint8)
    cv2.fillConvexPoly(filled, hull, 1)
    (_, (width, height), _), area = cv2.minAreaRect(hull), int(filled.sum())
    if area < MIN_RECTANGLE_SHARE * width * height or mine.sum() < MIN_FILLED_SHARE * area:
        return None
    frame = np.concatenate([filled[0], filled[-1], filled[:, 0], filled[:, -1]])
    return filled > 0 if frame.mean() < MAX_FRAME_SHARE else None  # the whole picture is no product


def _with_fine_detail(coarse: F32, looks: _Looks, mask: F32) -> F32:
    """Return a large net's mask at the photo's size: in its own detail, where it was not repaired.

    Args:
        coarse: The mask, enlarged from the working size.
        looks: The net's maps.
        mask: The mask at working size.
    """
    size = (coarse.shape[1], coarse.shape[0])
    fine, repaired = _resized(looks.seen, size), (np.abs(mask - looks.first) > 0).astype(np.uint8)
    if not repaired.any():
        return fine
    return np.where(cv2.resize(repaired, size, interpolation=cv2.INTER_NEAREST) > 0, coarse, fine)


def _full_size(rgb: U8, coarse: F32, source: Source) -> U8:
    """Return the alpha matte at the photo's size.

    Args:
        rgb: The photo, (h, w, 3).
        coarse: The mask at that size, (h, w), 0 to 1.
        source: Where the mask comes from: it sets how far edges may move.
    """
    height, width = rgb.shape[:2]
    if source is Source.RECTANGLE:
        return np.asarray(coarse * 255 + 0.5, np.uint8)
    shares = {Source.FIRST_LOOK: FIRST_RADIUS, Source.SECOND_LOOK: SECOND_RADIUS, Source.FINE: FINE_RADIUS}
    share = shares[source]
    radius = max(2, round(share * max(width, height)))
    left, top, across, down = cv2.boundingRect((coarse > 0.02).astype(np.uint8))
    margin = 2 * radius
    rows = slice(max(0, top - margin), top + down + margin)
    columns = slice(max(0, left - margin), left + across + margin)
    alpha = np.zeros((height, width), np.uint8)
    led = guide_mask(np.ascontiguousarray(rgb[rows, columns]), coarse[rows, columns], radius)
    alpha[rows, columns] = led * 255 + 0.5
    if source is not Source.FINE:
        alpha[rows, columns] = settle_opacity(np.ascontiguousarray(alpha[rows, columns]), radius)
    return alpha


def background_behind(small: U8, mask: F32, size: tuple[int, int]) -> U8:
    """Return the background's colour at the photo's size, behind the product too."""
    product = (mask > 0.1).astype(np.uint8)
    behind = extend_colours(small, product == 0).astype(np.float32) / np.float32(255)
    return np.asarray(cv2.resize(local_background(small, product, behind), size), np.uint8)
