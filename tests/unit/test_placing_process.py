"""The ways in which the photos of a walk are placed: another one only where most are not placed."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from worker.capture import placing_process
from worker.capture.placing_process import Features


class Library:
    """A stand-in for pycolmap that places so many photos, by features and shared points."""

    def __init__(self, placed: dict[tuple[str, int], int]) -> None:
        self.placed, self.asked, self.matched = placed, list[tuple[str, int]](), list[str]()
        self.Device = SimpleNamespace(cpu=0)
        self.CameraMode = SimpleNamespace(PER_FOLDER=0)
        self.ImageReaderOptions = SimpleNamespace
        self.FeatureMatchingOptions = SimpleNamespace

    def FeatureExtractionOptions(self) -> Any:
        return SimpleNamespace(sift=SimpleNamespace())

    def TwoViewGeometryOptions(self) -> Any:
        return SimpleNamespace(ransac=SimpleNamespace())

    def IncrementalPipelineOptions(self) -> Any:
        return SimpleNamespace(mapper=SimpleNamespace())

    def set_random_seed(self, seed: int) -> None: ...

    def extract_features(self, database: Path, photos: Path, *, reader_options: Any, **_: Any) -> None:
        assert hasattr(reader_options, "mask_path") == (database.parent.name == "surroundings")

    def match_exhaustive(self, database: Path, **_: Any) -> None:
        self.matched.append(database.parent.name)

    def incremental_mapping(self, database: Path, photos: Path, folder: Path, *, options: Any) -> Any:
        key = (database.parent.name, options.mapper.abs_pose_min_num_inliers)
        self.asked.append(key)
        count = self.placed.get(key, 0)
        return {0: SimpleNamespace(num_reg_images=lambda: count)} if count else {}


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
    monkeypatch.setattr(placing_process, "_as_plain", lambda model: {"photos": [0] * model.num_reg_images()})
    (tmp_path / placing_process.PHOTOS / "9x9").mkdir(parents=True)
    for number in range(20):
        (tmp_path / placing_process.PHOTOS / "9x9" / f"{number}.png").touch()
    found = placing_process.place_all(tmp_path, features)
    assert [len(way["photos"]) for way in found] == ways
    assert library.asked == [(features, shared) for shared in asked] and library.matched == [features]
