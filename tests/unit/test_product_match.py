"""Product match on a few pictures; benchmarks/product_match_detection.py has many more."""

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest

from benchmarks.product_match_detection import (
    compose_room,
    garble_lettering,
    mirror,
    print_lettering,
    repaint_part,
    rotate_hue,
    simulate_provider,
    stretch_width,
)
from tests.support import SAMPLES
from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.decode import Photo, decode
from worker.imaging.product_match import match_product
from worker.imaging.provider_pictures import (
    best_match,
    crop_to_format,
    find_mismatches,
    match_facts,
    product_match_issues,
)


@cache
def product_of(name: str) -> Cutout:
    return cut_out(decode((SAMPLES / f"{name}.jpg").read_bytes(), max_pixels=60_000_000))


def mug() -> Cutout:
    """A product with few features: it is found by its edges."""
    return product_of("mug-front")


def chair() -> Cutout:
    """A product with a weave."""
    return product_of("chair-front")


@cache
def box() -> Cutout:
    return print_lettering(product_of("shoe-box-front"), "NORTHWIND")


def codes(cutout: Cutout, picture: np.ndarray) -> list[str]:
    return [i.code for i in product_match_issues(match_product(cutout, picture), "/images/front")]


@pytest.mark.parametrize("product", [mug, chair, box])
def test_the_product_itself_in_other_light_and_size_is_recognised(product: Callable[[], Cutout]) -> None:
    cutout = product()
    found = match_product(cutout, simulate_provider(compose_room(cutout, 1), 3))
    assert (
        found.method
        and not list(find_mismatches(found))
        and found.colour_difference < 4
        and abs(found.stretch - 1) < 0.02
    )


@pytest.mark.parametrize(
    ("product", "change", "code"),
    [
        (mug, rotate_hue(70), "rendition.product_changed"),
        (mug, stretch_width(1.15), "rendition.product_changed"),
        (mug, mirror, "rendition.product_changed"),
        (chair, repaint_part, "rendition.product_changed"),
        (chair, stretch_width(0.9), "rendition.product_changed"),
        (box, garble_lettering, "rendition.text_changed"),
    ],
)
@pytest.mark.issue(param="code")
def test_a_changed_product_is_reported(
    product: Callable[[], Cutout], change: Callable[[Cutout], Cutout], code: str
) -> None:
    cutout = product()
    assert code in codes(cutout, simulate_provider(compose_room(change(cutout), 1), 3))


@pytest.mark.parametrize("other", ["table-front", "lamp-front"])
def test_another_product_is_not_taken_for_it(other: str) -> None:
    assert codes(mug(), compose_room(product_of(other), 1))


@pytest.mark.issue("rendition.product_unsure", "rendition.product_cut")
def test_a_picture_without_the_product_or_with_half_of_it_is_reported() -> None:
    empty = np.full((600, 600, 3), 200, np.uint8)
    assert codes(mug(), empty) == ["rendition.product_unsure"]
    assert match_facts(match_product(mug(), empty)) == {"product_found": "no"}
    whole = compose_room(box(), 1)
    _, top, _, bottom = match_product(box(), whole).box
    half = np.ascontiguousarray(whole[: (top + bottom) // 2])
    assert codes(box(), half) == ["rendition.product_cut"]


def test_the_issues_say_what_was_measured() -> None:
    found = match_product(mug(), simulate_provider(compose_room(stretch_width(1.15)(mug()), 1), 3))
    (mismatch,) = product_match_issues(found, "/images/front")
    assert (
        mismatch.code == "rendition.product_changed"
        and mismatch.measured in ("proportions +14 %", "proportions +15 %")  # processors round differently
        and mismatch.limit == "7 %"
        and mismatch.pointer == "/images/front"
    )


def test_of_several_pictures_the_best_is_taken() -> None:
    made = [
        Photo(rgb=simulate_provider(compose_room(change(mug()), 1), 3), alpha=None, format="PNG")
        for change in (rotate_hue(70), lambda cutout: cutout, stretch_width(1.2))
    ]
    chosen, found = best_match(mug(), made)
    assert chosen is made[1] and not list(find_mismatches(found))


def test_a_picture_is_fitted_around_its_product() -> None:
    rgb = np.zeros((1000, 1500, 3), np.uint8)
    cv2.rectangle(rgb, (1100, 300), (1399, 699), (250, 0, 0), -1)
    picture = crop_to_format(Photo(rgb=rgb, alpha=None, format="PNG"), (1100, 300, 1400, 700), 800, 1000)
    assert (
        picture.rgb.shape == (1000, 800, 3) and picture.scale == 1.0 and picture.box == (400, 300, 700, 700)
    )
    assert picture.rgb[500, 550, 0] == 250 and picture.rgb[500, 350, 0] == 0
    whole = crop_to_format(Photo(rgb=rgb, alpha=rgb[..., 0].copy(), format="PNG"), (0, 0, 0, 0), 3000, 2000)
    assert whole.rgb.shape == (2000, 3000, 3) and whole.alpha is not None and whole.scale == 2.0
