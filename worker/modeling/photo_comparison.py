"""Compare: a model against one photo of its product.

The camera is fitted: around the known one for photos of sides, over a grid for three-quarter photos. The model is rendered there, laid
over the photo by the two bounding boxes' centres and areas (so that wrong proportions stay visible), and both are compared: outline, proportions,
colour (with the exposure matched: photos are lit otherwise), parts that one has and the other has not, and whether the model
fits better mirrored or turned.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import deltaE_ciede2000, rgb2lab

from dam_connector.domain.product import View
from worker.imaging.linear_light import to_linear, to_srgb
from worker.modeling.camera import Camera
from worker.modeling.render import Renderer, RenderOptions
from worker.modeling.textured_mesh import TexturedMesh

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
CANVAS = 192  # px a side, of what is compared
FILL = 0.8  # of the canvas: the photo's longer side
EVIDENCE = 320  # px a side, of what is shown
COARSE, FINE = 64, 144  # px, of silhouettes while cameras are tried
SOFT = 2.0  # px: colours are compared after this blur, since no fit is exact to the pixel
SPARSE = 3  # every so many pixels tell how far colours are apart, blurred as they are
STEEP = 0.001  # of the outline, a degree: what a camera that looks down on a side must gain
UNUSUAL = 0.006  # of the outline: what another camera than the one straight ahead must gain
BY_RIM = 0.01  # of the outline: a render's soft rim may add that much to it
SLACK = 0.02  # of the canvas: a part must stick out by more
GROUND, ONLY_PHOTO, ONLY_MODEL = 246, (214, 48, 49), (52, 101, 214)
SIDES = {View.FRONT: 0.0, View.RIGHT: 90.0, View.BACK: 180.0, View.LEFT: 270.0}
_LOOK = RenderOptions(background=None, floor_shadow=False, samples_per_axis=1)


@dataclass(frozen=True, eq=False, kw_only=True)
class CanvasPicture:
    """Something on the canvas. rgb: (n, n, 3) uint8; mask: (n, n) bool; size: its box, width and height in pixels."""

    rgb: U8
    mask: Mask
    size: tuple[float, float]


@dataclass(frozen=True, eq=False, kw_only=True)
class PhotoComparison:
    """How far a model is from a photo. seen: the model as the camera saw it, rgb and alpha of EVIDENCE pixels a side.

    outline: intersection over union of the silhouettes, but for a pixel at their rims. aspect: width to height of the model's over the photo's, minus 1. colour: mean
    CIEDE2000 over the pixels both have. missing, extra: the largest part that only the photo or only the model has, of the photo's area.
    mirrored, turned: how much better it fits when it is (0 to 1; below 0: worse).
    """

    camera: Camera
    photo: CanvasPicture
    render: CanvasPicture
    raw_render: tuple[U8, U8]
    outline_iou: float
    aspect_error: float
    colour_difference: float
    missing_share: float
    extra_share: float
    mirrored_gain: float
    rotated_gain: float


class ModelComparer:
    """A model made ready to be compared with photos."""

    def __init__(self, model: TexturedMesh) -> None:
        self._stage = Renderer(model)
        self._covers: dict[tuple[Camera, int], float] = {}
        self._centre = (model.min_corner + model.max_corner) / 2
        self._half = float(np.linalg.norm(model.extent)) / 2 * 1.02

    def compare(self, alpha: U8, rgb: U8, view: View) -> PhotoComparison | None:
        """The comparison with a photo that is cut out: alpha (h, w), rgb (h, w, 3). None where the photo shows nothing, or a detail."""
        photo = place_on_canvas(alpha, rgb)
        if photo is None or view is View.DETAIL:
            return None
        camera = self._fitted(photo, view)
        seen = self._stage.render(camera, EVIDENCE, _LOOK)
        shown = _laid(seen[1], seen[0], photo.size)
        if shown is None:
            return None
        outline, colour = tolerant_iou(photo.mask, shown.mask), mean_ciede2000(photo, shown)
        missing, extra = _largest(photo.mask, shown.mask), _largest(shown.mask, photo.mask)
        good = _merit(outline, colour)
        return PhotoComparison(
            camera=camera,
            photo=photo,
            render=shown,
            raw_render=seen,
            outline_iou=outline,
            aspect_error=(shown.size[0] / shown.size[1]) / (photo.size[0] / photo.size[1]) - 1,
            colour_difference=colour,
            missing_share=missing,
            extra_share=extra,
            mirrored_gain=self._merit(replace(camera, azimuth=-camera.azimuth), photo, good, flipped=True)
            - good,
            rotated_gain=max(
                self._merit(replace(camera, azimuth=camera.azimuth + by), photo, good)
                for by in (90, 180, 270)
            )
            - good
            if view in SIDES
            else 0.0,
        )

    def comparison_picture(self, alpha: U8, rgb: U8, found: PhotoComparison) -> U8 | None:
        """The photo, the model as the camera found sees it, and what differs, side by side: (EVIDENCE, 3 * EVIDENCE, 3).

        The model's exposure is the photo's. What only the photo has is red, what only the model has is blue, where both are the
        colours' difference is dark.
        """
        photo = place_on_canvas(alpha, rgb, EVIDENCE)
        shown = _laid(found.raw_render[1], found.raw_render[0], photo.size, EVIDENCE) if photo else None
        if photo is None or shown is None:
            return None
        gain = _gain(photo, shown)
        shown = replace(shown, rgb=to_srgb(np.clip(to_linear(shown.rgb) * gain, 0, 1)))
        off = np.abs(_blurred(photo) - _blurred(shown)).mean(2)
        third = np.repeat((255 * (1 - np.clip(off * 2, 0, 0.8)))[..., None], 3, 2).astype(np.uint8)
        third[~(photo.mask | shown.mask)] = GROUND
        third[photo.mask & ~shown.mask] = ONLY_PHOTO
        third[shown.mask & ~photo.mask] = ONLY_MODEL
        panels = [np.where(f.mask[..., None], f.rgb, np.uint8(GROUND)) for f in (photo, shown)]
        return np.hstack([*panels, third]).astype(np.uint8)

    def _camera(self, azimuth: float, elevation: float, fov: float) -> Camera:
        x, y, z = (float(v) for v in self._centre)
        return Camera(
            azimuth=azimuth, elevation=elevation, target=(x, y, z), half_width=self._half, fov=fov or None
        )

    def _fitted(self, photo: CanvasPicture, view: View) -> Camera:
        """The camera whose silhouette of the model covers the photo's best; an unusual one only for a gain."""
        self._covers.clear()
        if view is View.TOP:
            return self._best([self._camera(0, e, f) for e, f in ((90, 0), (84, 20), (90, 20))], photo)
        if view in SIDES:
            at = SIDES[view]
            level = self._camera(at, 0, 0)
            start = self._best([level, *(self._camera(at, e, f) for e in (0, 4, 9) for f in (16, 30))], photo)
            found = self._refined(start, photo, steps=(2.0, 1.0, 0.5), reach=8.0)
            return (
                level
                if self._cover(level, photo, FINE) > self._cover(found, photo, FINE) - UNUSUAL
                else found
            )
        grid = [self._camera(a, e, 28) for a in range(-75, 76, 15) for e in (6, 14, 22, 32)]
        nearest = sorted(grid, key=lambda c: -self._cover(c, photo))[:3]
        return self._best(
            [self._refined(c, photo, steps=(6.0, 3.0, 1.5, 0.7), reach=20.0) for c in nearest], photo, FINE
        )

    def _refined(
        self, camera: Camera, photo: CanvasPicture, steps: tuple[float, ...], reach: float
    ) -> Camera:
        middle = camera
        for step in steps:
            for _ in range(3):
                around = [
                    replace(camera, azimuth=camera.azimuth + a * step, elevation=camera.elevation + e * step)
                    for a, e in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
                    if abs(camera.azimuth + a * step - middle.azimuth) <= reach
                    and abs(camera.elevation + e * step - middle.elevation) <= reach
                ]
                if camera.fov:
                    around += [
                        replace(camera, fov=camera.fov * f) for f in (0.8, 1.25) if 8 < camera.fov * f < 60
                    ]
                better = self._best(around, photo, COARSE if step > 2 else FINE)
                if better == camera:
                    break
                camera = better
        return camera

    def _best(self, cameras: list[Camera], photo: CanvasPicture, pixels: int = COARSE) -> Camera:
        return max(cameras, key=lambda c: self._cover(c, photo, pixels) - STEEP * _steep(c))

    def _cover(self, camera: Camera, photo: CanvasPicture, pixels: int = COARSE) -> float:
        """How well the model's silhouette covers the photo's; each camera is looked through once a photo."""
        asked = camera, pixels
        if asked not in self._covers:
            laid = self._outline(camera, photo, pixels)
            self._covers[asked] = overlap(photo.mask, laid) if laid is not None else 0.0
        return self._covers[asked]

    def _outline(self, camera: Camera, photo: CanvasPicture, pixels: int) -> Mask | None:
        """The model's outline on the canvas, as a camera sees it in so many pixels."""
        alpha = self._stage.silhouette(camera, pixels).astype(np.uint8) * np.uint8(255)
        move = _move(alpha, photo.size, CANVAS)
        return None if move is None else _warped_mask(alpha, move[0], CANVAS)

    def _shown(self, camera: Camera, photo: CanvasPicture) -> CanvasPicture | None:
        rgb, alpha = self._stage.render(camera, CANVAS, _LOOK)
        return _laid(alpha, rgb, photo.size)

    def _merit(self, camera: Camera, photo: CanvasPicture, good: float, *, flipped: bool = False) -> float:
        """How well the model, seen by a camera, fits the photo by outline and colour; by the outline alone where that is no better than `good`."""
        laid = self._outline(camera, photo, CANVAS)
        most = overlap(photo.mask, laid[:, ::-1] if flipped else laid) if laid is not None else 0.0
        shown = self._shown(camera, photo) if most > good - BY_RIM else None
        if shown is None:
            return most
        if flipped:
            shown = CanvasPicture(rgb=shown.rgb[:, ::-1], mask=shown.mask[:, ::-1], size=shown.size)
        return _merit(overlap(photo.mask, shown.mask), mean_ciede2000(photo, shown))


def _steep(camera: Camera) -> float:
    """Degrees beyond what a camera in front of a side, or above, usually has."""
    return (
        max(0.0, abs(camera.elevation - 3) - 3) if camera.azimuth % 90 == 0 and camera.elevation < 60 else 0.0
    )


def place_on_canvas(alpha: U8, rgb: U8, pixels: int = CANVAS) -> CanvasPicture | None:
    """A cut-out photo on a canvas of so many pixels a side, its longer side FILL of it."""
    box = _box(alpha)
    if box is None:
        return None
    top, bottom, left, right = box
    scale = FILL * pixels / max(bottom - top, right - left)
    return _laid(alpha, rgb, ((right - left) * scale, (bottom - top) * scale), pixels)


def overlap(one: Mask, two: Mask) -> float:
    """Intersection over union."""
    return float((one & two).sum() / max(1, (one | two).sum()))


def tolerant_iou(one: Mask, two: Mask) -> float:
    """Intersection over union that forgives a pixel at the rim: the outline of thin legs is all rim."""
    near = np.ones((3, 3), np.uint8)
    wider = [cv2.dilate(m.astype(np.uint8), near) > 0 for m in (one, two)]
    apart = int((one & ~wider[1]).sum() + (two & ~wider[0]).sum())
    return 1 - apart / max(1, int((one | two).sum()))


def mean_ciede2000(photo: CanvasPicture, render: CanvasPicture) -> float:
    """Mean CIEDE2000 over the pixels that both have, the render's exposure matched to the photo's; 0 where they share none."""
    both = ndimage.binary_erosion(photo.mask & render.mask, iterations=3)
    if not both.any():
        return 0.0
    at = np.flatnonzero(both)[::SPARSE]
    one, two = (_blurred(f).reshape(-1, 3).take(at, axis=0) for f in (photo, render))
    matched = to_srgb(np.clip(two * _gain(photo, render), 0, 1))
    return float(deltaE_ciede2000(rgb2lab(to_srgb(one)), rgb2lab(matched)).mean())


def _gain(photo: CanvasPicture, render: CanvasPicture) -> np.float32:
    """How many times brighter the photo is than the render, where both are, in linear light."""
    at = np.flatnonzero(photo.mask & render.mask)[::SPARSE]
    if not len(at):
        return np.float32(1)
    bright, dark = (
        float(np.median(to_linear(f.rgb.reshape(-1, 3).take(at, axis=0)) @ np.full(3, 1 / 3, np.float32)))
        for f in (photo, render)
    )
    return np.float32(np.clip(bright / max(1e-4, dark), 0.25, 4))


def _blurred(framed: CanvasPicture) -> F32:
    """Linear colours, blurred within the mask, (n, n, 3)."""
    weight = cv2.GaussianBlur(framed.mask.astype(np.float32), (0, 0), SOFT)
    linear = cv2.GaussianBlur(to_linear(framed.rgb) * framed.mask[..., None], (0, 0), SOFT)
    return np.asarray(linear / np.maximum(weight, 1e-4)[..., None], np.float32)


def _merit(outline: float, colour: float) -> float:
    return outline - colour / 60


def _largest(has: Mask, has_not: Mask) -> float:
    """The largest part of one that sticks out of the other, of its own area."""
    near = (
        cv2.dilate(has_not.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=round(SLACK * CANVAS)) > 0
    )
    label, count = ndimage.label(has & ~near)
    if not count:
        return 0.0
    return float(np.bincount(label.ravel())[1:].max() / has.sum())


def _box(alpha: U8) -> tuple[int, int, int, int] | None:
    left, top, width, height = cv2.boundingRect((alpha > 127).astype(np.uint8))
    return (top, top + height, left, left + width) if width else None


def _laid(alpha: U8, rgb: U8, size: tuple[float, float], pixels: int = CANVAS) -> CanvasPicture | None:
    """A picture's content moved into the middle of the canvas, its box as large in area as `size`."""
    move = _move(alpha, size, pixels)
    if move is None:
        return None
    scale = move[0][0, 0]
    if scale < 0.25:  # by halves first, which takes a tenth as long as by any other share
        half = [
            np.asarray(
                cv2.resize(a, (a.shape[1] // 2, a.shape[0] // 2), interpolation=cv2.INTER_AREA), np.uint8
            )
            for a in (alpha, rgb)
        ]
        return _laid(half[0], half[1], size, pixels)
    if scale < 0.5:  # warping samples single pixels: shrink with their means first
        step = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
        small = (
            cv2.resize(alpha, step, interpolation=cv2.INTER_AREA),
            cv2.resize(rgb, step, interpolation=cv2.INTER_AREA),
        )
        return _laid(np.asarray(small[0], np.uint8), np.asarray(small[1], np.uint8), size, pixels)
    shown = cv2.warpAffine(
        rgb, move[0], (pixels, pixels), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return CanvasPicture(
        rgb=np.asarray(shown, np.uint8), mask=_warped_mask(alpha, move[0], pixels), size=move[1]
    )


def _move(
    alpha: U8, size: tuple[float, float], pixels: int
) -> tuple[NDArray[np.float64], tuple[float, float]] | None:
    """The warp, (2, 3), that lays a picture's content in the middle of the canvas, its box as large in area as `size`; and the box' size then."""
    box = _box(alpha)
    if box is None:
        return None
    top, bottom, left, right = box
    scale = float(np.sqrt(size[0] * size[1] / ((right - left) * (bottom - top))))
    across, down = (
        pixels / 2 - scale * (one + other) / 2 + scale * 0.5 - 0.5
        for one, other in ((left, right), (top, bottom))
    )
    return np.array([[scale, 0, across], [0, scale, down]], np.float64), (
        (right - left) * scale,
        (bottom - top) * scale,
    )


def _warped_mask(alpha: U8, move: NDArray[np.float64], pixels: int) -> Mask:
    return np.asarray(cv2.warpAffine(alpha, move, (pixels, pixels), flags=cv2.INTER_LINEAR) > 127)
