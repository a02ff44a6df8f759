"""Walks that went wrong in part: cut-outs without what stands on the ground, features that take too long."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dam_connector.domain.product import Dimensions
from dam_connector.errors import InputError
from tests.unit.true_shapes import chair
from tests.walks import placed_photos, walk_cameras, walk_photos
from worker.capture import build_walk, captured_model, ground_plate, photo_placing
from worker.capture.build_walk import best_first
from worker.capture.frames import CapturedFrame
from worker.capture.photo_placing import place_photos
from worker.capture.placed_photos import PlacedPhotos
from worker.capture.placing_process import Features
from worker.capture.settled_walk import settle_walk
from worker.capture.walk_mattes import mended_mattes, off_the_ground

COUNT = 16


@pytest.fixture(autouse=True)
def small_plate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the ground small: it costs most of the time."""
    monkeypatch.setattr(ground_plate, "PLATE_PX", 220)


@pytest.fixture(scope="module")
def walk() -> tuple[list[CapturedFrame], PlacedPhotos]:
    truth = chair()
    cameras = walk_cameras(truth, COUNT)
    photos = walk_photos(truth, cameras)
    return photos, placed_photos(truth, photos, cameras)


def test_where_one_kind_of_features_fails_the_other_places_the_photos(
    walk: tuple[list[CapturedFrame], PlacedPhotos], monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, placed = walk
    failing = {Features.SURROUNDINGS}
    monkeypatch.setattr(photo_placing, "can_place", lambda: True)

    def place(folder: Path, features: Features) -> list[PlacedPhotos]:
        if features in failing:
            raise InputError("capture.not_placed", "The photos cannot be placed: it takes too long.")
        return [placed]

    monkeypatch.setattr(photo_placing, "_place", place)
    assert place_photos(photos) is placed
    failing.add(Features.WHOLE)
    with pytest.raises(InputError, match="too long"):
        place_photos(photos)


@pytest.mark.issue("capture.no_outline")
def test_outlines_that_do_not_foretell_each_other_are_refused(
    walk: tuple[list[CapturedFrame], PlacedPhotos], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captured_model, "CELLS", 80_000)
    monkeypatch.setattr(build_walk, "held_out_agreement", lambda *_: 0.73)
    with pytest.raises(InputError) as caught:
        build_walk.build_from_placed(*walk, Dimensions(), "", max_triangles=4000, texture_px=512)
    assert caught.value.issue_code == "capture.no_outline" and "73 %" in caught.value.measured


def test_mattes_that_end_far_above_the_ground_have_no_ground_in_them(
    walk: tuple[list[CapturedFrame], PlacedPhotos],
) -> None:
    photos, placed = walk
    settled = settle_walk(photos, placed)
    upper = {}
    for number, matte in settled.mattes.items():
        rows = np.flatnonzero((matte > 127).any(1))
        upper[number] = matte.copy()
        upper[number][(rows[0] + rows[-1]) // 2 :] = 0
    pictures = {n: photo.picture for n, photo in settled.cut.items()}
    found, *_ = off_the_ground(pictures, settled.cameras, upper, settled.bounds)
    assert all((found[n] > 127).any() for n in found)


def test_legs_that_all_cut_outs_lost_come_back_where_photos_cannot_show_the_ground(
    walk: tuple[list[CapturedFrame], PlacedPhotos],
) -> None:
    photos, placed = walk
    settled = settle_walk(photos, placed)
    pictures = {n: photo.picture for n, photo in settled.cut.items()}
    lost = {}
    for number, matte in settled.mattes.items():
        rows = np.flatnonzero((matte > 127).any(1))
        lost[number] = matte.copy()
        lost[number][rows[-1] - len(rows) // 3 :] = 0
    found = mended_mattes(pictures, settled.cameras, lost, settled.bounds)
    shares, excess = [], []
    for number, true in settled.mattes.items():
        legs = (true > 127) & (lost[number] < 127)
        shares.append(((found[number] > 127) & legs).sum() / legs.sum())
        excess.append(((found[number] > 127) & (true < 127)).sum() / (true > 127).sum())
    assert np.mean(shares) > 0.5 and np.mean(excess) < 0.1


def test_mattes_count_whose_outlines_foretell_each_other(
    walk: tuple[list[CapturedFrame], PlacedPhotos],
) -> None:
    settled = settle_walk(*walk)
    true = settled.mattes
    nibbled = {n: np.where(np.indices(m.shape)[n % 2] % 40 < 34, m, 0) for n, m in true.items()}
    few = {n: true[n] if n < COUNT // 2 else np.zeros_like(true[n]) for n in true}
    ways = best_first(settled, [few, nibbled, true], Dimensions())
    assert ways[0] is true and ways[-1] is few


def test_ways_that_place_too_few_photos_are_not_compared(
    walk: tuple[list[CapturedFrame], PlacedPhotos], monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, placed = walk
    some = replace(placed, cameras={n: placed.cameras[n] for n in range(12)})
    few = replace(placed, cameras={n: placed.cameras[n] for n in range(5)})
    compared: list[PlacedPhotos] = []

    def explained(photos: list[CapturedFrame], placed: PlacedPhotos) -> float:
        compared.append(placed)
        return 1.0

    monkeypatch.setattr(photo_placing, "can_place", lambda: True)
    monkeypatch.setattr(photo_placing, "_place", lambda *_: [few, some])
    monkeypatch.setattr(photo_placing, "_explained", explained)
    assert place_photos(photos) is some and not any(way is few for way in compared)
