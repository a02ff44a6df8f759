"""Captured frames: decoded, reduced and cut out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.product import Capture
from dam_connector.errors import InputError
from worker.imaging.cutout import Cutout
from worker.imaging.decode import Photo, decode

U8 = NDArray[np.uint8]

MAX_FRAME_PX = 1024  # the longer side; more frames make up for fewer pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedFrame:
    """One frame with its product cut out."""

    name: str  # the file's name
    picture: U8  # (h, w, 3) as the camera saw it
    rgb: U8  # (h, w, 3) the product's colours, continued beyond its outline
    alpha: U8  # (h, w)

    @property
    def size_px(self) -> tuple[int, int]:
        """Return width and height."""
        return self.alpha.shape[1], self.alpha.shape[0]


def read_frames(
    names: Sequence[str],
    read: Callable[[str], bytes],
    cut_out: Callable[[str, Photo], Cutout],
    max_pixels: int,
) -> list[CapturedFrame]:
    """Return the frames of a capture, cut out.

    Args:
        names: Name of each picture, in order.
        read: Returns the content of a picture by its name. One is held in memory at a time.
        cut_out: Cuts the product out of a picture by its name.
        max_pixels: Width times height that is accepted.

    Raises:
        InputError: There are too few or too many frames, they differ in size, or one cannot be used.
    """
    _check_count("capture.frame_count", f"{len(names)} frames", len(names), Capture.SPIN)
    frames: list[CapturedFrame] = []
    for name in names:
        pointer = f"/frames/{name}"
        photo = decode(read(name), max_pixels=max_pixels, pointer=pointer, max_side_px=MAX_FRAME_PX)
        found = cut_out(name, photo)
        frames.append(CapturedFrame(name=name, picture=photo.rgb, rgb=found.rgb, alpha=found.alpha))
        if frames[-1].size_px != frames[0].size_px:
            raise InputError(
                "capture.frame_size",
                f"{name} is of another size or proportion than {frames[0].name}.",
                pointer=pointer,
                measured="{} x {}".format(*frames[-1].size_px),
                limit="{} x {}".format(*frames[0].size_px),
            )
    return frames


def read_walk(
    names: Sequence[str],
    read: Callable[[str], bytes],
    cut_out: Callable[[str, Photo], Cutout],
    max_pixels: int,
) -> list[CapturedFrame]:
    """Return the photos of a walk around a product, cut out; they may differ in size.

    A photo in which no product is found has an empty matte: it may still help to place the others.

    Args:
        names: Name of each picture, in order.
        read: Returns the content of a picture by its name. One is held in memory at a time.
        cut_out: Cuts the product out of a picture by its name.
        max_pixels: Width times height that is accepted.

    Raises:
        InputError: There are too few or too many photos, or one cannot be read.
    """
    _check_count("capture.walk_count", f"{len(names)} photos", len(names), Capture.WALK)
    photos: list[CapturedFrame] = []
    for name in names:
        pointer = f"/photos/{name}"
        photo = decode(read(name), max_pixels=max_pixels, pointer=pointer, max_side_px=MAX_FRAME_PX)
        try:
            found = cut_out(name, photo)
            rgb, alpha = found.rgb, found.alpha
        except InputError:
            rgb, alpha = photo.rgb, np.zeros(photo.rgb.shape[:2], np.uint8)
        photos.append(CapturedFrame(name=name, picture=photo.rgb, rgb=rgb, alpha=alpha))
    return photos


def _check_count(code: IssueCode, counted: str, count: int, kind: Capture) -> None:
    least, most = kind.counts
    if not least <= count <= most:
        raise InputError(code, f"There are {counted}.", measured=str(count), limit=f"{least} to {most}")
