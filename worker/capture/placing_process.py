"""The process that places the photos of a walk: `python -m worker.capture.placing_process FOLDER FEATURES`.

FOLDER holds pictures that our own decoder wrote, and masks of the product, one folder for each size. The
process writes a list of ways to place them, with cameras and points, to its standard output, as JSON. It
works on one thread from a fixed seed, so that the same photos give the same cameras.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from os import close, dup, dup2
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dam_connector.watched_process import ProcessLimits, limit_this_process

if TYPE_CHECKING:
    import pycolmap

# Photos of 1024 px need 1 CPU-second each, in proportion to their pairs a little more.
LIMITS = ProcessLimits(cpu_s=300, memory_bytes=2_000_000_000, output_bytes=400_000_000)
# Within the folder. A mask is named as its photo, with a further `.png`, and black where the product is.
PHOTOS, MASKS, FEATURES_FILE = "photos", "masks", "features.db"
SEED = 0
MAX_FEATURES = 3000  # of a photo
PEAK_THRESHOLD = 0.0035  # of a feature's contrast, about half of the usual: floors in rooms are soft
MIN_VIEWS = 3  # photos that see a point
MAX_MODELS = 3  # tries from other pairs of photos
# Points that a photo must share with those which are placed. The library's usual number first: on a floor of
# equal tiles the second one places all of 32 photos where the first one places two.
SHARED_POINTS = (30, 15)
ENOUGH_PLACED = 0.9  # of the photos: then nothing else is tried
ROUNDING = 7  # digits after the point


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
    the first one has most photos, no other is tried.
    """
    import pycolmap

    pycolmap.set_random_seed(SEED)
    photos, own = folder / PHOTOS, folder / features
    count = len(list(photos.rglob("*.png")))
    own.mkdir()
    masks = folder / MASKS if features is Features.SURROUNDINGS else None
    _extract(pycolmap, own / FEATURES_FILE, photos, masks)
    _match(pycolmap, own / FEATURES_FILE)
    ways: list[dict[str, Any]] = []
    for shared_points in SHARED_POINTS:
        found = _largest_model(pycolmap, own / FEATURES_FILE, photos, own / str(shared_points), shared_points)
        if found:
            ways.append(_as_plain(found))
            if found.num_reg_images() >= ENOUGH_PLACED * count:
                break
    return ways or [{"photos": [], "points": [], "seen_by": [], "error_px": 0.0}]


def _match(pycolmap: Any, database: Path) -> None:
    """Store the matches of all pairs of photos."""
    matching = pycolmap.FeatureMatchingOptions()
    matching.num_threads, matching.use_gpu = 1, False
    geometry = pycolmap.TwoViewGeometryOptions()
    geometry.ransac.random_seed = SEED
    pycolmap.match_exhaustive(
        database, matching_options=matching, verification_options=geometry, device=pycolmap.Device.cpu
    )


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
    mapping.extract_colors = False
    mapping.mapper.abs_pose_min_num_inliers = shared_points
    found = pycolmap.incremental_mapping(database, photos, folder, options=mapping)
    return max(found.values(), key=lambda model: model.num_reg_images(), default=None)


def _extract(pycolmap: Any, database: Path, photos: Path, masks: Path | None) -> None:
    """Store the features of all photos, of their surroundings alone where there are masks."""
    reading = pycolmap.ImageReaderOptions()
    reading.camera_model = "SIMPLE_RADIAL"
    if masks is not None:
        reading.mask_path = str(masks)
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.num_threads, extraction.use_gpu = 1, False
    extraction.sift.max_num_features, extraction.sift.peak_threshold = MAX_FEATURES, PEAK_THRESHOLD
    pycolmap.extract_features(
        database,
        photos,
        camera_mode=pycolmap.CameraMode.PER_FOLDER,  # one phone: photos of one size have one lens
        reader_options=reading,
        extraction_options=extraction,
        device=pycolmap.Device.cpu,
    )


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
    with _messages_to_stderr():
        found = place_all(Path(sys.argv[1]), Features(sys.argv[2]))
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
