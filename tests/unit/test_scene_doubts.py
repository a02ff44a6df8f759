"""Evidence in a photo against a lifestyle picture of its product."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dam_connector.domain.ids import Sku
from dam_connector.domain.product import Product
from dam_connector.domain.rules import Deliverable
from dam_connector.domain.run import RunKind
from worker.imaging.cutout import Cutout
from worker.imaging.decode import Photo
from worker.imaging.poses import Pose
from worker.imaging.scene_choice import SceneFacts, plan_scene
from worker.imaging.scene_doubts import NO_DOUBTS, SceneDoubts, find_scene_doubts
from worker.renditions import RenditionRequest, make_rendition

U8 = NDArray[np.uint8]
SIDE = 600
BOX = (180, 200, 420, 440)  # left, top, right, bottom of the product


def paper(grey: int = 225, slope: float = 14.0) -> NDArray[np.float32]:
    """A lit paper: grey, a little darker to the right, with the grain of a camera."""
    grain = np.random.default_rng(3).normal(0, 0.7, (SIDE, SIDE, 1))
    falls = slope * np.linspace(0.5, -0.5, SIDE)[None, :, None]
    return np.repeat((grey + falls + grain).astype(np.float32), 3, 2)


def shown(ground: NDArray[np.float32], *, shadow: bool = True) -> tuple[Photo, Cutout]:
    """A dark product on a ground, and its true cut-out."""
    left, top, right, bottom = BOX
    alpha = np.zeros((SIDE, SIDE), np.uint8)
    alpha[top:bottom, left:right] = 255
    picture = ground.copy()
    if shadow:
        dark = np.zeros((SIDE, SIDE), np.float32)
        dark[bottom - 10 : bottom + 12, left - 10 : right + 40] = 70
        picture -= cv2.GaussianBlur(dark, (0, 0), 8)[..., None]
    picture[alpha > 0] = (70, 80, 120)
    rgb = np.clip(picture, 0, 255).astype(np.uint8)
    return Photo(rgb=rgb, alpha=None, format="JPEG"), Cutout(
        rgb=rgb, alpha=alpha, confidence=1.0, net="u2netp.onnx"
    )


def test_a_product_that_stands_on_its_paper_raises_no_doubt() -> None:
    assert find_scene_doubts(*shown(paper())) == NO_DOUBTS


def test_a_product_without_a_shadow_on_a_paper_that_nobody_retouched_hangs_in_the_air() -> None:
    photo, cutout = shown(paper(), shadow=False)
    doubts = find_scene_doubts(photo, cutout)
    assert doubts.hangs and not doubts.of_cutout
    plan = plan_scene(cutout, SceneFacts(doubts=doubts))
    assert plan.finding.pose is Pose.LIES
    assert [found.code for found in plan.issues("")] == ["rendition.scene_unsure"]


@pytest.mark.parametrize(
    "ground",
    [
        pytest.param(np.full((SIDE, SIDE, 3), 255, np.float32), id="white"),
        pytest.param(np.full((SIDE, SIDE, 3), 200, np.float32), id="a fill of one colour"),
        pytest.param(paper(grey=255, slope=4), id="overexposed paper"),
    ],
)
def test_a_ground_that_may_have_lost_its_shadows_says_nothing(ground: NDArray[np.float32]) -> None:
    assert find_scene_doubts(*shown(ground, shadow=False)) == NO_DOUBTS


def test_a_busy_ground_says_nothing_of_shadows() -> None:
    photo, cutout = shown(paper(), shadow=False)
    assert find_scene_doubts(photo, replace(cutout, busy_share=0.4)) == NO_DOUBTS


def test_a_cut_out_that_is_half_see_through_over_a_wide_area_is_doubted() -> None:
    photo, cutout = shown(paper())
    smeared = cutout.alpha.copy()
    smeared[410:440, 180:300] = 120
    doubts = find_scene_doubts(photo, replace(cutout, alpha=smeared))
    assert "half see-through" in doubts.of_cutout
    assert not find_scene_doubts(photo, replace(cutout, alpha=smeared, lifted=0.4)).of_cutout


def test_a_soft_outline_and_a_thin_soft_part_are_no_smear() -> None:
    photo, cutout = shown(paper())
    soft = cv2.GaussianBlur(cutout.alpha, (0, 0), 1.2)
    soft[100:200, 300:303] = 140
    assert find_scene_doubts(photo, replace(cutout, alpha=soft)) == NO_DOUBTS


def glazed(ground: NDArray[np.float32]) -> tuple[Photo, Cutout]:
    """The product with a pane through which the ground is seen; the mask has the pane."""
    photo, cutout = shown(ground)
    rgb = photo.rgb.copy()
    rgb[240:340, 240:360] = np.clip(ground, 0, 255).astype(np.uint8)[240:340, 240:360]
    return replace(photo, rgb=rgb), replace(cutout, rgb=rgb)


def test_a_ground_that_shows_behind_glass_is_found() -> None:
    doubts = find_scene_doubts(*glazed(paper()))
    assert "ground shows within the product" in doubts.of_cutout


def test_white_parts_on_a_white_ground_may_be_labels() -> None:
    assert find_scene_doubts(*glazed(np.full((SIDE, SIDE, 3), 255, np.float32))) == NO_DOUBTS


def test_a_photo_with_its_own_transparency_raises_no_doubt() -> None:
    photo, cutout = shown(paper(), shadow=False)
    veil = cutout.alpha.copy()
    veil[300:440] = veil[300:440] // 2
    see_through = replace(cutout, alpha=veil)
    assert find_scene_doubts(replace(photo, alpha=veil), see_through) == NO_DOUBTS


def test_a_doubt_of_the_cut_out_is_in_the_report_and_a_doubt_of_the_pose_comes_first() -> None:
    _, cutout = shown(paper())
    facts = SceneFacts(doubts=SceneDoubts(of_cutout="the mask lacks a wheel"))
    assert [found.message for found in plan_scene(cutout, facts).issues("")] == [
        "A doubt about the scene: the mask lacks a wheel."
    ]
    cropped = replace(cutout, touched_sides=("left",))
    assert "cuts the product off" in plan_scene(cropped, facts).finding.doubt


def test_the_report_of_a_lifestyle_picture_names_the_doubts_of_its_photo() -> None:
    lifestyle = Deliverable(
        name="room", kind=RunKind.IMAGE, formats=("jpeg",), style="lifestyle", aspect="4:5", size_px=400
    )
    product = Product(sku=Sku("A-1"), name="", category="")
    request = RenditionRequest(deliverable=lifestyle, product=product, max_pixels=10**7, max_bytes=10**7)

    def codes(shadow: bool) -> set[str]:
        photo, cutout = shown(paper(), shadow=shadow)
        result = make_rendition(photo, request, view="front", cut_out=lambda *_: cutout)
        return {str(found.code) for found in result.issues}

    assert codes(shadow=False) - codes(shadow=True) == {"rendition.scene_unsure"}
