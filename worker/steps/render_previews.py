"""Render previews of the model, for reviewers, for a DAM's grid, and for the AR page while it loads."""

import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.issue import issue
from dam_connector.domain.version import Role
from dam_connector.wiring import Services
from worker.cache import cached_features, cached_model
from worker.gltf.features import undrawn
from worker.imaging.encode import encode
from worker.modeling.camera import named_camera
from worker.modeling.render import Renderer, RenderOptions
from worker.work import Work

U8 = NDArray[np.uint8]
SIZES_PX = {"hero": 640, "front": 400, "right": 400, "back": 400, "top": 400}  # by view
SAMPLES = 2  # rays a pixel, on each axis


def render_previews(work: Work, services: Services) -> Work:
    """Add a preview for each named view.

    Reads: raw_model; does nothing without one. Adds: files; issue model.preview_differs for what our renderer
    does not draw.
    """
    if work.raw_model is None:
        return work
    model = cached_model(services, work.model_sha256)
    missing = ", ".join(undrawn(cached_features(services, work.model_sha256)))
    if missing:
        message = f"The previews do not show: {missing}."
        work = work.with_issues(issue("model.preview_differs", message, measured=missing))
    renderer = Renderer(model)

    def add_preview(work: Work, rgb: U8, view: str) -> Work:
        return work.with_file(services, encode(rgb, None, "webp"), "webp", Role.PREVIEW, view)

    for view, size in SIZES_PX.items():
        camera = named_camera(model.min_corner, model.max_corner, view)
        work = add_preview(
            work, renderer.render(camera, size, RenderOptions(samples_per_axis=SAMPLES))[0], view
        )
    return work
