"""Finding a product in a picture by its edges alone: its outline and inner edges laid where the picture's edges run the same way.

The way an edge runs does not change with light or colour. At small size every scale and place is tried, as one correlation of orientation fields a
scale; the best is made finer by moving, sizing, stretching and turning it; and it counts only where most of its edges are found.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

COARSE_PX, FINE_PX = 220, 520  # the picture's longer side
SCALES = 26
SMALLEST = 0.16  # of the picture, the product's larger share of a side
CANDIDATES = 4
POINTS = 1200
FAINT = 8.0  # a gradient in grey levels from which on there is an edge
FOUND = 0.66  # of its edges
BEND = 0.3  # radians of turning, and share of stretching, that are tried


def match_by_edges(photo: U8, mask: U8, shown: U8) -> F32 | None:
    """The map from the photo's product to the picture, (2, 3); None where too few of its edges are found."""
    best: tuple[float, F32] | None = None
    scale = min(1.0, FINE_PX / max(shown.shape[:2]))
    field = _field(cv2.resize(shown, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    points, ways = _edge_points(photo, mask)
    if len(points) < 40:
        return None
    for coarse in _candidates(photo, mask, shown):
        start = coarse * scale
        finer = _finer(points, ways, field, start)
        share = _share(points, ways, field, finer)
        if best is None or share > best[0]:
            best = share, finer
    return np.asarray(best[1] / scale, np.float32) if best and best[0] > FOUND else None


def refine_by_edges(photo: U8, mask: U8, shown: U8, found: F32) -> F32:
    """A map that was found by other means, made finer where that brings more of the product's edges together."""
    scale = min(1.0, FINE_PX / max(shown.shape[:2]))
    field = _field(cv2.resize(shown, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    points, ways = _edge_points(photo, mask)
    if len(points) < 40:
        return found
    start = found * scale
    finer = _finer(points, ways, field, start)
    better = _share(points, ways, field, finer) > _share(points, ways, field, start) + 0.02
    return np.asarray(finer / scale, np.float32) if better else found


def _field(rgb: U8, mask: U8 | None = None) -> F32:
    """The way edges run as doubled angles, (h, w, 2), its length 0 where there is none to 1; the same for light on dark as for dark on light."""
    grey = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab), (0, 0), 0.8).astype(np.float32)
    dx, dy = (cv2.Scharr(grey, cv2.CV_32F, *way) / 32 for way in ((1, 0), (0, 1)))
    strongest = np.hypot(dx, dy).argmax(2)[..., None]
    x, y = (np.take_along_axis(d, strongest, 2)[..., 0] for d in (dx, dy))
    strength = np.hypot(x, y)
    weight = np.clip(strength / FAINT - 0.4, 0, 1) / np.maximum(strength, 1e-6) ** 2
    field = np.dstack([(x * x - y * y) * weight, 2 * x * y * weight])
    return np.asarray(field if mask is None else field * (mask[..., None] > 0), np.float32)


def _on_contrast(photo: U8, mask: U8) -> tuple[U8, U8]:
    """The product on a ground unlike it, so that its outline is an edge all around; and where its edges count."""
    a = mask[..., None].astype(np.float32) / 255
    inside = photo[mask > 127]
    ground = 255.0 if inside.size and inside.mean() < 128 else 0.0
    room = 6
    rgb = cv2.copyMakeBorder(
        np.asarray(photo * a + ground * (1 - a), np.uint8),
        *(room,) * 4,
        cv2.BORDER_CONSTANT,
        value=(ground,) * 3,
    )
    wide = cv2.dilate(
        cv2.copyMakeBorder(mask, *(room,) * 4, cv2.BORDER_CONSTANT, value=0), np.ones((5, 5), np.uint8)
    )
    return rgb, wide


def _candidates(photo: U8, mask: U8, shown: U8) -> Iterator[F32]:
    """Where the product may be, at the picture's own size: the best places over all scales."""
    small = min(1.0, COARSE_PX / max(shown.shape[:2]))
    there = _field(cv2.resize(shown, None, fx=small, fy=small, interpolation=cv2.INTER_AREA))
    rgb, wide = _on_contrast(photo, mask)
    height, width = mask.shape
    most = min(there.shape[0] / height, there.shape[1] / width) * 1.02
    found = []
    for scale in np.geomspace(most * SMALLEST, most, SCALES):
        size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
        if min(size) < 12 or size[0] > there.shape[1] or size[1] > there.shape[0]:
            continue
        own = _field(
            cv2.resize(rgb, size, interpolation=cv2.INTER_AREA),
            cv2.resize(wide, size, interpolation=cv2.INTER_NEAREST),
        )
        fit = sum(
            cv2.matchTemplate(
                np.ascontiguousarray(there[..., n]), np.ascontiguousarray(own[..., n]), cv2.TM_CCORR
            )
            for n in (0, 1)
        )
        fit = fit / max(1.0, float((own**2).sum()))
        y, x = np.unravel_index(int(fit.argmax()), fit.shape)
        found.append(
            (
                float(fit[y, x]),
                np.array([[scale, 0, x + 6 * scale], [0, scale, y + 6 * scale]], np.float32) / small,
            )
        )
    yield from (place for _, place in sorted(found, key=lambda each: -each[0])[:CANDIDATES])


def _edge_points(photo: U8, mask: U8) -> tuple[F32, F32]:
    """Points on the product's edges, (n, 2), and the way each runs, (n, 2)."""
    rgb, wide = _on_contrast(photo, mask)
    field = _field(rgb, wide)
    length = np.hypot(field[..., 0], field[..., 1])
    thin = length > 0.6
    y, x = np.nonzero(thin)
    if not len(x):
        return np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)
    chosen = np.random.default_rng(0).permutation(len(x))[:POINTS]
    ways = field[y[chosen], x[chosen]] / length[y[chosen], x[chosen]][:, None]
    return np.stack([x[chosen] - 6, y[chosen] - 6], 1).astype(np.float32), ways.astype(np.float32)


def _agreement(points: F32, ways: F32, field: F32, place: F32) -> F32:
    """How well the picture's edges run along each point's, -1 to 1; 0 outside."""
    at = points @ place[:, :2].T + place[:, 2]
    turn = np.arctan2(place[1, 0], place[0, 0]) * 2
    turned = ways @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]], np.float32)
    seen = cv2.remap(
        field, at[None, :, 0].astype(np.float32), at[None, :, 1].astype(np.float32), cv2.INTER_LINEAR
    )[0]
    return np.asarray((seen * turned).sum(1), np.float32)


def _share(points: F32, ways: F32, field: F32, place: F32) -> float:
    """The share of its edges that the picture has, a pixel of play allowed."""
    best = np.full(len(points), -1.0, np.float32)
    for x in (-1.5, 0, 1.5):
        for y in (-1.5, 0, 1.5):
            moved = place.copy()
            moved[:, 2] += (x, y)
            best = np.maximum(best, _agreement(points, ways, field, moved))
    return float((best > 0.5).mean())


def _finer(points: F32, ways: F32, field: F32, start: F32) -> F32:
    """The place moved, sized, stretched and turned until most edges agree; first on softened edges, which are felt from afar."""
    middle = points.mean(0)
    spread = float(np.abs(points - middle).max())

    def placed(by: NDArray[np.float64], at: F32) -> F32:
        turn, x, y = np.clip(by[:3] / spread, -BEND, BEND) + np.array([0, 1, 1])
        own = np.array([[x * np.cos(turn), -y * np.sin(turn)], [x * np.sin(turn), y * np.cos(turn)]])
        linear = at[:, :2] @ own
        shift = at[:, :2] @ middle + at[:, 2] + by[3:] - linear @ middle
        return np.concatenate([linear, shift[:, None]], 1).astype(np.float32)

    place = start
    for soft in (4.0, 1.5):
        blurred = cv2.GaussianBlur(field, (0, 0), soft)
        found = minimize(
            lambda by, f=blurred, at=place: -float(_agreement(points, ways, f, placed(by, at)).mean()),
            np.zeros(5),
            method="Powell",
            options={"maxiter": 12, "xtol": 0.05, "ftol": 1e-4},
        )
        place = placed(found.x, place)
    return place
