"""Cameras of the photos of a walk, by structure from motion with pycolmap, which the extra `walk` installs.

The library is native code and the photos are untrusted. So it gets pixels that our own decoder read, and
runs in a process of its own within limits.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import structlog
from numpy.typing import NDArray

from dam_connector.errors import Busy, InputError
from dam_connector.watched_process import WAIT_S, ProcessFailed, TooManyProcesses, run_module
from worker.capture.frame_camera import FrameCamera
from worker.capture.frames import CapturedFrame
from worker.capture.placing_process import LIMITS, MASKS, PHOTOS

F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]

log = structlog.get_logger()
LIBRARY = "pycolmap"
MIN_PLACED = 10  # photos
MIN_PLACED_SHARE = 0.5  # of all photos
PRODUCT_ALPHA, PRODUCT_RIM_PX = 60, 4  # of a matte, from which on a place is no part of the surroundings
NAMED_PHOTOS = 8  # at most, in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPhotos:
    """The photos that were placed, in coordinates of unknown unit and orientation."""

    cameras: dict[int, FrameCamera]  # by the number of the photo; straight pictures
    distortions: dict[int, float]  # of the lens, by the number of the photo
    points: F64  # (n, 3) places that several photos see
    sightings: I64  # (m, 2) the point and the photo that sees it
    error_px: float  # between the points and where the photos see them, in the mean


def can_place() -> bool:
    """Return whether the library is installed."""
    return find_spec(LIBRARY) is not None


def require_library() -> None:
    """Check that the library is installed.

    Raises:
        InputError: capture.walk_extra.
    """
    if not can_place():
        raise InputError(
            "capture.walk_extra",
            "Photos of a walk are placed by pycolmap, which is missing: pip install 'dam-connector[walk]'.",
        )


def place_photos(photos: Sequence[CapturedFrame]) -> PlacedPhotos:
    """Return the cameras of photos of one place that stands still.

    Raises:
        InputError: capture.walk_extra, the library is not installed; capture.not_placed, too few photos fit
            together.
        Busy: Too many such processes run at once.
    """
    require_library()
    with tempfile.TemporaryDirectory(prefix="dam-walk-") as folder, tempfile.TemporaryFile() as nothing:
        _write_photos(photos, Path(folder))
        try:
            output = run_module("worker.capture.placing_process", [folder], nothing, LIMITS)
        except TooManyProcesses as error:
            message = "the photos of too many walks are placed at once"
            raise Busy("models", "place", message, retry_after_s=WAIT_S) from error
        except ProcessFailed as error:
            log.warning("walk_not_placed", error=str(error), report=error.report[-4000:])
            raise InputError("capture.not_placed", f"The photos cannot be placed: {error}.") from error
    with output:
        placed = placed_from_plain(json.load(output))
    check_placed([photo.name for photo in photos], placed.cameras.keys())
    return placed


def check_placed(names: Sequence[str], placed: Sequence[int] | Any) -> None:
    """Check that enough photos were placed.

    Raises:
        InputError: capture.not_placed, with the names of those that were not.
    """
    least = max(MIN_PLACED, round(MIN_PLACED_SHARE * len(names)))
    if len(placed) >= least:
        return
    missing = [name for number, name in enumerate(names) if number not in placed]
    more = f" and {len(missing) - NAMED_PHOTOS} more" if len(missing) > NAMED_PHOTOS else ""
    raise InputError(
        "capture.not_placed",
        f"{len(placed)} of {len(names)} photos fit together; not: {', '.join(missing[:NAMED_PHOTOS])}{more}.",
        measured=str(len(placed)),
        limit=str(least),
    )


def _write_photos(photos: Sequence[CapturedFrame], folder: Path) -> None:
    """Write photos and masks as files, those of one size into one folder, named by their numbers."""
    rim = np.ones((2 * PRODUCT_RIM_PX + 1,) * 2, np.uint8)
    for number, photo in enumerate(photos):
        size = "{}x{}".format(*photo.size_px)
        for kind in (PHOTOS, MASKS):
            (folder / kind / size).mkdir(parents=True, exist_ok=True)
        name = f"{number}.png"
        cv2.imwrite(str(folder / PHOTOS / size / name), cv2.cvtColor(photo.picture, cv2.COLOR_RGB2GRAY))
        surroundings = cv2.erode((photo.alpha < PRODUCT_ALPHA).astype(np.uint8) * np.uint8(255), rim)
        cv2.imwrite(str(folder / MASKS / size / f"{name}.png"), surroundings)


def placed_from_plain(found: dict[str, Any]) -> PlacedPhotos:
    """Return the answer of the process, with the photos by their numbers."""
    cameras, distortions, numbers = {}, {}, []
    for photo in found["photos"]:
        number = int(Path(photo["name"]).stem)
        rotation = np.array(photo["rotation"], np.float64)
        cameras[number] = FrameCamera(
            rotation=rotation,
            eye=-rotation.T @ np.array(photo["translation"], np.float64),
            focal_px=float(photo["focal_px"]),
            centre=(float(photo["centre"][0]), float(photo["centre"][1])),
        )
        distortions[number] = float(photo["distortion"])
        numbers.append(number)
    sightings = [(n, numbers[photo]) for n, seen in enumerate(found["seen_by"]) for photo in seen]
    return PlacedPhotos(
        cameras=dict(sorted(cameras.items())),
        distortions=distortions,
        points=np.array(found["points"], np.float64).reshape(-1, 3),
        sightings=np.array(sightings, np.int64).reshape(-1, 2),
        error_px=float(found["error_px"]),
    )


def straightened(photo: CapturedFrame, camera: FrameCamera, distortion: float) -> CapturedFrame:
    """Return a photo as a lens without distortion shows it."""
    size = max(photo.size_px)
    if abs(distortion) * (size / camera.focal_px / 2) ** 2 * size / 2 < 0.5:  # of a pixel at the border
        return photo
    focal, (right, down) = camera.focal_px, camera.centre
    matrix = np.array([[focal, 0, right - 0.5], [0, focal, down - 0.5], [0, 0, 1]])
    lens = np.array([distortion, 0, 0, 0])
    picture, rgb, alpha = (
        np.asarray(cv2.undistort(layer, matrix, lens), np.uint8)
        for layer in (photo.picture, photo.rgb, photo.alpha)
    )
    return replace(photo, picture=picture, rgb=rgb, alpha=alpha)
