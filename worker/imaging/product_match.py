"""Whether a picture that somebody else made still shows the product: found in it, laid over its photo, and compared.

The product is found by its own features (SIFT, an affine map by MAGSAC); plain ones that have few by their edges (worker/imaging/edge_matching.py). Light
may differ: lightness and tint are brought to the photo's before colours are compared. What the eye reads,
lettering and marks, is compared patch by patch, where it is large enough to be legible in the picture.

Thresholds are calibrated by `python -m benchmarks.product_match_detection` on pictures that are right and pictures with planted changes; figures: docs/imaging.md.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

from worker.imaging.cutout import Cutout
from worker.imaging.edge_matching import match_by_edges, refine_by_edges

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

PHOTO_PX, MADE_PX = 560, 1120  # longer sides that are worked on
LEAST_INLIERS, RATIO = 10, 0.8
MAX_TURN, MAX_STRETCH = 35.0, 1.6  # degrees and width to height: what is further off was found by chance
INSIDE_PX = 5  # the outline itself is mixed with the ground
BLOCK_PX = 28
BUSY = 5.0  # of 255: the standard deviation from which on a block has something to compare
LIGHT = 14.0  # CIE Lab units of tint that light may bring
LEGIBLE_PX = 9.0  # height of lettering in the picture
SEARCH = 0.25  # of a mark's height: how far around it is looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductMatch:
    """What was found. by: "features", "edges", or empty where the product was not found. colour: median CIEDE2000, light allowed for.

    structure: share of the patterned blocks that fit, 1 where there is no pattern. marks: how well the worst legible mark fits, None where
    there is none. stretch: width to height, 1 as in the photo. seen: the share of the product that the picture shows. mirrored: it is not
    found but for its mirror image, and nothing more was measured.
    """

    method: str = ""
    colour_difference: float = 0.0
    pattern_share: float = 1.0
    lettering: float | None = None
    stretch: float = 1.0
    visible_share: float = 1.0
    mirrored: bool = False
    box: tuple[int, int, int, int] = (0, 0, 0, 0)


def match_product(cutout: Cutout, picture: U8) -> ProductMatch:
    """The product of the photo's cut-out, in the picture made. made: (h, w, 3) uint8."""
    photo, mask = _product(cutout)
    shown, scale = _shrunk(picture, MADE_PX)
    found = _by_features(photo, mask, shown)
    by = "features"
    if found is not None:
        found = refine_by_edges(photo, mask, shown, found)
    else:
        found, by = match_by_edges(photo, mask, shown), "edges"
    if found is None or not _sane(found):
        swapped = match_by_edges(
            np.ascontiguousarray(photo[:, ::-1]), np.ascontiguousarray(mask[:, ::-1]), shown
        )
        return (
            ProductMatch()
            if swapped is None or not _sane(swapped)
            else ProductMatch(method="edges", mirrored=True)
        )
    found = _refined(photo, mask, shown, found)
    height, width = mask.shape
    there = cv2.warpAffine(
        shown,
        found,
        (width, height),
        flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    frame = cv2.warpAffine(
        np.full(shown.shape[:2], 255, np.uint8),
        found,
        (width, height),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
    )
    core = cv2.erode(mask, np.ones((2 * INSIDE_PX + 1,) * 2, np.uint8)) > 127
    seen = float((frame[mask > 127] > 0).mean())
    core &= frame > 0
    if core.sum() < BLOCK_PX**2:
        return ProductMatch()
    lab, lab_made = _same_light(_lab(photo), _lab(there), core)
    return ProductMatch(
        method=by,
        colour_difference=_colour(lab, lab_made, core),
        pattern_share=_structure(lab[..., 0], lab_made[..., 0], core),
        lettering=_marks(photo, mask, shown, found),
        stretch=_stretch(found),
        visible_share=seen,
        box=_box(mask, found, scale),
    )


def _product(cutout: Cutout) -> tuple[U8, U8]:
    """The product's own crop and its mask, at working size, on its own mean colour."""
    left, top, right, bottom = cutout.box
    pad = max(8, (right - left + bottom - top) // 40)
    rows = slice(max(0, top - pad), bottom + pad)
    columns = slice(max(0, left - pad), right + pad)
    rgb, alpha = cutout.rgb[rows, columns], cutout.alpha[rows, columns]
    ground = rgb[alpha > 250].mean(0) if (alpha > 250).any() else np.full(3, 128.0)
    a = alpha[..., None].astype(np.float32) / 255
    flat, _ = _shrunk(np.asarray(rgb * a + ground * (1 - a) + 0.5, np.uint8), PHOTO_PX)
    small, _ = _shrunk(alpha, PHOTO_PX)
    return flat, small


def _shrunk(picture: U8, longest: int) -> tuple[U8, float]:
    scale = min(1.0, longest / max(picture.shape[:2]))
    if scale == 1.0:
        return picture, 1.0
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)), scale


def _by_features(photo: U8, mask: U8, shown: U8) -> F32 | None:
    """The map from the photo's product to the picture, (2, 3); None where too few features say the same."""
    sift = cv2.SIFT_create(nfeatures=3000, contrastThreshold=0.02)  # type: ignore[attr-defined]  # the stubs of OpenCV 5 lack it
    inner = cv2.erode(mask, np.ones((3, 3), np.uint8))
    keys, described = sift.detectAndCompute(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), inner)
    keys_made, described_made = sift.detectAndCompute(cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY), None)
    if (
        described is None
        or described_made is None
        or len(keys) < LEAST_INLIERS
        or len(keys_made) < LEAST_INLIERS
    ):
        return None
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(described, described_made, k=2)
    good = [p[0] for p in pairs if len(p) == 2 and p[0].distance < RATIO * p[1].distance]
    if len(good) < LEAST_INLIERS:
        return None
    source = np.array([keys[m.queryIdx].pt for m in good], np.float32)
    target = np.array([keys_made[m.trainIdx].pt for m in good], np.float32)
    found, inliers = cv2.estimateAffine2D(
        source, target, method=cv2.USAC_MAGSAC, ransacReprojThreshold=3.0, maxIters=5000, confidence=0.999
    )
    if found is None or int(inliers.sum()) < max(LEAST_INLIERS, 0.15 * len(good)):
        return None
    spread = np.ptp(source[inliers.ravel() > 0], axis=0) / np.array(mask.shape[::-1])
    if spread.max() < 0.3 or not _sane(
        found
    ):  # a corner that fits says nothing of the rest: a similarity does not bend
        found, inliers = cv2.estimateAffinePartial2D(
            source, target, method=cv2.RANSAC, ransacReprojThreshold=4.0, maxIters=5000, confidence=0.999
        )
        if found is None or int(inliers.sum()) < LEAST_INLIERS or not _sane(found):
            return None
    return np.asarray(found, np.float32)


def _sane(found: NDArray[np.floating]) -> bool:
    """Whether a map could be that of an upright product: neither mirrored nor turned, nor stretched beyond belief."""
    a = np.asarray(found, np.float64)[:, :2]
    if np.linalg.det(a) <= 0:
        return False
    turn = np.degrees(np.arctan2(a[1, 0] - a[0, 1], a[0, 0] + a[1, 1]))
    large, small = np.linalg.svd(a, compute_uv=False)
    return bool(abs(turn) < MAX_TURN and large / small < MAX_STRETCH and 0.1 < large < 8)


def _refined(photo: U8, mask: U8, shown: U8, found: F32) -> F32:
    """The map made finer by the grey values themselves; as it was where that does not settle."""
    grey, grey_made = (
        cv2.GaussianBlur(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), (0, 0), 1.2) for p in (photo, shown)
    )
    try:
        value, finer = cv2.findTransformECC(
            grey,
            grey_made,
            found.copy(),
            cv2.MOTION_AFFINE,
            (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-5),
            mask,
            5,
        )
    except cv2.error:
        return found
    return np.asarray(finer, np.float32) if value > 0.3 and _sane(finer) else found


def _stretch(found: F32) -> float:
    a = found[:, :2].astype(np.float64)
    return float(np.linalg.norm(a[:, 0]) / np.linalg.norm(a[:, 1]))


def _box(mask: U8, found: F32, scale: float) -> tuple[int, int, int, int]:
    """Where the product is in the picture made, at its full size."""
    rows, columns = np.flatnonzero((mask > 127).any(1)), np.flatnonzero((mask > 127).any(0))
    corners = (
        np.array([[x, y, 1] for x in (columns[0], columns[-1]) for y in (rows[0], rows[-1])], np.float64)
        @ found.T
        / scale
    )
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    return round(left), round(top), round(right), round(bottom)


def _lab(rgb: U8) -> F32:
    return np.asarray(rgb2lab(cv2.GaussianBlur(rgb, (0, 0), 1.0)), np.float32)


def _same_light(lab: F32, made: F32, core: NDArray[np.bool_]) -> tuple[F32, F32]:
    """Both with the made one's lightness scaled and its tint moved to the photo's, as far as light may do that."""
    low, high = np.percentile(lab[..., 0][core], (5, 95))
    low_made, high_made = np.percentile(made[..., 0][core], (5, 95))
    gain = np.clip((high - low + 8) / (high_made - low_made + 8), 0.6, 1.7)
    out = made.copy()
    out[..., 0] = (made[..., 0] - np.median(made[..., 0][core])) * gain + np.median(lab[..., 0][core])
    tint = np.median(lab[..., 1:][core] - made[..., 1:][core], axis=0)
    away = float(np.hypot(*tint))
    out[..., 1:] += (
        tint * min(1.0, LIGHT / max(away, 1e-6)) * 0.5
    )  # half: a product that changed its colour altogether stays different
    return lab, out


def _colour(lab: F32, made: F32, core: NDArray[np.bool_]) -> float:
    chosen = np.flatnonzero(core)[:: max(1, int(core.sum()) // 20_000)]
    return float(np.median(deltaE_ciede2000(lab.reshape(-1, 3)[chosen], made.reshape(-1, 3)[chosen])))


def _structure(light: F32, made: F32, core: NDArray[np.bool_]) -> float:
    """The share of patterned blocks whose pattern is the same, by local correlation, a pixel or two of play allowed; a block that is plain in the
    photo and patterned in the picture does not fit."""
    fits = []
    busy = BUSY * 100 / 255
    for y in range(0, core.shape[0] - BLOCK_PX, BLOCK_PX // 2):
        for x in range(0, core.shape[1] - BLOCK_PX, BLOCK_PX // 2):
            block = (slice(y, y + BLOCK_PX), slice(x, x + BLOCK_PX))
            if core[block].mean() < 0.9:
                continue
            if light[block].std() > busy:
                fits.append(_fit(light[block], made, x, y, 4) > 0.5)
            elif made[block].std() > 2.5 * busy:
                fits.append(False)
    return float(np.mean(fits)) if len(fits) >= 4 else 1.0


def _fit(patch: F32, made: F32, x: int, y: int, play: int) -> float:
    """The best correlation of a patch with the other picture around its place."""
    height, width = patch.shape
    top, left = max(0, y - play), max(0, x - play)
    around = made[top : y + height + play, left : x + width + play]
    if around.shape[0] < height or around.shape[1] < width:
        return 0.0
    return float(
        cv2.matchTemplate(
            np.ascontiguousarray(around, np.float32),
            np.ascontiguousarray(patch, np.float32),
            cv2.TM_CCOEFF_NORMED,
        ).max()
    )


def find_lettering(rgb: U8, mask: U8) -> list[tuple[int, int, int, int]]:
    """Lettering and small marks on the product: left, top, width and height of what differs in lightness from around it, letters of a word together."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    size = max(9, max(mask.shape) // 22) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (size, size))
    inner = cv2.erode(mask, np.ones((2 * INSIDE_PX + 1,) * 2, np.uint8)) > 127
    found = []
    for way in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        strokes = ((cv2.morphologyEx(grey, way, kernel) > 40) & inner).astype(np.uint8)
        words = cv2.morphologyEx(strokes, cv2.MORPH_CLOSE, np.ones((3, size), np.uint8))
        _, _, stats, _ = cv2.connectedComponentsWithStats(words)
        for x, y, width, height, _ in stats[1:]:
            ink = strokes[y : y + height, x : x + width]
            pieces = cv2.connectedComponents(ink)[0] - 1
            if 7 <= height <= 3 * size and width >= 1.5 * height and 0.15 < ink.mean() < 0.8 and pieces >= 3:
                found.append((int(x), int(y), int(width), int(height)))
    return found


def _marks(photo: U8, mask: U8, shown: U8, found: F32) -> float | None:
    """How well the worst legible mark fits."""
    enlarged = float(np.sqrt(np.linalg.det(found[:, :2].astype(np.float64))))
    fits = []
    for x, y, width, height in find_lettering(photo, mask):
        if height * enlarged < LEGIBLE_PX:
            continue
        fits.append(_mark_fit(photo, shown, found, (x, y, width, height)))
    return min(fits) if fits else None


def _mark_fit(photo: U8, shown: U8, found: F32, box: tuple[int, int, int, int]) -> float:
    """The correlation of a mark with the place in the picture where it should be, letter by letter: the worst third counts."""
    x, y, width, height = box
    play = max(3, round(SEARCH * height))
    here = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32)
    size = (photo.shape[1], photo.shape[0])
    warped = cv2.warpAffine(
        shown, found, size, flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    there = cv2.cvtColor(warped, cv2.COLOR_RGB2GRAY).astype(np.float32)
    step = max(4, height)
    letters = [(left, min(step, x + width - left)) for left in range(x, x + width - step // 2, step)]
    fits = sorted(
        _fit(here[y - 1 : y + height + 1, left : left + wide], there, left, y - 1, play)
        for left, wide in letters
        if wide >= step // 2
    )
    return float(np.mean(fits[: max(1, len(fits) // 3)])) if fits else 1.0
