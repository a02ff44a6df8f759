"""Cut-outs on plain backgrounds: thin parts are kept and openings are seen through."""

import io
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from worker.imaging.clean_background import (
    EXACT_PROBABILITY,
    clean_alpha,
    cut_out_exactly,
    refine_on_clean_background,
)
from worker.imaging.cutout import Cutout
from worker.imaging.decode import Photo, decode
from worker.imaging.see_through import fitted_surface, open_see_through


def found_as(alpha: np.ndarray, rgb: np.ndarray, confidence: float = 0.4) -> Cutout:
    return Cutout(rgb=rgb, alpha=alpha, confidence=confidence)


def frame_on(background: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a picture of a brown frame with an opening, its mask, and the mask with the opening filled."""
    filled = np.zeros(background.shape[:2], np.uint8)
    filled[60:200, 60:200] = 255
    mask = filled.copy()
    mask[100:160, 100:160] = 0
    return np.where(mask[..., None] > 0, np.uint8([120, 70, 40]), background), mask, filled


def test_the_surface_of_a_background_is_found_below_product_and_shadow() -> None:
    y, x = np.mgrid[-1:1:80j, -1:1:100j]
    surface = np.stack([200 + 9 * x - 4 * y * y, 190 + 5 * x * y, 180 + 3 * x**3 - 2 * x * y * y], -1)
    picture, around = surface.astype(np.float32), np.ones((80, 100), bool)
    picture[20:60, 30:70], around[20:60, 30:70] = 20, False  # the product
    picture[60:70, 30:60] -= 40  # its shadow
    assert np.abs(fitted_surface(picture, around) - surface).max() < 0.01


def test_a_background_of_few_pixels_has_a_surface() -> None:
    picture, around = np.full((30, 30, 3), 128, np.float32), np.zeros((30, 30), bool)
    around[1, 1] = True  # beside the pixels that are fitted of a large background
    assert abs(fitted_surface(picture, around)[1, 1] - 128).max() < 0.01


def test_rods_that_a_net_loses_are_kept_on_one_exact_colour() -> None:
    rgb = np.full((256, 256, 3), 255, np.uint8)
    rgb[40:90, 60:200] = (150, 90, 60)
    rgb[90:220, [70, 71, 188, 189]] = (30, 30, 30)
    lost = np.zeros((256, 256), np.uint8)
    lost[40:90, 60:200] = 255
    kept = refine_on_clean_background(rgb, found_as(lost, rgb))
    assert np.array_equal(kept.alpha > 127, (rgb != 255).any(2)) and kept.confidence == 0.4


def test_white_parts_of_a_product_on_white_are_not_taken_from_it() -> None:
    rgb = np.full((256, 256, 3), 255, np.uint8)
    rgb[40:120, 60:200] = (150, 90, 60)
    product = np.zeros((256, 256), np.uint8)
    product[40:140, 60:200] = 255  # its base is white
    found = found_as(product, rgb)
    assert clean_alpha(rgb) is not None and refine_on_clean_background(rgb, found) is found


def test_a_soft_shadow_is_no_clear_outline() -> None:
    rgb = np.full((256, 256, 3), 255, np.uint8)
    rgb[40:120, 60:200] = (150, 90, 60)
    rgb[120:200, 30:230] = np.linspace(200, 255, 80).astype(np.uint8)[:, None, None]
    assert clean_alpha(rgb) is None


def test_a_logo_beside_the_product_does_not_replace_a_cut_out() -> None:
    rgb = np.full((256, 256, 3), 255, np.uint8)
    rgb[40:120, 30:110] = (150, 90, 60)
    rgb[140:220, 140:230] = (20, 20, 160)
    product = np.zeros((256, 256), np.uint8)
    product[40:120, 30:110] = 255
    found = found_as(product, rgb)
    assert refine_on_clean_background(rgb, found) is found


def test_a_filled_opening_is_opened_on_a_graded_background() -> None:
    rng = np.random.default_rng(0)
    shade = np.linspace(190, 230, 256)[:, None, None] + rng.normal(0, 1, (256, 256, 3))
    rgb, mask, filled = frame_on(np.clip(shade, 0, 255).astype(np.uint8))
    opened = open_see_through(rgb, found_as(filled, rgb)).alpha > 127
    assert (opened & (mask > 0)).sum() / (opened | (mask > 0)).sum() > 0.95


def test_a_busy_background_opens_nothing() -> None:
    rng = np.random.default_rng(0)
    rgb, _, filled = frame_on(rng.integers(0, 255, (256, 256, 3)).astype(np.uint8))
    found = found_as(filled, rgb)
    assert open_see_through(rgb, found) is found


def bag_on_white() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a picture of a bag with a handle, its mask, and the mask with the handle filled."""
    mask = np.zeros((400, 400), np.uint8)
    cv2.rectangle(mask, (100, 200), (300, 340), 255, -1)
    filled = mask.copy()
    cv2.ellipse(mask, (200, 200), (80, 130), 0, 180, 360, 255, 8)
    cv2.ellipse(filled, (200, 200), (80, 130), 0, 180, 360, 255, -1)
    shade = np.linspace(60, 160, 400)[:, None, None] * np.float32([1, 0.6, 0.4])
    return np.where(mask[..., None] > 0, shade, 255).astype(np.uint8), mask, filled


def seeing(mask: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return a net that sees a mask."""
    return lambda _rgb: cv2.resize((mask > 0).astype(np.float32), (320, 320))


def test_a_handle_that_the_net_fills_is_open_in_a_picture_without_loss() -> None:
    rgb, mask, filled = bag_on_white()
    photo = Photo(rgb=rgb, alpha=None, format="PNG")
    found = cut_out_exactly(photo, seeing(filled))
    assert found is not None and ((found.alpha > 127) != (mask > 0)).sum() < 40  # corners of the handle
    assert 0.6 < found.confidence < EXACT_PROBABILITY and "openings" in found.doubts[0]
    agreed = cut_out_exactly(photo, seeing(mask))
    assert agreed is not None and agreed.confidence == EXACT_PROBABILITY and not agreed.doubts


def test_a_glint_as_white_as_the_ground_is_no_gap() -> None:
    rgb, mask, _ = bag_on_white()
    rgb[280:283, 90:260] = 255  # almost cuts the bag in two
    found = cut_out_exactly(Photo(rgb=rgb, alpha=None, format="PNG"), seeing(mask))
    assert found is not None and np.array_equal(found.alpha[:, 110:] > 127, mask[:, 110:] > 0)


def test_a_small_hole_is_a_glint_where_the_product_fades_into_it_and_else_an_opening() -> None:
    rgb, mask = (np.repeat(np.repeat(each, 2, 0), 2, 1) for each in bag_on_white()[:2])
    y, x = np.mgrid[:800, :800]
    fade = np.clip((np.hypot(y - 560, x - 400) - 3) / 20, 0, 1)[..., None]
    rgb = (255 - (255.0 - rgb) * fade).astype(np.uint8)
    rgb[600:608, 280:288] = 255  # as punched
    photo = Photo(rgb=rgb, alpha=None, format="PNG")
    found = cut_out_exactly(photo, seeing(mask))
    assert found is not None and found.alpha[560, 400] == 255 and found.alpha[604, 284] == 0
    mask[500:620, 340:460] = 0  # for the net, it is open there
    open_ = cut_out_exactly(photo, seeing(mask))
    assert open_ is not None and open_.alpha[560, 400] == 0


def test_exact_colours_say_nothing_after_compression_with_loss() -> None:
    file = io.BytesIO()
    Image.fromarray(bag_on_white()[0]).save(file, "JPEG", quality=90)
    assert cut_out_exactly(decode(file.getvalue(), max_pixels=10**7), None) is None


def test_a_measure_beside_the_product_is_left_out_where_the_net_sees_nothing() -> None:
    rgb, mask, _ = bag_on_white()
    rgb[200:340, 330:332] = 90
    photo = Photo(rgb=rgb, alpha=None, format="PNG")
    found = cut_out_exactly(photo, seeing(mask))
    assert found is not None and np.array_equal(found.alpha > 127, mask > 0) and found.confidence > 0.6
    rgb[200:240, 340:380] = 30  # a part of a set, maybe
    doubted = cut_out_exactly(photo, seeing(mask))
    assert doubted is not None and "left out" in doubted.doubts[0]
    without_net = cut_out_exactly(photo, None)
    assert without_net is not None and without_net.alpha[220, 360] == 255


def test_a_product_in_pieces_is_doubted_since_a_white_band_may_be_lost() -> None:
    rgb, mask, _ = bag_on_white()
    rgb[250:300] = 255  # a blank label all around
    found = cut_out_exactly(Photo(rgb=rgb, alpha=None, format="PNG"), seeing(mask * 0))
    assert found is not None and found.confidence < 0.6 and "pieces" in found.doubts[0]
