"""The process that places the photos of a walk: `python -m worker.capture.placing_process FOLDER`.

FOLDER holds pictures that our own decoder wrote, one folder inside it for each size. The process writes
cameras and points to its standard output, as JSON. It works on one thread from a fixed seed, so that the same
photos give the same cameras.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from os import close, dup, dup2
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dam_connector.watched_process import ProcessLimits, limit_this_process

if TYPE_CHECKING:
    import pycolmap

# Photos of 1024 px need 1 CPU-second each, in proportion to their pairs a little more.
LIMITS = ProcessLimits(cpu_s=300, memory_bytes=2_000_000_000, output_bytes=400_000_000)
PHOTOS, FEATURES = "photos", "features.db"  # within the folder
SEED = 0
MAX_FEATURES = 3000  # of a photo
PEAK_THRESHOLD = 0.0035  # of a feature's contrast, about half of the usual: floors in rooms are soft
MIN_VIEWS = 3  # photos that see a point
MAX_MODELS = 3  # tries from other pairs of photos
ROUNDING = 7  # digits after the point


def place_all(folder: Path) -> dict[str, Any]:
    """Return the cameras of the largest group of photos that fit together, and the points that they see."""
    import pycolmap

    pycolmap.set_random_seed(SEED)
    database, photos, models = folder / FEATURES, folder / PHOTOS, folder / "models"
    models.mkdir()
    _extract(pycolmap, database, photos)
    matching = pycolmap.FeatureMatchingOptions()
    matching.num_threads, matching.use_gpu = 1, False
    geometry = pycolmap.TwoViewGeometryOptions()
    geometry.ransac.random_seed = SEED
    pycolmap.match_exhaustive(
        database, matching_options=matching, verification_options=geometry, device=pycolmap.Device.cpu
    )
    mapping = pycolmap.IncrementalPipelineOptions()
    mapping.num_threads, mapping.random_seed, mapping.max_num_models = 1, SEED, MAX_MODELS
    mapping.extract_colors = False
    found = pycolmap.incremental_mapping(database, photos, models, options=mapping)
    if not found:
        return {"photos": [], "points": [], "seen_by": [], "error_px": 0.0}
    return _as_plain(max(found.values(), key=lambda model: model.num_reg_images()))


def _extract(pycolmap: Any, database: Path, photos: Path) -> None:
    """Store the features of all photos."""
    reading = pycolmap.ImageReaderOptions()
    reading.camera_model = "SIMPLE_RADIAL"
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
        found = place_all(Path(sys.argv[1]))
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
