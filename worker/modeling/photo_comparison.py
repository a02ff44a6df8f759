"""Comparison of a mesh with one photo of its product.

The camera is fitted: around the known pose for photos of sides, over a grid of poses for three-quarter
photos. The mesh is rendered there and laid over the photo so that the bounding boxes agree in centre and
area; wrong proportions stay visible.

Compared are the outline, the proportions, the colours (with matched exposure, since photos have other
light), parts that only one of the two has, and whether the mesh fits better when mirrored or rotated.
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
from worker.modeling.shape_evidence import iou
from worker.modeling.textured_mesh import TexturedMesh

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
CANVAS_PX = 192  # side of the pictures that are compared
FILL_SHARE = 0.8  # of the canvas, that the photo's longer side takes
EVIDENCE_PX = 320  # side of the pictures that are shown to people
COARSE_PX, FINE_PX = 64, 144  # side of silhouettes while cameras are tried
BLUR_SIGMA_PX = 2.0  # colours are compared after this blur, since no fit is exact to the pixel
COLOUR_STRIDE = 3  # every so many pixels are compared; they are blurred
STEEP_PENALTY = 0.001  # IoU per degree, for a camera that looks down on a side
MIN_GAIN = 0.006  # IoU, for any other camera than the one straight ahead
RIM_GAIN = 0.01  # IoU that the soft rim of a render can add
PART_MARGIN = 0.02  # share of the canvas by which a part must protrude
BACKGROUND_GREY = 246
ONLY_PHOTO_RGB, ONLY_MODEL_RGB = (214, 48, 49), (52, 101, 214)  # red and blue
SIDE_AZIMUTHS = {View.FRONT: 0.0, View.RIGHT: 90.0, View.BACK: 180.0, View.LEFT: 270.0}  # degrees
_OPTIONS = RenderOptions(background=None, floor_shadow=False, samples_per_axis=1)


@dataclass(frozen=True, eq=False, kw_only=True)
class CanvasPicture:
    """A product on the canvas."""

    rgb: U8  # (n, n, 3) sRGB
    mask: Mask  # (n, n) where the product is
    size: tuple[float, float]  # width and height of the product in pixels


@dataclass(frozen=True, eq=False, kw_only=True)
class PhotoComparison:
    """The differences between a mesh and a photo."""

    camera: Camera  # that was fitted
    photo: CanvasPicture
    render: CanvasPicture
    raw_render: tuple[U8, U8]  # rgb and alpha as rendered, EVIDENCE_PX a side
    outline_iou: float  # of the silhouettes, tolerant of a pixel at the rim
    aspect_error: float  # width to height of the mesh over that of the photo, minus 1
    colour_difference: float  # mean CIEDE2000 over the pixels that both have
    missing_share: float  # the largest part that only the photo has, share of the photo's area
    extra_share: float  # the largest part that only the mesh has, share of the render's area
    mirrored_gain: float  # how much better the mesh fits when mirrored, -1 to 1
    rotated_gain: float  # how much better it fits when rotated by 90, 180 or 270 degrees, -1 to 1


class ModelComparer:
    """A mesh prepared for comparison with photos."""

    def __init__(self, model: TexturedMesh) -> None:
        self._renderer = Renderer(model)
        self._coverage_cache: dict[tuple[Camera, int], float] = {}
        self._centre = (model.min_corner + model.max_corner) / 2
        self._half = float(np.linalg.norm(model.extent)) / 2 * 1.02

    def compare(self, alpha: U8, rgb: U8, view: View) -> PhotoComparison | None:
        """Compare the mesh with a cut-out photo.

        Args:
            alpha: (h, w) 0 to 255.
            rgb: (h, w, 3) sRGB.
            view: What the photo shows.

        Returns:
            The comparison; None if the photo is empty or shows a detail.
        """
        photo = place_on_canvas(alpha, rgb)
        if photo is None or view is View.DETAIL:
            return None
        camera = self._fit_camera(photo, view)
        raw_render = self._renderer.render(camera, EVIDENCE_PX, _OPTIONS)
        render = lay_out(raw_render[1], raw_render[0], photo.size)
        if render is None:
            return None
        outline, colour = tolerant_iou(photo.mask, render.mask), mean_ciede2000(photo, render)
        missing, extra = _largest_part(photo.mask, render.mask), _largest_part(render.mask, photo.mask)
        similarity = _similarity(outline, colour)
        return PhotoComparison(
            camera=camera,
            photo=photo,
            render=render,
            raw_render=raw_render,
            outline_iou=outline,
            aspect_error=(render.size[0] / render.size[1]) / (photo.size[0] / photo.size[1]) - 1,
            colour_difference=colour,
            missing_share=missing,
            extra_share=extra,
            mirrored_gain=self._similarity(
                replace(camera, azimuth=-camera.azimuth), photo, similarity, flipped=True
            )
            - similarity,
            rotated_gain=max(
                self._similarity(replace(camera, azimuth=camera.azimuth + by), photo, similarity)
                for by in (90, 180, 270)
            )
            - similarity
            if view in SIDE_AZIMUTHS
            else 0.0,
        )

    def comparison_picture(self, alpha: U8, rgb: U8, comparison: PhotoComparison) -> U8 | None:
        """Return photo, render and their difference side by side, (EVIDENCE_PX, 3 * EVIDENCE_PX, 3).

        The render has the photo's exposure. In the difference, red is what only the photo has, blue is what
        only the mesh has, and a difference of colours is dark.
        """
        photo = place_on_canvas(alpha, rgb, EVIDENCE_PX)
        render = (
            lay_out(comparison.raw_render[1], comparison.raw_render[0], photo.size, EVIDENCE_PX)
            if photo
            else None
        )
        if photo is None or render is None:
            return None
        gain = _exposure_gain(photo, render)
        render = replace(render, rgb=to_srgb(np.clip(to_linear(render.rgb) * gain, 0, 1)))
        difference = np.abs(blurred_linear(photo) - blurred_linear(render)).mean(2)
        difference_panel = np.repeat((255 * (1 - np.clip(difference * 2, 0, 0.8)))[..., None], 3, 2).astype(
            np.uint8
        )
        difference_panel[~(photo.mask | render.mask)] = BACKGROUND_GREY
        difference_panel[photo.mask & ~render.mask] = ONLY_PHOTO_RGB
        difference_panel[render.mask & ~photo.mask] = ONLY_MODEL_RGB
        panels = [np.where(f.mask[..., None], f.rgb, np.uint8(BACKGROUND_GREY)) for f in (photo, render)]
        return np.hstack([*panels, difference_panel]).astype(np.uint8)

    def _camera(self, azimuth: float, elevation: float, fov: float) -> Camera:
        x, y, z = (float(v) for v in self._centre)
        return Camera(
            azimuth=azimuth, elevation=elevation, target=(x, y, z), half_width=self._half, fov=fov or None
        )

    def _fit_camera(self, photo: CanvasPicture, view: View) -> Camera:
        """Return the camera whose silhouette of the mesh fits best; an unusual one only for a gain."""
        self._coverage_cache.clear()
        if view is View.TOP:
            return self._best_camera([self._camera(0, e, f) for e, f in ((90, 0), (84, 20), (90, 20))], photo)
        if view in SIDE_AZIMUTHS:
            at = SIDE_AZIMUTHS[view]
            level = self._camera(at, 0, 0)
            start = self._best_camera(
                [level, *(self._camera(at, e, f) for e in (0, 4, 9) for f in (16, 30))], photo
            )
            comparison = self._refine(start, photo, steps=(2.0, 1.0, 0.5), reach=8.0)
            return (
                level
                if self._coverage(level, photo, FINE_PX)
                > self._coverage(comparison, photo, FINE_PX) - MIN_GAIN
                else comparison
            )
        grid = [self._camera(a, e, 28) for a in range(-75, 76, 15) for e in (6, 14, 22, 32)]
        nearest = sorted(grid, key=lambda c: -self._coverage(c, photo))[:3]
        return self._best_camera(
            [self._refine(c, photo, steps=(6.0, 3.0, 1.5, 0.7), reach=20.0) for c in nearest], photo, FINE_PX
        )

    def _refine(self, camera: Camera, photo: CanvasPicture, steps: tuple[float, ...], reach: float) -> Camera:
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
                better = self._best_camera(around, photo, COARSE_PX if step > 2 else FINE_PX)
                if better == camera:
                    break
                camera = better
        return camera

    def _best_camera(self, cameras: list[Camera], photo: CanvasPicture, pixels: int = COARSE_PX) -> Camera:
        return max(
            cameras, key=lambda c: self._coverage(c, photo, pixels) - STEEP_PENALTY * _excess_elevation(c)
        )

    def _coverage(self, camera: Camera, photo: CanvasPicture, pixels: int = COARSE_PX) -> float:
        """Return the IoU of the mesh's silhouette with the photo's; each camera is rendered once a photo."""
        key = camera, pixels
        if key not in self._coverage_cache:
            mask = self._canvas_mask(camera, photo, pixels)
            self._coverage_cache[key] = iou(photo.mask, mask) if mask is not None else 0.0
        return self._coverage_cache[key]

    def _canvas_mask(self, camera: Camera, photo: CanvasPicture, pixels: int) -> Mask | None:
        """Return the mesh's silhouette on the canvas, rendered with so many pixels a side."""
        alpha = self._renderer.silhouette(camera, pixels).astype(np.uint8) * np.uint8(255)
        placement = _placement(alpha, photo.size, CANVAS_PX)
        return None if placement is None else _warp_mask(alpha, placement[0], CANVAS_PX)

    def _render_on_canvas(self, camera: Camera, photo: CanvasPicture) -> CanvasPicture | None:
        rgb, alpha = self._renderer.render(camera, CANVAS_PX, _OPTIONS)
        return lay_out(alpha, rgb, photo.size)

    def _similarity(
        self, camera: Camera, photo: CanvasPicture, similarity: float, *, flipped: bool = False
    ) -> float:
        """Return how similar the mesh and the photo are in outline and colour.

        If the outline alone is already worse than `similarity`, colours are not compared.
        """
        mask = self._canvas_mask(camera, photo, CANVAS_PX)
        most = iou(photo.mask, mask[:, ::-1] if flipped else mask) if mask is not None else 0.0
        render = self._render_on_canvas(camera, photo) if most > similarity - RIM_GAIN else None
        if render is None:
            return most
        if flipped:
            render = CanvasPicture(rgb=render.rgb[:, ::-1], mask=render.mask[:, ::-1], size=render.size)
        return _similarity(iou(photo.mask, render.mask), mean_ciede2000(photo, render))


def _excess_elevation(camera: Camera) -> float:
    """Return the degrees of elevation beyond those of a usual camera in front of a side."""
    return (
        max(0.0, abs(camera.elevation - 3) - 3) if camera.azimuth % 90 == 0 and camera.elevation < 60 else 0.0
    )


def place_on_canvas(alpha: U8, rgb: U8, pixels: int = CANVAS_PX) -> CanvasPicture | None:
    """Return a cut-out photo on a canvas of so many pixels a side, or None if it is empty."""
    box = _bounding_rows_and_columns(alpha)
    if box is None:
        return None
    top, bottom, left, right = box
    scale = FILL_SHARE * pixels / max(bottom - top, right - left)
    return lay_out(alpha, rgb, ((right - left) * scale, (bottom - top) * scale), pixels)


def tolerant_iou(one: Mask, two: Mask) -> float:
    """Return the intersection over union, tolerant of a pixel at the rim; thin legs are nothing but rim."""
    kernel = np.ones((3, 3), np.uint8)
    dilated = [cv2.dilate(m.astype(np.uint8), kernel) > 0 for m in (one, two)]
    differing = int((one & ~dilated[1]).sum() + (two & ~dilated[0]).sum())
    return 1 - differing / max(1, int((one | two).sum()))


def mean_ciede2000(photo: CanvasPicture, render: CanvasPicture) -> float:
    """Return the mean CIEDE2000 over common pixels, exposure matched; 0 if there are none."""
    both = ndimage.binary_erosion(photo.mask & render.mask, iterations=3)
    if not both.any():
        return 0.0
    at = np.flatnonzero(both)[::COLOUR_STRIDE]
    photo_colours, render_colours = (
        blurred_linear(f).reshape(-1, 3).take(at, axis=0) for f in (photo, render)
    )
    matched = to_srgb(np.clip(render_colours * _exposure_gain(photo, render), 0, 1))
    return float(deltaE_ciede2000(rgb2lab(to_srgb(photo_colours)), rgb2lab(matched)).mean())


def _exposure_gain(photo: CanvasPicture, render: CanvasPicture) -> np.float32:
    """Return how many times brighter the photo is than the render on common pixels, in linear light."""
    at = np.flatnonzero(photo.mask & render.mask)[::COLOUR_STRIDE]
    if not len(at):
        return np.float32(1)
    photo_level, render_level = (
        float(np.median(to_linear(f.rgb.reshape(-1, 3).take(at, axis=0)) @ np.full(3, 1 / 3, np.float32)))
        for f in (photo, render)
    )
    return np.float32(np.clip(photo_level / max(1e-4, render_level), 0.25, 4))


def blurred_linear(framed: CanvasPicture) -> F32:
    """Return linear colours blurred within the mask, (n, n, 3)."""
    weight = cv2.GaussianBlur(framed.mask.astype(np.float32), (0, 0), BLUR_SIGMA_PX)
    linear = cv2.GaussianBlur(to_linear(framed.rgb) * framed.mask[..., None], (0, 0), BLUR_SIGMA_PX)
    return np.asarray(linear / np.maximum(weight, 1e-4)[..., None], np.float32)


def _similarity(outline: float, colour: float) -> float:
    return outline - colour / 60


def _largest_part(mask: Mask, other: Mask) -> float:
    """Return the largest part of a mask that protrudes from the other one, as a share of its area."""
    kernel = (
        cv2.dilate(
            other.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=round(PART_MARGIN * CANVAS_PX)
        )
        > 0
    )
    label, count = ndimage.label(mask & ~kernel)
    if not count:
        return 0.0
    return float(np.bincount(label.ravel())[1:].max() / mask.sum())


def _bounding_rows_and_columns(alpha: U8) -> tuple[int, int, int, int] | None:
    left, top, width, height = cv2.boundingRect((alpha > 127).astype(np.uint8))
    return (top, top + height, left, left + width) if width else None


def lay_out(alpha: U8, rgb: U8, size: tuple[float, float], pixels: int = CANVAS_PX) -> CanvasPicture | None:
    """Return a picture with its content centred on the canvas, its box scaled to the area of `size`."""
    placement = _placement(alpha, size, pixels)
    if placement is None:
        return None
    scale = placement[0][0, 0]
    if scale < 0.25:  # halve first: that takes a tenth of the time of any other factor
        half = [
            np.asarray(
                cv2.resize(a, (a.shape[1] // 2, a.shape[0] // 2), interpolation=cv2.INTER_AREA), np.uint8
            )
            for a in (alpha, rgb)
        ]
        return lay_out(half[0], half[1], size, pixels)
    if scale < 0.5:  # a warp samples single pixels: reduce by their means first
        step = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
        small = (
            cv2.resize(alpha, step, interpolation=cv2.INTER_AREA),
            cv2.resize(rgb, step, interpolation=cv2.INTER_AREA),
        )
        return lay_out(np.asarray(small[0], np.uint8), np.asarray(small[1], np.uint8), size, pixels)
    render = cv2.warpAffine(
        rgb, placement[0], (pixels, pixels), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return CanvasPicture(
        rgb=np.asarray(render, np.uint8), mask=_warp_mask(alpha, placement[0], pixels), size=placement[1]
    )


def _placement(
    alpha: U8, size: tuple[float, float], pixels: int
) -> tuple[NDArray[np.float64], tuple[float, float]] | None:
    """Return the warp, (2, 3), that `lay_out` needs, and the size of the content's box after it."""
    box = _bounding_rows_and_columns(alpha)
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


def _warp_mask(alpha: U8, placement: NDArray[np.float64], pixels: int) -> Mask:
    return np.asarray(cv2.warpAffine(alpha, placement, (pixels, pixels), flags=cv2.INTER_LINEAR) > 127)
