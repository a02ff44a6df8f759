"""The ways in which the photos of a walk are placed: another one only where most are not placed."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from worker.capture import placing_process
from worker.capture.placing_process import Features


class Library:
    """A stand-in for pycolmap that places so many photos, by features and shared points."""

    def __init__(self, placed: dict[tuple[str, int], int]) -> None:
        self.placed, self.asked, self.matched = placed, list[tuple[str, int]](), list[str]()
        self.written: dict[str, int] = {}  # the number of features by the photo's name
        self.CameraMode = SimpleNamespace(PER_FOLDER=0)
        self.ImageReaderOptions = SimpleNamespace
        self.Database = SimpleNamespace(open=self.open)
        self.names: list[str] = []
        self.inliers: dict[tuple[str, str], Any] = {}  # of pairs of photos

    def open(self, path: Path) -> "Library":
        path.touch()
        return self

    def import_images(self, database: Path, photos: Path, mode: int, **_: Any) -> None:
        self.names = sorted(str(path.relative_to(photos)) for path in photos.rglob("*.png"))

    def read_all_images(self) -> list[Any]:
        return [SimpleNamespace(name=name, image_id=name) for name in self.names]

    def write_keypoints(self, name: str, places: Any) -> None:
        self.written[name] = len(places)

    def write_matches(self, *_: Any) -> None: ...

    def exists_two_view_geometry(self, first: str, second: str) -> bool:
        return (first, second) in self.inliers

    def read_two_view_geometry(self, first: str, second: str) -> Any:
        return SimpleNamespace(inlier_matches=self.inliers[first, second])

    def delete_two_view_geometry(self, first: str, second: str) -> None:
        del self.inliers[first, second]

    def delete_matches(self, *pair: str) -> None:
        assert pair not in self.inliers

    def close(self) -> None: ...

    def TwoViewGeometryOptions(self) -> Any:
        return SimpleNamespace(ransac=SimpleNamespace())

    def IncrementalPipelineOptions(self) -> Any:
        return SimpleNamespace(mapper=SimpleNamespace())

    def set_random_seed(self, seed: int) -> None: ...

    def verify_matches(self, database: Path, pairs: Path, options: Any) -> None:
        self.matched.append(database.parent.name)

    def incremental_mapping(self, database: Path, photos: Path, folder: Path, *, options: Any) -> Any:
        key = (database.parent.name, options.mapper.abs_pose_min_num_inliers)
        if "confirmed" in database.name:
            return {}
        self.asked.append(key)
        count = self.placed.get(key, 0)
        return {0: SimpleNamespace(num_reg_images=lambda: count)} if count else {}


def write_pictures(folder: Path, count: int) -> None:
    """Write photos of noise, whose right half is the product."""
    random = np.random.default_rng(0)
    mask = np.full((48, 64), 255, np.uint8)
    mask[:, 32:] = 0
    for kind in (placing_process.PHOTOS, placing_process.MASKS):
        (folder / kind / "64x48").mkdir(parents=True)
    for number in range(count):
        noise = cv2.GaussianBlur(random.integers(0, 255, (48, 64)).astype(np.uint8), (0, 0), 1.5)
        cv2.imwrite(str(folder / placing_process.PHOTOS / "64x48" / f"{number}.png"), noise)
        cv2.imwrite(str(folder / placing_process.MASKS / "64x48" / f"{number}.png"), mask)


@pytest.mark.parametrize(
    ("placed", "asked", "ways"),
    [
        ({30: 19, 15: 20}, [30], [19]),
        ({30: 2, 15: 20}, [30, 15], [2, 20]),
        ({15: 7}, [30, 15], [7]),
        ({}, [30, 15], [0]),
    ],
)
@pytest.mark.parametrize("features", Features)
def test_a_second_way_is_tried_where_the_first_places_too_few(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    features: Features,
    placed: dict[int, int],
    asked: list[int],
    ways: list[int],
) -> None:
    library = Library({(features, shared): count for shared, count in placed.items()})
    monkeypatch.setitem(sys.modules, "pycolmap", library)
    refined: list[int] = []
    monkeypatch.setattr(placing_process, "_refine", lambda _, model: refined.append(model.num_reg_images()))
    monkeypatch.setattr(placing_process, "_as_plain", lambda model: {"photos": [0] * model.num_reg_images()})
    write_pictures(tmp_path, 20)
    found = placing_process.place_all(tmp_path, features)
    assert [len(way["photos"]) for way in found] == ways and refined == [count for count in ways if count]
    assert library.asked == [(features, shared) for shared in asked] and library.matched == [features]


def test_features_are_looked_for_once_and_those_of_the_product_count_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library({})
    monkeypatch.setitem(sys.modules, "pycolmap", library)
    write_pictures(tmp_path, 3)
    placing_process.place_all(tmp_path, Features.SURROUNDINGS)
    surroundings = dict(library.written)

    def not_again(grey: object) -> None:
        raise AssertionError("features are looked for again")

    monkeypatch.setattr(placing_process, "find_features", not_again)
    placing_process.place_all(tmp_path, Features.WHOLE)
    assert all(0 < surroundings[name] < count for name, count in library.written.items())


def test_pairs_of_photos_count_whose_surroundings_move_as_the_product_does(tmp_path: Path) -> None:
    library = Library({})
    library.names = ["a", "b", "c", "d"]
    numbers = np.arange(200)
    around = dict.fromkeys(library.names, numbers < 100)

    def shared(surroundings: int, product: int) -> Any:
        chosen = np.concatenate([numbers[:surroundings], numbers[100 : 100 + product]])
        return np.column_stack([chosen, chosen])

    library.inliers = {
        ("a", "b"): shared(8, 60),
        ("a", "c"): shared(7, 0),
        ("b", "c"): shared(0, 90),
        ("b", "d"): np.column_stack([numbers[:50], numbers[100:150]]),  # a background like the product
        ("c", "d"): shared(30, 0),
    }
    placing_process._keep_confirmed(library, tmp_path / "features.db", around)
    assert set(library.inliers) == {("a", "b"), ("c", "d")}
