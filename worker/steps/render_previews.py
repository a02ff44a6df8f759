"""Render previews of the model: what a reviewer sees first, what a DAM shows in its grid, what the AR page shows while loading."""

from dam_connector.domain.version import Role
from dam_connector.wiring import Services
from worker.cache import cached_model
from worker.imaging.encode import encode
from worker.modeling.camera import named_camera
from worker.modeling.diagnostic_views import DIAGNOSTIC_VIEWS, render_diagnostic_views
from worker.modeling.render import Renderer, RenderOptions
from worker.work import Work

SIZES_PX = {"hero": 640, "front": 400, "right": 400, "back": 400, "top": 400}
STUDY_PX = 480
SAMPLES = 2


def render_previews(work: Work, services: Services) -> Work:
    """The work with a preview for each view and each study. Reads: raw_model. Adds: files."""
    model = cached_model(services, work.model)
    stage = Renderer(model)
    for view, size in SIZES_PX.items():
        rgb, _ = stage.render(
            named_camera(model.min_corner, model.max_corner, view), size, RenderOptions(samples=SAMPLES)
        )
        work = work.with_file(services, encode(rgb, None, "webp"), "webp", Role.PREVIEW, view)
    for kind, rgb in zip(
        DIAGNOSTIC_VIEWS,
        render_diagnostic_views(
            stage, named_camera(model.min_corner, model.max_corner, "hero"), STUDY_PX, DIAGNOSTIC_VIEWS
        ),
        strict=True,
    ):
        work = work.with_file(services, encode(rgb, None, "webp"), "webp", Role.PREVIEW, kind)
    return work
