"""The order in which the photos of a walk are placed: by their surroundings first, then by all they show."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from worker.capture import placing_process


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


WHOLE_WAY = [("surroundings", 30), ("surroundings", 15), ("whole", 30), ("whole", 15)]


@pytest.mark.parametrize(
    ("placed", "asked", "best"),
    [
        ({("surroundings", 30): 19, ("whole", 30): 20}, WHOLE_WAY[:1], 19),
        ({("surroundings", 30): 2, ("surroundings", 15): 20, ("whole", 30): 20}, WHOLE_WAY[:2], 20),
        ({("surroundings", 15): 7, ("whole", 30): 18}, WHOLE_WAY[:3], 18),
        ({("surroundings", 15): 7, ("whole", 30): 5, ("whole", 15): 6}, WHOLE_WAY, 7),
        ({}, WHOLE_WAY, 0),
    ],
)
def test_surroundings_come_first(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    placed: dict[tuple[str, int], int],
    asked: list[tuple[str, int]],
    best: int,
) -> None:
    library = Library(placed)
    monkeypatch.setitem(sys.modules, "pycolmap", library)
    monkeypatch.setattr(placing_process, "_as_plain", lambda model: {"photos": [0] * model.num_reg_images()})
    (tmp_path / placing_process.PHOTOS / "9x9").mkdir(parents=True)
    for number in range(20):
        (tmp_path / placing_process.PHOTOS / "9x9" / f"{number}.png").touch()
    assert len(placing_process.place_all(tmp_path)["photos"]) == best
    assert library.asked == asked and len(library.matched) == len({kind for kind, _ in asked})
