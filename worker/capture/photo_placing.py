"""Cameras of the photos of a walk, by structure from motion with pycolmap, which the extra `walk` installs.

The library is native code and the photos are untrusted. So it gets pixels that our own decoder read, and
runs in a process of its own within limits.
"""

import json
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import structlog

from dam_connector.domain.product import Dimensions
from dam_connector.errors import Busy, InputError
from dam_connector.watched_process import WAIT_S, ProcessFailed, TooManyProcesses, run_module
from worker.capture.frames import CapturedFrame
from worker.capture.placed_photos import PlacedPhotos, placed_from_plain
from worker.capture.placing_process import ENOUGH_PLACED, LIMITS, MASKS, PHOTOS, Features
from worker.capture.settled_walk import explained_photos, settle_walk

log = structlog.get_logger()
LIBRARY = "pycolmap"
MIN_PLACED = 10  # photos
MIN_PLACED_SHARE = 0.5  # of all photos
PRODUCT_ALPHA, PRODUCT_RIM_PX = 60, 4  # of a matte, from which on a place is no part of the surroundings
NAMED_PHOTOS = 8  # at most, in a message


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

    Where one kind of features takes too long, the other one counts alone.

    Raises:
        InputError: capture.walk_extra, the library is not installed; capture.not_placed, too few photos fit
            together.
        Busy: Too many such processes run at once.
    """
    require_library()
    with tempfile.TemporaryDirectory(prefix="dam-walk-") as folder:
        _write_photos(photos, Path(folder))
        found: list[PlacedPhotos] = []
        failed: InputError | None = None
        for features in Features:
            try:
                found += _place(Path(folder), features)
            except InputError as error:
                failed = error
            if any(len(placed.cameras) >= ENOUGH_PLACED * len(photos) for placed in found):
                break
    if failed is not None and not found:
        raise failed
    least = _least_placed(len(photos))
    best = most_explaining(photos, [placed for placed in found if len(placed.cameras) >= least] or found)
    check_placed([photo.name for photo in photos], best.cameras.keys())
    return best


def most_explaining(photos: Sequence[CapturedFrame], found: Sequence[PlacedPhotos]) -> PlacedPhotos:
    """Return the cameras that explain most outlines as those of one product.

    The largest number alone would prefer many photos of which some are placed wrongly.
    """
    if len(found) == 1:
        return found[0]
    return max(found, key=lambda placed: (_explained(photos, placed), len(placed.cameras)))


def _explained(photos: Sequence[CapturedFrame], placed: PlacedPhotos) -> float:
    try:
        walk = settle_walk(photos, placed)
        return explained_photos(walk, walk.mattes, Dimensions())
    except InputError:  # no ground or no product
        return 0.0


def _place(folder: Path, features: Features) -> list[PlacedPhotos]:
    """Return the ways to place the photos of a folder by some of their features.

    Raises:
        InputError: capture.not_placed, the library failed.
        Busy: Too many such processes run at once.
    """
    with tempfile.TemporaryFile() as nothing:
        try:
            output = run_module("worker.capture.placing_process", [str(folder), features], nothing, LIMITS)
        except TooManyProcesses as error:
            message = "the photos of too many walks are placed at once"
            raise Busy("models", "place", message, retry_after_s=WAIT_S) from error
        except ProcessFailed as error:
            log.warning("walk_not_placed", error=str(error), report=error.report[-4000:])
            raise InputError("capture.not_placed", f"The photos cannot be placed: {error}.") from error
    with output:
        return [placed_from_plain(plain) for plain in json.load(output)]


def _least_placed(count: int) -> int:
    return max(MIN_PLACED, round(MIN_PLACED_SHARE * count))


def check_placed(names: Sequence[str], placed: Sequence[int] | Any) -> None:
    """Check that enough photos were placed.

    Raises:
        InputError: capture.not_placed, with the names of those that were not.
    """
    least = _least_placed(len(names))
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
        cv2.imwrite(str(folder / MASKS / size / name), surroundings)
