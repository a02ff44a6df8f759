"""Models photographed: any side, all round, framed alike; and the renditions made of that."""

import io
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from PIL import Image

from dam_connector.domain.rules import Deliverable
from dam_connector.domain.run import RunKind
from dam_connector.errors import InputError
from tests.support import product
from tests.unit.shapes import as_model, box
from worker.modeling.camera import named_camera
from worker.modeling.glb_export import write_glb
from worker.modeling.render import Renderer, RenderOptions
from worker.modeling.turntable import render_views
from worker.renditions import RenditionRequest, RenditionResult, make_rendition, open_source

BAR = box(0.4, 0.2, 0.1)
FLAT = Deliverable(
    name="view",
    kind=RunKind.IMAGE,
    made_from="model",
    size_px=120,
    formats=("png",),
    background="transparent",
    shadow=False,
)


def made(**changes: object) -> RenditionResult:
    # type: ignore[arg-type]
    order = RenditionRequest(
        deliverable=replace(FLAT, **changes), product=product(), max_pixels=10**7, max_bytes=10**7
    )
    return make_rendition(open_source(write_glb(BAR, "CH123"), order), order, view="")


def sides(alpha: np.ndarray) -> tuple[int, int]:
    return int((alpha > 127).any(0).sum()), int((alpha > 127).any(1).sum())


@pytest.mark.parametrize(
    ("view", "proportions"), [("front", 2.0), ("right", 0.5), ("top", 4.0), ("90,0", 0.5)]
)
def test_a_view_fills_its_box(view: str, proportions: float) -> None:
    shot = next(render_views(BAR, view, "still", 24, (300, 300)))
    width, height = sides(shot.cutout.alpha)
    assert width / height == pytest.approx(proportions, rel=0.06) and max(width, height) == pytest.approx(
        300, abs=3
    )
    left, top, right, bottom = shot.cutout.box
    assert (
        max(right - left, bottom - top) == 300 and shot.name == view and not shot.is_oblique
    ) or view == "top"


def test_a_turn_keeps_scale_and_axis() -> None:
    shots = list(render_views(BAR, "front", "spin", 8, (400, 400)))
    assert [s.name for s in shots] == [f"{n:02d}" for n in range(1, 9)] and len(
        {s.cutout.box for s in shots}
    ) == 1
    assert {sides(s.cutout.alpha)[1] for s in shots} <= set(range(195, 206))
    for shot in shots:
        columns = np.flatnonzero((shot.cutout.alpha > 127).any(0))
        left, _, right, _ = shot.cutout.box
        assert (columns[0] + columns[-1] + 1) / 2 == pytest.approx((left + right) / 2, abs=2)


def test_unknown_views_are_refused() -> None:
    for view in ("sideways", "1,2,3", ""):
        with pytest.raises(KeyError):
            next(render_views(BAR, view, "still", 8, (10, 10)))


def test_a_still_a_spin_and_a_clip() -> None:
    still = made(camera="front")
    assert [(f.format, f.view) for f in still.files] == [("png", "")] and still.facts["frames"] == 1
    with Image.open(io.BytesIO(still.files[0].data)) as image:
        assert image.size == (120, 120) and sides(np.asarray(image.getchannel("A")))[0] == pytest.approx(
            103, abs=2
        )
    spin = made(motion="spin", frames=8, formats=("webp", "png"))
    assert len(spin.files) == 16 and {f.view for f in spin.files} == {f"{n:02d}" for n in range(1, 9)}
    clip = made(motion="clip", frames=8, formats=("webp",), background="#ffffff")
    with Image.open(io.BytesIO(clip.files[0].data)) as image:
        assert image.n_frames == 8 and image.size == (120, 120)
    assert len(clip.files) == 1 and len({f.data for f in spin.files}) == 16


def test_a_model_is_placed_in_a_room() -> None:
    room = made(style="lifestyle", aspect="4:5", fill=0.6, formats=("jpeg",), background="#ffffff")
    with Image.open(io.BytesIO(room.files[0].data)) as image:
        assert image.size == (96, 120) and np.asarray(image).std() > 5


def test_what_is_no_model_is_refused() -> None:
    order = RenditionRequest(deliverable=FLAT, product=product(), max_pixels=10**7, max_bytes=10**7)
    with pytest.raises(InputError):
        make_rendition(open_source(b"no glb", order), order, view="")


def test_shadows_have_no_grain_and_edges_are_soft() -> None:
    ball = as_model(trimesh.creation.icosphere(5, 0.5))
    rgb, _ = Renderer(ball).render(
        named_camera(ball.min_corner, ball.max_corner, "hero"), 200, RenderOptions()
    )
    grey = rgb.astype(float).mean(2)
    ground = grey[150:190, 20:180]
    assert (
        ground.std() > 3 and np.abs(np.diff(ground, axis=1)).mean() < 1.0
    )  # there is a shadow, and it is smooth
    _, alpha = Renderer(ball).render(
        named_camera(ball.min_corner, ball.max_corner, "hero"),
        200,
        RenderOptions(background=None, floor_shadow=False),
    )
    assert 100 < ((alpha > 0) & (alpha < 255)).sum() < 2000
    assert (
        rgb
        == Renderer(ball).render(
            named_camera(ball.min_corner, ball.max_corner, "hero"), 200, RenderOptions()
        )[0]
    ).all()
