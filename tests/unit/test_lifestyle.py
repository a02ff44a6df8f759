"""Lifestyle composition: the product's own pixels; one seed, one room; another room for each slot."""

from functools import cache

import numpy as np
import pytest

from tests.support import SAMPLES
from worker.imaging import lifestyle
from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.decode import decode
from worker.imaging.deliverable_styles import slot_seed
from worker.imaging.floor_materials import MATERIALS
from worker.imaging.lifestyle import FOOT, ROOMS, Scene, compose_lifestyle


@cache
def chair() -> Cutout:
    return cut_out(decode((SAMPLES / "chair-front.jpg").read_bytes(), max_pixels=10**8))


def made(slot: int = 1, seed: int = 7, **options: object) -> np.ndarray:
    return compose_lifestyle(
        chair(), Scene(width=320, height=400, fill=0.6, slot=slot, seed=seed, height_m=0.81, **options)
    ).rgb  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_picture_and_another_seed_another_grain() -> None:
    assert (made() == made()).all() and (made() != made(seed=8)).any()
    assert slot_seed("A", "lifestyle", 1) == slot_seed("A", "lifestyle", 1) != slot_seed("A", "lifestyle", 2)


def test_slots_differ_visibly() -> None:
    pictures = [made(slot).astype(float) for slot in (1, 2, 3, 4)]
    for n, one in enumerate(pictures):
        for other in pictures[n + 1 :]:
            assert np.abs(one - other).mean() > 8


def test_the_products_pixels_are_the_photos() -> None:
    left, top, right, bottom = chair().box
    centre = chair().rgb[top + (bottom - top) // 10, (left + right) // 2].astype(int)
    for slot in (1, 2, 3, 4):
        picture = made(slot).astype(int)
        near = picture[80:140, 150:170].reshape(-1, 3)
        assert np.abs(near - centre).max(1).min() <= 3


@pytest.mark.parametrize("slot", [1, 2, 3, 4])
def test_the_product_stands_on_the_floor_and_takes_light_from_it(
    monkeypatch: pytest.MonkeyPatch, slot: int
) -> None:
    shaded = made(slot).astype(float).mean(2)
    for shadow in ("contact_shadow", "cast_shadow"):
        monkeypatch.setattr(lifestyle, shadow, lambda alpha, *_, **__: np.zeros_like(alpha))
    taken = made(slot).astype(float).mean(2) - shaded  # the same room, its grain too
    foot = round(FOOT * 400)
    assert taken[foot + 2 : foot + 6, 105:115].max() > 10 and taken[foot + 40 : foot + 50, 105:115].max() < 2
    assert (
        taken.min() > -3 and taken[: foot - 120].max() < 3
    )  # nothing gets lighter, and the wall behind stays as it is


@pytest.mark.parametrize("name", MATERIALS)
def test_materials_are_colours_with_texture(name: str) -> None:
    drawn = MATERIALS[name].colourise(MATERIALS[name].draw_levels(256, 200.0, np.random.default_rng(1)))
    assert drawn.shape == (256, 256, 3) and drawn.dtype == np.float32 and np.isfinite(drawn).all()
    assert drawn.min() >= 0.0 and drawn.max() <= 1.2 and 0.01 < drawn.std() < 0.3
    assert {room.floor for room in ROOMS} == set(MATERIALS)


@pytest.mark.parametrize(("width", "height"), [(320, 180), (180, 320), (200, 200)])
def test_any_aspect_and_an_unknown_size(width: int, height: int) -> None:
    for oblique in (False, True):
        scene = Scene(width=width, height=height, fill=0.8, slot=4, seed=1, oblique=oblique)
        assert compose_lifestyle(chair(), scene).rgb.shape == (height, width, 3)
