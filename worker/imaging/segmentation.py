"""Which pixels of a product photo are the product, and how sure we are.

Method, at 512 px in Lab: a surface is fitted to the rim, then twice more, of fourth order, to all that the background
reaches from there. Each pixel is then brighter, darker or otherwise coloured than that surface, in units of what the
background itself does. Brighter or otherwise coloured is product. Just alike and reached from the frame is background.
Darker but of the same chroma is a shadow or a grey product; what tells them apart is sharpness: the lens draws every
edge of the product about as sharp, a shadow's edge is blurred by the light's size. The background walks from the frame
through shadows, but over nothing sharp, and with a radius, so that it does not squeeze through gaps.

Mean mask IoU on 12 photos of six product models (gradient, shadow, grain) / 90 composites of their clean views on five
grounds / 36 clean views on white; lowest of the 12 (docs/benchmarks.md says how to repeat):
- quadratic surface through the rim, shadows let go of in the lowest 30 %: .900 / .952 / .990; .478
- surface refitted to all that is reached, evidence weighed in a minimal cut (total variation, 200 rounds): .907 / .856 / .977; .826
- the same with sharpness against shadows: .954 / .967 / .995; .837
- shadows reached over nothing sharp leave at once, wherever they are: .975 / .984 / .995; .927
- the minimal cut left out: the same figures, a quarter of a second less
- faint chroma by a median over 9 pixels, away from strong colour, and holes up to 0.7: .979 / .987 / .995; .946
- edges from 0.65 up: .983 / .985 / .996; .966
- holes creep back to their outline too: .985 / .987 / .998; .967
- outlines smoothed where nothing is clear, faint parts that stand apart left out (this file): .985 / .987 / .998; .967
Lost: the median for lightness too (.955: poly errors become product); shadows twice as sharp (soles and grey cases go);
growth by 4 or 12 pixels instead of 7 (.956, .971).
What is left: grey products on grey whose shading looks like a shadow, and holes between many thin legs.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.background import Background, Mask, border_mask, fit_background
from worker.imaging.plane_arithmetic import gaussian_blur

F32 = NDArray[np.float32]
Planes = tuple[F32, F32, F32]  # lightness, a and b
U8 = NDArray[np.uint8]

LOOSE = (3.2, 3.0)  # Lab units of lightness and of chroma: what may be background at first sight
TIGHT = (0.7, 1.2)  # the same, once the surface is known
SMEARED = 3.0  # of chroma, where the coder's smear was not reduced away
EDGE_SLOPE = 0.65  # Lab units per pixel: studio gradients are less steep, outlines steeper
COARSE = 3.5  # pixels: what is smoother than this is no sharp edge
GAP = 2  # pixels: the background does not pass gaps of twice this width
CALM = 7  # pixels: the outline's wiggles where it is not clear
GROWTH = 7  # pixels: how far it creeps on where it cannot walk
STRONG = 2.5  # deviations above this colour their neighbourhood, by the coder's blocks
SHADOW_DEPTH = 0.4  # of (L + 16): deeper is no shadow
SHADOW_SHARP = 0.9
SHADOW_FROM = (
    0.3  # of the product's height, from its top: shadows lie below, unless the outline is surer without any
)
SURER = 0.08
LOW, HIGH_SHADE, DOUBTFUL = (
    0.7,
    0.1,
    3.0,
)  # shadows lie below this share of the height; more of the product's area above it is doubtful
HOLE_MIN = 0.0006  # of the picture's area; a fifth of it where the hole is just like the background
HOLE_ALIKE, HOLE_SAME = 0.7, 0.25
SPECK = 0.004  # of the largest part's area: smaller parts are dirt
_SQUARE, _CROSS = (cv2.getStructuringElement(form, (3, 3)) for form in (cv2.MORPH_RECT, cv2.MORPH_CROSS))
STRAY = 0.10  # the same at the frame: a corner where the light falls off, or something beside the product


def segment(lab: F32, reduced: float) -> tuple[U8, float, Background]:
    """The mask (0 or 1), the confidence in it (0 to 1), and the background.

    lab: (h, w, 3) float32. reduced: how many pixels of the photo's side make one of these; coders smear colour over two.
    """
    border = border_mask(lab.shape)
    smooth = cv2.GaussianBlur(lab, (0, 0), 0.8)
    slopes = _relative(_slope(cv2.GaussianBlur(lab, (0, 0), 1.2)), border)
    ground = fit_background(smooth, border, 2)
    known, difference = border, _difference(smooth, ground)
    bright, dark, chroma = _deviations(difference, ground, *LOOSE)
    for _ in range(2):
        reached = _reached((np.maximum(bright, chroma) < 1) & (dark < 1), slopes)
        inner = (cv2.erode(reached.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) | (border & reached)
        if inner.mean() < 0.1:
            break
        known = inner
        ground = fit_background(smooth, known, 4)
        difference = _difference(smooth, ground)
        bright, dark, chroma = _deviations(difference, ground, *TIGHT)
        chroma = _with_faint_chroma(
            difference,
            np.maximum(np.maximum(bright, dark), chroma),
            chroma * max(TIGHT[1], 4 * ground.noise[1]),
            known,
            SMEARED if reduced < 2 else TIGHT[1],
        )
        if ground.is_plain:
            break
    colour = np.maximum(bright, chroma)
    depth = 1 - (smooth[..., 0] + 16) / (ground.surface[..., 0] + 16)
    sharp = _relative(_sharp_slope(lab), border)
    holes = _open_holes(bright, dark, chroma, slopes)
    deviation = np.maximum(colour, dark)
    mask, sure = np.zeros_like(known, np.uint8), -1.0
    for start in (SHADOW_FROM, 0.0):
        if sure <= 1 - SURER:
            other = _without_specks(_product(colour, dark, depth, sharp, holes, start), deviation)
            surer = _confidence(other, deviation, sharp)
            mask, sure = (other, surer) if surer > sure + SURER else (mask, sure)
    return _calmed(mask, deviation, sharp), max(0.0, sure - _doubt(mask, deviation)), ground


def _difference(smooth: F32, ground: Background) -> Planes:
    """What a pixel has more than the background; a shadow scales a and b as it scales L + 16, and is no difference in them."""
    (light, *tints), (paper, *tinted) = cv2.split(smooth), cv2.split(ground.surface)
    ratio = (light + 16) / (paper + 16)
    a, b = (
        cv2.GaussianBlur(tint - of_paper * ratio, (0, 0), 1.0)
        for tint, of_paper in zip(tints, tinted, strict=True)
    )
    return light - paper, a, b


def _deviations(difference: Planes, ground: Background, light: float, tint: float) -> tuple[F32, F32, F32]:
    """How much brighter, darker and otherwise coloured each pixel is; 1 is where the background ends."""
    light, tint = max(light, 4 * ground.noise[0]), max(tint, 4 * ground.noise[1])
    more = difference[0] / np.float32(light)
    return np.maximum(more, 0), np.maximum(-more, 0), cv2.magnitude(*difference[1:]) / np.float32(tint)


def _with_faint_chroma(difference: Planes, deviation: F32, tint: F32, known: Mask, least: float) -> F32:
    """Deviation in chroma again, with what is faint but lasts over several pixels; the coder's single blocks do not last."""
    lasting = cv2.magnitude(*(_median(plane) for plane in difference[1:]))
    away = cv2.dilate((deviation > STRONG).astype(np.uint8), disc_kernel(5)) == 0
    plain = lasting[known & away]
    faint = max(0.3, 1.6 * float(np.percentile(plain, 97)) if len(plain) else 0.0)
    wide = max(least, float(np.percentile(tint[known], 99)))
    return np.maximum(tint / wide, np.where(away, lasting / faint, 0)).astype(np.float32)


def _median(plane: F32) -> F32:
    """The median over 9 x 9 pixels, or nearly: over 5 x 5 at half the size, where it costs a twentieth."""
    half = cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.medianBlur(half, 5), plane.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _product(colour: F32, dark: F32, depth: F32, sharp: F32, holes: Mask, start: float) -> U8:
    """1 where a pixel is the product's; shadows lie below `start` of its height."""
    sure = np.flatnonzero(((colour > 1.5) | (depth > 0.5)).sum(1) > 1)
    top, foot = (sure[0], sure[-1]) if len(sure) else (0, len(colour))
    low = (np.arange(len(colour))[:, None] - top) / max(1, foot - top) > start if start else np.True_
    shade = (colour <= 1) & (dark > 1)
    passable = (colour <= 1) & (depth < SHADOW_DEPTH) & (~shade | low)
    reached = _reached(passable, np.where(shade, sharp * SHADOW_SHARP, sharp).astype(np.float32))
    return (~(reached | holes)).astype(np.uint8)


def _open_holes(bright: F32, dark: F32, chroma: F32, slopes: F32) -> Mask:
    """Regions that are, on the average, just like the background."""
    like = np.maximum(np.maximum(bright, dark), chroma) <= 1
    alike = like & (slopes < 1)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(alike.astype(np.uint8), connectivity=4)
    area = np.maximum(1, stats[:, cv2.CC_STAT_AREA])
    offset = np.abs(np.bincount(labels.ravel(), (bright - dark).ravel(), count)) / area
    off = np.maximum(offset, np.bincount(labels.ravel(), chroma.ravel(), count) / area)
    least = HOLE_MIN * alike.size
    opened = (off < HOLE_ALIKE) & (area >= np.where(off < HOLE_SAME, 0.2 * least, least))
    opened[0] = False
    return _grown(opened[labels], like)


def _slope(lab: F32) -> F32:
    """Steepness in Lab units per pixel."""
    squares = np.zeros(lab.shape[:2], np.float32)
    for plane in cv2.split(lab):
        for dx, dy in ((1, 0), (0, 1)):
            cv2.accumulateSquare(cv2.Sobel(plane, cv2.CV_32F, dx, dy, ksize=3, scale=1 / 8), squares)
    return np.sqrt(squares)


def _sharp_slope(lab: F32) -> F32:
    """Steepness of what stays when the smooth part is taken away: nothing of a soft shadow, nearly all of an outline."""
    fine = cv2.GaussianBlur(lab, (0, 0), 0.8)
    steep, rest = _slope(fine), _slope(fine - gaussian_blur(lab, COARSE, 2))
    return np.asarray(rest * np.clip((rest / np.maximum(steep, 0.05) - 0.3) / 0.3, 0, 1), np.float32)


def _relative(slope: F32, border: Mask) -> F32:
    """In units of what grain and gradient make at the rim: above 1 is an edge."""
    return np.asarray(slope / max(EDGE_SLOPE, 3 * float(np.percentile(slope[border], 75))), np.float32)


def _reached(passable: Mask, edges: F32) -> Mask:
    """Where the background gets to from the frame: it walks with a radius, never over an edge, then creeps a little on."""
    free = (passable & (edges < 1)).astype(np.uint8)
    walked = _from_frame(cv2.erode(free, disc_kernel(GAP), borderType=cv2.BORDER_CONSTANT, borderValue=1))
    return _grown(walked, passable) | walked


def _grown(start: Mask, passable: Mask) -> Mask:
    """What `start` creeps on to through passable pixels."""
    for _ in range(GROWTH):
        start = (cv2.dilate(start.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & passable
    return start


def disc_kernel(radius: int) -> U8:
    """A round brush, (2 radius + 1) pixels across."""
    return np.asarray(
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8
    )


def within_distance(parts: Mask, radius: int) -> Mask:
    """Where one of the parts is so many pixels away at most; an octagon's worth, a third of what distances take."""
    grown = parts.astype(np.uint8)
    for step in range(radius):
        grown = cv2.dilate(grown, _SQUARE if step % 5 in (1, 3) else _CROSS)
    return np.asarray(grown > 0)


def _from_frame(free: U8) -> Mask:
    """The part of `free` that is connected to the picture's frame."""
    padded = cv2.copyMakeBorder(free, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, labels = cv2.connectedComponents(padded, connectivity=4)
    return np.asarray((labels[1:-1, 1:-1] == labels[0, 0]) & (free > 0))


def _calmed(mask: U8, deviation: F32, sharp: F32) -> U8:
    """The mask with its outline smoothed where nothing says just where it runs: there it is noise that decides."""
    ring = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    clear = cv2.dilate((ring & ((sharp > 1) | (deviation > STRONG))).astype(np.uint8), disc_kernel(CALM)) > 0
    smooth = (gaussian_blur(mask.astype(np.float32), CALM, 2) > 0.5).astype(np.uint8)
    return np.where(clear, mask, smooth).astype(np.uint8)


def _without_specks(mask: U8, deviation: F32) -> U8:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if len(stats) <= 1:
        return mask
    area = stats[:, cv2.CC_STAT_AREA]
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    right, bottom = left + stats[:, cv2.CC_STAT_WIDTH], top + stats[:, cv2.CC_STAT_HEIGHT]
    at_frame = (left == 0) | (top == 0) | (right == mask.shape[1]) | (bottom == mask.shape[0])
    clear = np.bincount(labels.ravel(), deviation.ravel(), len(stats)) / np.maximum(1, area) > STRONG
    keep = area >= np.where(at_frame | ~clear, STRAY, SPECK) * max(area[1:].max(), 12 / SPECK)
    keep[0] = False
    return np.asarray(keep[labels], np.uint8)


def _doubt(mask: U8, deviation: F32) -> float:
    """What to take from the confidence when much within the outline, too high for a shadow, stands out and was let go as one."""
    rows = np.flatnonzero(mask.any(1))
    if not len(rows):
        return 0.0
    within = np.zeros_like(mask)
    ends = mask[rows].argmax(1), mask.shape[1] - 1 - mask[rows, ::-1].argmax(1)
    hull = cv2.convexHull(np.vstack([np.stack([columns, rows], 1) for columns in ends]).astype(np.int32))
    cv2.fillConvexPoly(within, hull, 1)
    let_go = cv2.morphologyEx(
        ((deviation > 1) & (mask == 0) & (within > 0)).astype(np.uint8),
        cv2.MORPH_OPEN,
        np.ones((5, 5), np.uint8),
    )
    high = int(let_go[: round(rows[0] + LOW * (rows[-1] - rows[0]))].sum())
    return float(DOUBTFUL * max(0.0, high / int(mask.sum()) - HIGH_SHADE))


def _confidence(mask: U8, deviation: F32, edges: F32) -> float:
    """How much of the outline stands out clearly: by colour just inside of it and a sharp edge on it."""
    ring = (mask == 1) & (cv2.erode(mask, np.ones((3, 3), np.uint8)) == 0)
    if not ring.any():
        return 0.0
    near = cv2.dilate(np.minimum((deviation - 1) / 2, edges - 0.5), np.ones((5, 5), np.uint8))
    return float(np.clip(near[ring], 0, 1).mean())
