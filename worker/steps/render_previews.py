"""Render previews of the model: what a reviewer sees first, what a DAM shows in its grid, what the AR page shows while loading."""

from dam_connector.domain.version import Role
from dam_connector.wiring import Services
from worker.cache import model_of
from worker.imaging.encode import encode
from worker.modeling.camera import camera_for
from worker.modeling.diagnostic_views import STUDIES, studies
from worker.modeling.render import Look, Stage
from worker.work import Work

SIZES_PX = {"hero": 640, "front": 400, "right": 400, "back": 400, "top": 400}
STUDY_PX = 480
SAMPLES = 2


def render_previews(work: Work, services: Services) -> Work:
    """The work with a preview for each view and each study. Reads: raw_model. Adds: files."""
    model = model_of(services, work.model)
    stage = Stage(model)
    for view, size in SIZES_PX.items():
        rgb, _ = stage.render(camera_for(model.low, model.high, view), size, Look(samples=SAMPLES))
        work = work.with_file(services, encode(rgb, None, "webp"), "webp", Role.PREVIEW, view)
    for kind, rgb in zip(
        STUDIES, studies(stage, camera_for(model.low, model.high, "hero"), STUDY_PX, STUDIES), strict=True
    ):
        work = work.with_file(services, encode(rgb, None, "webp"), "webp", Role.PREVIEW, kind)
    return work
