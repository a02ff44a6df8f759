"""The process that places the photos of a walk: `python -m worker.capture.placing_process FOLDER FEATURES`.

FOLDER holds pictures that our own decoder wrote, and masks of the product, one folder for each size. The
process writes a list of ways to place them, with cameras and points, to its standard output, as JSON. It
works on one thread from a fixed seed, so that the same photos give the same cameras.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from itertools import combinations
from os import close, dup, dup2
from pathlib import Path
from shutil import copy
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_connector.watched_process import ProcessLimits, limit_this_process
from worker.capture.photo_features import PhotoFeatures, find_features, likely_pairs, same_places

if TYPE_CHECKING:
    import pycolmap

Mask = NDArray[np.bool_]

# Photos of 1024 px need 1 to 2 CPU-seconds each.
LIMITS = ProcessLimits(cpu_s=200, memory_bytes=2_000_000_000, output_bytes=400_000_000)
# Within the folder. A mask is named as its photo, and black where the product is.
PHOTOS, MASKS, FEATURES_FILE, DATABASE = "photos", "masks", "features.npz", "features.db"
SEED = 0
MIN_MATCHES = 15  # of two photos; fewer are chance, as the library has it
# Of the surroundings, that the product's ones need besides: at least so many, and as a share of all.
MIN_CONFIRMING, CONFIRMING_SHARE = 8, 0.05
MAX_TRIALS = 1000  # to explain the matches of two photos; wrong ones would take the usual 10000
LOSS_PX = 0.5  # between a point and where a photo sees it, from which on it counts less
MIN_VIEWS = 3  # photos that see a point
MAX_MODELS = 3  # groups of photos that fit together
# Pairs of photos to begin with. On a floor of equal tiles the usual 200 took more than 300 CPU-seconds, each
# in a group of less than ten photos.
MAX_FIRST_PAIRS = 20
# Points that a photo must share with those which are placed. The library's usual number first: on a floor of
# equal tiles the second one places all of 32 photos where the first one places two.
SHARED_POINTS = (30, 15)
ENOUGH_PLACED = 0.9  # of the photos: then nothing else is tried
ROUNDING = 7  # digits after the point
FEATURE_LAYERS = ("places", "descriptors")


class Features(StrEnum):
    """The features of photos that count, in the order of the tries.

    Those of the surroundings come first: a product that looks alike from several sides, e.g. a lamp, would
    put all photos on one side of it. Those of the product count where its surroundings do not suffice.
    """

    SURROUNDINGS = "surroundings"
    WHOLE = "whole"


def place_all(folder: Path, features: Features) -> list[dict[str, Any]]:
    """Return the ways to place the photos: cameras, and the points that they see.

    Each is the largest group of photos that fit together, with as many points that photos must share. Where
    the first one has most photos, no other is tried. Where the product's features count, the photos are
    placed a second time by pairs that the surroundings confirm.
    """
    import pycolmap

    pycolmap.set_random_seed(SEED)
    photos, own = folder / PHOTOS, folder / features
    names = sorted(str(path.relative_to(photos)) for path in photos.rglob("*.png"))
    own.mkdir()
    found = _features_of(folder, names)
    masks = [cv2.imread(str(folder / MASKS / name), cv2.IMREAD_GRAYSCALE) for name in names]
    around = [photo.are_in(np.asarray(mask, np.uint8)) for photo, mask in zip(found, masks, strict=True)]
    if features is Features.SURROUNDINGS:
        found = [photo.at(chosen) for photo, chosen in zip(found, around, strict=True)]
    databases = [own / DATABASE]
    _write_matches(pycolmap, databases[0], photos, dict(zip(names, found, strict=True)))
    if features is Features.WHOLE:
        databases.append(own / f"confirmed-{DATABASE}")
        copy(databases[0], databases[1])
        _keep_confirmed(pycolmap, databases[1], dict(zip(names, around, strict=True)))
    ways: list[dict[str, Any]] = []
    for database in databases:
        for shared_points in SHARED_POINTS:
            target = own / f"{database.stem}-{shared_points}"
            model = _largest_model(pycolmap, database, photos, target, shared_points)
            if model:
                ways.append(_as_plain(model))
                if model.num_reg_images() >= ENOUGH_PLACED * len(names):
                    break
    return ways or [{"photos": [], "points": [], "seen_by": [], "error_px": 0.0}]


def _features_of(folder: Path, names: Sequence[str]) -> list[PhotoFeatures]:
    """Return the features of all photos; those that an earlier process found are read."""
    path = folder / FEATURES_FILE
    if not path.exists():
        read = (cv2.imread(str(folder / PHOTOS / name), cv2.IMREAD_GRAYSCALE) for name in names)
        found = [find_features(np.asarray(grey, np.uint8)) for grey in read]
        layers = {f"{kind}{n}": getattr(f, kind) for n, f in enumerate(found) for kind in FEATURE_LAYERS}
        np.savez(partial := folder / f"partial-{FEATURES_FILE}", **layers)
        partial.rename(path)  # a process that is ended leaves no part of it
    with np.load(path) as stored:
        return [
            PhotoFeatures(**{kind: stored[f"{kind}{n}"] for kind in FEATURE_LAYERS})
            for n in range(len(names))
        ]


def _write_matches(pycolmap: Any, database: Path, photos: Path, features: dict[str, PhotoFeatures]) -> None:
    """Write a database with the features of photos, by their names, and what they have in common."""
    reading = pycolmap.ImageReaderOptions()
    reading.camera_model = "SIMPLE_RADIAL"
    stored = pycolmap.Database.open(database)
    stored.close()
    # One phone: photos of one size have one lens.
    pycolmap.import_images(database, photos, pycolmap.CameraMode.PER_FOLDER, options=reading)
    stored = pycolmap.Database.open(database)
    ids = {image.name: image.image_id for image in stored.read_all_images()}
    for name, found in features.items():
        stored.write_keypoints(ids[name], found.places)
    names, listed, pairs = list(features), list(features.values()), []
    for first, second in likely_pairs(listed):
        matches = same_places(listed[first], listed[second])
        if len(matches) >= MIN_MATCHES:
            stored.write_matches(ids[names[first]], ids[names[second]], matches)
            pairs.append(f"{names[first]} {names[second]}\n")
    stored.close()
    file = database.with_suffix(".txt")
    file.write_text("".join(pairs))
    geometry = pycolmap.TwoViewGeometryOptions()
    geometry.ransac.random_seed, geometry.ransac.max_num_trials = SEED, MAX_TRIALS
    pycolmap.verify_matches(database, file, geometry)


def _keep_confirmed(pycolmap: Any, database: Path, around: dict[str, Mask]) -> None:
    """Take pairs of photos out of a database where the surroundings do not move as the product does.

    The front and the back of a product that look alike fit together without them.

    Args:
        pycolmap: The library.
        database: With the features of the photos and what they have in common.
        around: Which features are of the surroundings, by the photo's name.
    """
    stored = pycolmap.Database.open(database)
    ids = {image.name: image.image_id for image in stored.read_all_images()}
    for first, second in combinations(around, 2):
        pair = ids[first], ids[second]
        if not stored.exists_two_view_geometry(*pair):
            continue
        matches = stored.read_two_view_geometry(*pair).inlier_matches
        count = int((around[first][matches[:, 0]] & around[second][matches[:, 1]]).sum())
        if count < max(MIN_CONFIRMING, CONFIRMING_SHARE * len(matches)):
            stored.delete_two_view_geometry(*pair)
            stored.delete_matches(*pair)
    stored.close()


def _largest_model(
    pycolmap: Any, database: Path, photos: Path, folder: Path, shared_points: int
) -> "pycolmap.Reconstruction | None":
    """Return the largest group of photos that fit together.

    Args:
        pycolmap: The library.
        database: With the features and their matches.
        photos: The folder of the photos.
        folder: For the library's own files.
        shared_points: That a photo must have at least with those which are placed.
    """
    folder.mkdir()
    mapping = pycolmap.IncrementalPipelineOptions()
    mapping.num_threads, mapping.random_seed, mapping.max_num_models = 1, SEED, MAX_MODELS
    mapping.extract_colors, mapping.init_num_trials = False, MAX_FIRST_PAIRS
    mapping.mapper.abs_pose_min_num_inliers = shared_points
    # Photos that share no point with the others would be placed by their directions alone: wrongly, and in
    # up to 90 CPU-seconds.
    mapping.structure_less_registration_fallback = False
    found = pycolmap.incremental_mapping(database, photos, folder, options=mapping)
    model = max(found.values(), key=lambda model: model.num_reg_images(), default=None)
    if model:
        _refine(pycolmap, model)
    return model


def _refine(pycolmap: Any, model: "pycolmap.Reconstruction") -> None:
    """Fit cameras and points once more, with little weight for points that are far off.

    The library counts all that are off by up to four pixels alike.
    """
    fitting = pycolmap.BundleAdjustmentOptions()
    fitting.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
    fitting.ceres.loss_function_scale = LOSS_PX
    fitting.ceres.solver_options.num_threads = 1
    pycolmap.bundle_adjustment(model, fitting)


def _as_plain(model: "pycolmap.Reconstruction") -> dict[str, Any]:
    """Return a reconstruction as numbers."""
    number_by_id: dict[int, int] = {}
    photos: list[dict[str, Any]] = []
    for image_id, image in sorted(model.images.items()):
        if not image.has_pose:
            continue
        number_by_id[image_id] = len(photos)
        camera, pose = model.cameras[image.camera_id], image.cam_from_world()
        focal, right, down, distortion = (float(v) for v in camera.params)
        photos.append(
            {
                "name": Path(image.name).name,
                "rotation": pose.rotation.matrix().round(ROUNDING + 2).tolist(),
                "translation": pose.translation.round(ROUNDING).tolist(),
                "focal_px": focal,
                "centre": [right, down],
                "distortion": distortion,
            }
        )
    points, seen_by = [], []
    for _, point in sorted(model.points3D.items()):
        seen = {element.image_id for element in point.track.elements}
        if len(seen) >= MIN_VIEWS:
            points.append(point.xyz.round(ROUNDING).tolist())
            seen_by.append([number_by_id[image_id] for image_id in sorted(seen)])
    error_px = float(model.compute_mean_reprojection_error())
    return {"photos": photos, "points": points, "seen_by": seen_by, "error_px": error_px}


@contextmanager
def _messages_to_stderr() -> Iterator[None]:
    """Let what the library prints on standard output, where the answer is written, go to standard error."""
    sys.stdout.flush()
    before = dup(1)
    try:
        dup2(2, 1)
        yield
    finally:
        dup2(before, 1)
        close(before)


def main() -> int:
    """Place the photos of the folder; return the exit code."""
    limit_this_process(LIMITS)
    cv2.setNumThreads(1)
    with _messages_to_stderr():
        found = place_all(Path(sys.argv[1]), Features(sys.argv[2]))
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
