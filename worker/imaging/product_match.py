"""Product match: is the photo's product still shown, unchanged, in a picture that a provider made?

The product is located in the picture by its features (SIFT, an affine map by MAGSAC), or, if it has few, by
its edges (edge_matching.py). The picture is then warped onto the photo and compared. The light may differ:
lightness and tint are adapted to the photo's before colours are compared. Lettering and marks are compared
patch by patch where they are large enough to be legible in the picture.

Thresholds are calibrated by `python -m benchmarks.product_match_detection` on correct pictures and on
pictures with planted changes; docs/imaging.md has the figures.
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
Mask = NDArray[np.bool_]

PHOTO_PX, PICTURE_PX = 560, 1120  # longer sides at which photo and picture are compared
MIN_INLIERS = 10
DISTANCE_RATIO = 0.8  # Lowe's ratio test
MAX_ROTATION_DEG, MAX_STRETCH = 35.0, 1.6  # rotation, width to height: a map beyond was found by chance
EDGE_PX = 5  # the outline is mixed with the background and not compared
BLOCK_PX = 28
MIN_PATTERN_LEVELS = 5.0  # of 255: the standard deviation from which on a block has a pattern to compare
MAX_TINT = 14.0  # CIE Lab units of tint that a change of light may bring
MIN_LEGIBLE_PX = 9.0  # height of lettering in the picture
SEARCH_SHARE = 0.25  # of a mark's height: how far around its place it is searched


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductMatch:
    """How well a picture shows the product of a photo."""

    method: str = ""  # "features", "edges", or empty if the product was not found
    colour_difference: float = 0.0  # median CIEDE2000 after the light was adapted
    pattern_share: float = 1.0  # of the patterned blocks that match; 1 without a pattern
    lettering: float | None = None  # correlation of the worst legible mark; None without one
    stretch: float = 1.0  # width to height, relative to the photo
    visible_share: float = 1.0  # of the product that is within the picture
    mirrored: bool = False  # only its mirror image was found, and nothing more was measured
    box: tuple[int, int, int, int] = (0, 0, 0, 0)  # left, top, right, bottom in the picture


def match_product(cutout: Cutout, picture: U8) -> ProductMatch:
    """Locate the product of a photo in a picture, and compare the two.

    Args:
        cutout: The product, cut out of the photo.
        picture: (h, w, 3).
    """
    photo, mask = _product_crop(cutout)
    reduced, scale = _reduce(picture, PICTURE_PX)
    affine = _match_by_features(photo, mask, reduced)
    method = "features"
    if affine is not None:
        affine = refine_by_edges(photo, mask, reduced, affine)
    else:
        affine, method = match_by_edges(photo, mask, reduced), "edges"
    if affine is None or not _is_plausible(affine):
        mirrored = match_by_edges(
            np.ascontiguousarray(photo[:, ::-1]), np.ascontiguousarray(mask[:, ::-1]), reduced
        )
        found = mirrored is not None and _is_plausible(mirrored)
        return ProductMatch(method="edges", mirrored=True) if found else ProductMatch()
    affine = _refine_by_intensity(photo, mask, reduced, affine)
    height, width = mask.shape
    warped = _warp_to_photo(reduced, affine, width, height)
    frame = cv2.warpAffine(
        np.full(reduced.shape[:2], 255, np.uint8),
        affine,
        (width, height),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
    )
    core = cv2.erode(mask, np.ones((2 * EDGE_PX + 1,) * 2, np.uint8)) > 127
    visible_share = float((frame[mask > 127] > 0).mean())
    core &= frame > 0
    if core.sum() < BLOCK_PX**2:
        return ProductMatch()
    lab = _lab(photo)
    picture_lab = _adapt_light(lab, _lab(warped), core)
    return ProductMatch(
        method=method,
        colour_difference=_colour_difference(lab, picture_lab, core),
        pattern_share=_pattern_share(lab[..., 0], picture_lab[..., 0], core),
        lettering=_compare_lettering(photo, mask, reduced, affine),
        stretch=_stretch(affine),
        visible_share=visible_share,
        box=_box(mask, affine, scale),
    )


def _product_crop(cutout: Cutout) -> tuple[U8, U8]:
    """Return the product's crop on its own mean colour, and its mask, at working size."""
    left, top, right, bottom = cutout.box
    margin = max(8, (right - left + bottom - top) // 40)
    rows = slice(max(0, top - margin), bottom + margin)
    columns = slice(max(0, left - margin), right + margin)
    rgb, alpha = cutout.rgb[rows, columns], cutout.alpha[rows, columns]
    background = rgb[alpha > 250].mean(0) if (alpha > 250).any() else np.full(3, 128.0)
    a = alpha[..., None].astype(np.float32) / 255
    flat, _ = _reduce(np.asarray(rgb * a + background * (1 - a) + 0.5, np.uint8), PHOTO_PX)
    mask, _ = _reduce(alpha, PHOTO_PX)
    return flat, mask


def _reduce(picture: U8, max_side_px: int) -> tuple[U8, float]:
    """Return the picture reduced to a longer side, and the scale."""
    scale = min(1.0, max_side_px / max(picture.shape[:2]))
    if scale == 1.0:
        return picture, 1.0
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)), scale


def _warp_to_photo(picture: U8, affine: F32, width: int, height: int) -> U8:
    """Return the picture warped onto the photo's crop."""
    return np.asarray(
        cv2.warpAffine(
            picture,
            affine,
            (width, height),
            flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )


def _match_by_features(photo: U8, mask: U8, picture: U8) -> F32 | None:
    """Return the affine map from the photo's product to the picture, (2, 3), if enough features agree."""
    sift = cv2.SIFT_create(  # type: ignore[attr-defined]  # the stubs of OpenCV 5 lack it
        nfeatures=3000, contrastThreshold=0.02
    )
    inner = cv2.erode(mask, np.ones((3, 3), np.uint8))
    keys, descriptors = sift.detectAndCompute(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), inner)
    picture_keys, picture_descriptors = sift.detectAndCompute(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), None)
    if descriptors is None or picture_descriptors is None or min(len(keys), len(picture_keys)) < MIN_INLIERS:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(descriptors, picture_descriptors, k=2)
    good = [p[0] for p in pairs if len(p) == 2 and p[0].distance < DISTANCE_RATIO * p[1].distance]
    if len(good) < MIN_INLIERS:
        return None
    source = np.array([keys[m.queryIdx].pt for m in good], np.float32)
    target = np.array([picture_keys[m.trainIdx].pt for m in good], np.float32)
    affine, inliers = cv2.estimateAffine2D(
        source, target, method=cv2.USAC_MAGSAC, ransacReprojThreshold=3.0, maxIters=5000, confidence=0.999
    )
    if affine is None or int(inliers.sum()) < max(MIN_INLIERS, 0.15 * len(good)):
        return None
    spread = np.ptp(source[inliers.ravel() > 0], axis=0) / np.array(mask.shape[::-1])
    if spread.max() < 0.3 or not _is_plausible(affine):
        # a corner that matches says nothing of the rest, so a similarity, which cannot shear, is tried
        affine, inliers = cv2.estimateAffinePartial2D(
            source, target, method=cv2.RANSAC, ransacReprojThreshold=4.0, maxIters=5000, confidence=0.999
        )
        if affine is None or int(inliers.sum()) < MIN_INLIERS or not _is_plausible(affine):
            return None
    return np.asarray(affine, np.float32)


def _is_plausible(affine: NDArray[np.floating]) -> bool:
    """Return whether a map can be that of an upright product: not mirrored, rotated or stretched too far."""
    a = np.asarray(affine, np.float64)[:, :2]
    if np.linalg.det(a) <= 0:
        return False
    rotation = np.degrees(np.arctan2(a[1, 0] - a[0, 1], a[0, 0] + a[1, 1]))
    large, small = np.linalg.svd(a, compute_uv=False)
    return bool(abs(rotation) < MAX_ROTATION_DEG and large / small < MAX_STRETCH and 0.1 < large < 8)


def _refine_by_intensity(photo: U8, mask: U8, picture: U8, affine: F32) -> F32:
    """Return the map refined by the grey values themselves (ECC), or unchanged if that does not converge."""
    grey, picture_grey = (
        cv2.GaussianBlur(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), (0, 0), 1.2) for p in (photo, picture)
    )
    try:
        correlation, refined = cv2.findTransformECC(
            grey,
            picture_grey,
            affine.copy(),
            cv2.MOTION_AFFINE,
            (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-5),
            mask,
            5,
        )
    except cv2.error:
        return affine
    return np.asarray(refined, np.float32) if correlation > 0.3 and _is_plausible(refined) else affine


def _stretch(affine: F32) -> float:
    a = affine[:, :2].astype(np.float64)
    return float(np.linalg.norm(a[:, 0]) / np.linalg.norm(a[:, 1]))


def _box(mask: U8, affine: F32, scale: float) -> tuple[int, int, int, int]:
    """Return the product's box in the picture at its full size."""
    rows, columns = np.flatnonzero((mask > 127).any(1)), np.flatnonzero((mask > 127).any(0))
    corners = (
        np.array([[x, y, 1] for x in (columns[0], columns[-1]) for y in (rows[0], rows[-1])], np.float64)
        @ affine.T
        / scale
    )
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    return round(left), round(top), round(right), round(bottom)


def _lab(rgb: U8) -> F32:
    return np.asarray(rgb2lab(cv2.GaussianBlur(rgb, (0, 0), 1.0)), np.float32)


def _adapt_light(lab: F32, picture: F32, core: Mask) -> F32:
    """Return the picture with lightness and tint adapted to the photo's, as far as light explains it."""
    low, high = np.percentile(lab[..., 0][core], (5, 95))
    picture_low, picture_high = np.percentile(picture[..., 0][core], (5, 95))
    gain = np.clip((high - low + 8) / (picture_high - picture_low + 8), 0.6, 1.7)
    out = picture.copy()
    out[..., 0] = (picture[..., 0] - np.median(picture[..., 0][core])) * gain + np.median(lab[..., 0][core])
    tint = np.median(lab[..., 1:][core] - picture[..., 1:][core], axis=0)
    size = float(np.hypot(*tint))
    # half of it: a product that changed its colour altogether stays different
    out[..., 1:] += tint * min(1.0, MAX_TINT / max(size, 1e-6)) * 0.5
    return out


def _colour_difference(lab: F32, picture: F32, core: Mask) -> float:
    sample = np.flatnonzero(core)[:: max(1, int(core.sum()) // 20_000)]
    return float(np.median(deltaE_ciede2000(lab.reshape(-1, 3)[sample], picture.reshape(-1, 3)[sample])))


def _pattern_share(light: F32, picture: F32, core: Mask) -> float:
    """Return the share of patterned blocks whose pattern is the same, by local correlation within 4 pixels.

    A block that is plain in the photo and patterned in the picture counts as different.
    """
    matches = []
    min_deviation = MIN_PATTERN_LEVELS * 100 / 255
    for y in range(0, core.shape[0] - BLOCK_PX, BLOCK_PX // 2):
        for x in range(0, core.shape[1] - BLOCK_PX, BLOCK_PX // 2):
            block = (slice(y, y + BLOCK_PX), slice(x, x + BLOCK_PX))
            if core[block].mean() < 0.9:
                continue
            if light[block].std() > min_deviation:
                matches.append(_correlation(light[block], picture, x, y, 4) > 0.5)
            elif picture[block].std() > 2.5 * min_deviation:
                matches.append(False)
    return float(np.mean(matches)) if len(matches) >= 4 else 1.0


def _correlation(patch: F32, picture: F32, x: int, y: int, radius: int) -> float:
    """Return the best correlation of a patch with a picture within a radius of its place."""
    height, width = patch.shape
    top, left = max(0, y - radius), max(0, x - radius)
    around = picture[top : y + height + radius, left : x + width + radius]
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
    """Find lettering and small marks on a product: strokes that differ in lightness from around them.

    Args:
        rgb: The product's crop, (h, w, 3).
        mask: Where the product is, (h, w).

    Returns:
        Left, top, width and height of each mark; the letters of a word make one.
    """
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    size = max(9, max(mask.shape) // 22) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (size, size))
    inner = cv2.erode(mask, np.ones((2 * EDGE_PX + 1,) * 2, np.uint8)) > 127
    boxes = []
    for operation in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        strokes = ((cv2.morphologyEx(grey, operation, kernel) > 40) & inner).astype(np.uint8)
        words = cv2.morphologyEx(strokes, cv2.MORPH_CLOSE, np.ones((3, size), np.uint8))
        _, _, stats, _ = cv2.connectedComponentsWithStats(words)
        for x, y, width, height, _ in stats[1:]:
            ink = strokes[y : y + height, x : x + width]
            letters = cv2.connectedComponents(ink)[0] - 1
            if 7 <= height <= 3 * size and width >= 1.5 * height and 0.15 < ink.mean() < 0.8 and letters >= 3:
                boxes.append((int(x), int(y), int(width), int(height)))
    return boxes


def _compare_lettering(photo: U8, mask: U8, picture: U8, affine: F32) -> float | None:
    """Return the correlation of the worst legible mark, or None if there is no legible mark."""
    scale = float(np.sqrt(np.linalg.det(affine[:, :2].astype(np.float64))))
    correlations = [
        _mark_correlation(photo, picture, affine, box)
        for box in find_lettering(photo, mask)
        if box[3] * scale >= MIN_LEGIBLE_PX
    ]
    return min(correlations) if correlations else None


def _mark_correlation(photo: U8, picture: U8, affine: F32, box: tuple[int, int, int, int]) -> float:
    """Return the mean correlation of the worst third of a mark's letters with the picture."""
    x, y, width, height = box
    radius = max(3, round(SEARCH_SHARE * height))
    photo_grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32)
    warped = _warp_to_photo(picture, affine, photo.shape[1], photo.shape[0])
    picture_grey = cv2.cvtColor(warped, cv2.COLOR_RGB2GRAY).astype(np.float32)
    step = max(4, height)
    letters = [(left, min(step, x + width - left)) for left in range(x, x + width - step // 2, step)]
    correlations = sorted(
        _correlation(
            photo_grey[y - 1 : y + height + 1, left : left + letter_width], picture_grey, left, y - 1, radius
        )
        for left, letter_width in letters
        if letter_width >= step // 2
    )
    return float(np.mean(correlations[: max(1, len(correlations) // 3)])) if correlations else 1.0
