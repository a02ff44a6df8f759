"""Renders of a mesh as cut-outs: from any side, or all round with one framing."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dam_connector.domain.rules import Motion
from worker.imaging.cutout import Cutout
from worker.modeling.camera import Camera, named_camera
from worker.modeling.render import Renderer, RenderOptions
from worker.modeling.textured_mesh import TexturedMesh

OBLIQUE_DEG = 5.0  # elevation above which a product shows its depth on the floor
MIN_PX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedView:
    """One render of a mesh."""

    name: str  # the view, or the number of the spin frame, e.g. "07"
    cutout: Cutout
    is_oblique: bool  # whether it is seen from above
    elevation_deg: float  # of the camera above the horizon


def render_views(
    model: TexturedMesh, view: str, motion: str, frames: int, box_px: tuple[float, float]
) -> Iterator[RenderedView]:
    """Yield renders of a mesh from a view, or the frames of a full spin that begins there.

    All frames of a spin have the same scale, and its axis stays in place.

    Args:
        model: The mesh.
        view: A named view, or azimuth and elevation.
        motion: `Motion.STILL` for one picture; else a spin.
        frames: How many frames a spin has.
        box_px: Width and height that the pictures fill.

    Raises:
        KeyError: There is no such view.
    """
    first = named_camera(model.min_corner, model.max_corner, view)
    cameras = [first]
    if motion != Motion.STILL:
        cameras = [replace(first, azimuth=first.azimuth + 360 * n / frames) for n in range(frames)]
    low, high = _projected_bounds(model, cameras)
    span = np.maximum(high - low, 1e-6)
    scale = min(box_px[0] / span[0], box_px[1] / span[1])  # pixels to a unit; a picture is two units wide
    size = max(MIN_PX, round(2 * scale))
    width, height = np.maximum(1, np.round(span * scale)).astype(int)
    centre_x, centre_y = (1 + (low[0] + high[0]) / 2) * size / 2, (1 - (low[1] + high[1]) / 2) * size / 2
    left, top = max(0, round(centre_x - width / 2)), max(0, round(centre_y - height / 2))
    frame = (left, top, left + int(width), top + int(height))
    renderer = Renderer(model)
    for number, camera in enumerate(cameras, 1):
        rgb, alpha = renderer.render(camera, size, RenderOptions(background=None, floor_shadow=False))
        name = view if motion == Motion.STILL else f"{number:02d}"
        yield RenderedView(
            name=name,
            cutout=Cutout(rgb=rgb, alpha=alpha, confidence=1.0, frame=frame),
            is_oblique=first.elevation > OBLIQUE_DEG,
            elevation_deg=first.elevation,
        )


def _projected_bounds(model: TexturedMesh, cameras: list[Camera]) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and the upper corner of the mesh in all pictures, in picture units.

    For a spin they are symmetric about the axis.
    """
    projections = [camera.project(model.positions) for camera in cameras]
    low, high = np.min([s.min(0) for s in projections], 0), np.max([s.max(0) for s in projections], 0)
    if len(cameras) > 1:
        high[0] = max(high[0], -low[0])
        low[0] = -high[0]
    return low, high
