"""A model photographed: cut-outs of it from any side, and all round, framed alike."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dam_connector.domain.rules import Motion
from worker.imaging.cutout import Cutout
from worker.modeling.camera import Camera, named_camera
from worker.modeling.render import Renderer, RenderOptions
from worker.modeling.textured_mesh import TexturedMesh

OBLIQUE = 5.0  # degrees above the ground: from there on, what stands on it shows its depth
LEAST_PX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedView:
    """One picture of a model. name: the view, or the number within a turn; oblique: seen from above."""

    name: str
    cutout: Cutout
    oblique: bool


def render_views(
    model: TexturedMesh, view: str, motion: str, frames: int, box_px: tuple[float, float]
) -> Iterator[RenderedView]:
    """The model from a view, or a full turn from there on, as large as fits a box of so many pixels.

    In a turn every picture has the same scale, and the axis of the turn stands still. Raises: KeyError for an unknown view.
    """
    first = named_camera(model.min_corner, model.max_corner, view)
    cameras = [first]
    if motion != Motion.STILL:
        cameras = [replace(first, azimuth=first.azimuth + 360 * n / frames) for n in range(frames)]
    low, high = _reach(model, cameras)
    span = np.maximum(high - low, 1e-6)
    scale = min(box_px[0] / span[0], box_px[1] / span[1])  # pixels a unit; a picture is two units wide
    size = max(LEAST_PX, round(2 * scale))
    width, height = np.maximum(1, np.round(span * scale)).astype(int)
    across, down = (1 + (low[0] + high[0]) / 2) * size / 2, (1 - (low[1] + high[1]) / 2) * size / 2
    left, top = max(0, round(across - width / 2)), max(0, round(down - height / 2))
    frame = (left, top, left + int(width), top + int(height))
    stage = Renderer(model)
    for number, camera in enumerate(cameras, 1):
        rgb, alpha = stage.render(camera, size, RenderOptions(background=None, shadow=False))
        name = view if motion == Motion.STILL else f"{number:02d}"
        yield RenderedView(
            name=name,
            cutout=Cutout(rgb=rgb, alpha=alpha, confidence=1.0, frame=frame),
            oblique=first.elevation > OBLIQUE,
        )


def _reach(model: TexturedMesh, cameras: list[Camera]) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper corner, in picture units, of all that any of the cameras sees; a turn's is as wide on both sides."""
    seen = [camera.project(model.positions) for camera in cameras]
    low, high = np.min([s.min(0) for s in seen], 0), np.max([s.max(0) for s in seen], 0)
    if len(cameras) > 1:
        high[0] = max(high[0], -low[0])
        low[0] = -high[0]
    return low, high
