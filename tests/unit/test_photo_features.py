"""Features of photos: the same places are found again, and only neighbours are compared in full."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from worker.capture import photo_features
from worker.capture.photo_features import find_features, likely_pairs, same_places

PX = 200
U8 = NDArray[np.uint8]


def pattern(seed: int, width: int = PX) -> U8:
    """Return a picture of spots."""
    random = np.random.default_rng(seed)
    picture = np.full((PX, width), 128, np.uint8)
    for _ in range(width * 2):
        place = (int(random.integers(0, width)), int(random.integers(0, PX)))
        cv2.circle(picture, place, int(random.integers(3, 9)), int(random.integers(0, 255)), -1)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.0), np.uint8)


def test_places_are_found_again_in_a_picture_that_is_turned_and_brighter() -> None:
    picture = pattern(1)
    move = cv2.getRotationMatrix2D((PX / 2, PX / 2), 25, 1.1)
    turned = cv2.convertScaleAbs(cv2.warpAffine(picture, move, (PX, PX)), alpha=0.8, beta=30)
    first, second = find_features(picture), find_features(turned)
    found = same_places(first, second)
    # the middle of the first pixel is at 0 for OpenCV, and at .5 here
    wanted = (first.places[found[:, 0], :2] - 0.5) @ move[:, :2].T + move[:, 2] + 0.5
    errors = np.linalg.norm(wanted - second.places[found[:, 1], :2], axis=1)
    assert len(found) > 50 and float(np.median(errors)) < 0.3 and float((errors < 2).mean()) > 0.9


def test_features_of_other_pictures_are_not_the_same_places() -> None:
    first, second = find_features(pattern(1)), find_features(pattern(2))
    assert len(same_places(first, second)) < 0.02 * len(first.places)


def test_a_place_is_that_of_a_pixel_s_middle() -> None:
    picture = np.full((65, 65), 60, np.uint8)
    cv2.circle(picture, (32, 32), 6, 220, -1)
    found = find_features(cv2.GaussianBlur(picture, (0, 0), 1.5))
    assert found.places[0, :2] == pytest.approx([32.5, 32.5], abs=0.1)


def test_a_picture_without_features_is_like_no_other() -> None:
    plain, other = find_features(np.full((64, 64), 90, np.uint8)), find_features(pattern(1))
    assert not len(plain.places)
    assert same_places(plain, other).shape == (0, 2) and likely_pairs([plain, other, plain]) == []


def test_only_neighbours_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_features, "NEIGHBOURS", 2)
    strip = pattern(3, 6 * PX)
    photos = [find_features(strip[:, left : left + PX]) for left in range(0, 5 * PX, PX // 2)]
    pairs = likely_pairs(photos)
    assert {(n, n + 1) for n in range(len(photos) - 1)} <= set(pairs)
    assert len(pairs) <= 2 * len(photos)


def test_features_in_a_mask_are_chosen() -> None:
    found = find_features(pattern(4))
    mask = np.zeros((PX, PX), np.uint8)
    mask[:, : PX // 2] = 255
    kept = found.at(found.are_in(mask))
    assert 0 < len(kept.places) < len(found.places) and (kept.places[:, 0] <= PX / 2).all()
