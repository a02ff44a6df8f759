"""Photos of a walk whose cameras were found, in the coordinates of whoever found them."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.capture.frame_camera import FrameCamera
from worker.capture.frames import CapturedFrame

F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPhotos:
    """The photos that were placed, in coordinates of unknown unit and orientation."""

    cameras: dict[int, FrameCamera]  # by the number of the photo; straight pictures
    distortions: dict[int, float]  # of the lens, by the number of the photo
    points: F64  # (n, 3) places that several photos see
    sightings: I64  # (m, 2) the point and the photo that sees it
    error_px: float  # between the points and where the photos see them, in the mean


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
