"""Captured frames: decoded, reduced and cut out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dam_connector.errors import InputError
from worker.imaging.cutout import Cutout
from worker.imaging.decode import decode
from worker.imaging.net_cutout import cut_out_product
from worker.imaging.salient_net import SalientNet

U8 = NDArray[np.uint8]

MAX_FRAME_PX = 1024  # the longer side; more frames make up for fewer pixels
MIN_FRAMES, MAX_FRAMES = 8, 72


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
    files: Sequence[tuple[str, bytes]], net: SalientNet | None, max_pixels: int
) -> list[CapturedFrame]:
    """Return the frames of a capture, cut out.

    Args:
        files: Name and content of each picture, in order.
        net: The net for the cut-out; None for the classical one.
        max_pixels: Width times height that is accepted.

    Raises:
        InputError: There are too few or too many frames, they differ in size, or one cannot be used.
    """
    if not MIN_FRAMES <= len(files) <= MAX_FRAMES:
        raise InputError(
            "capture.frame_count",
            f"There are {len(files)} frames.",
            measured=str(len(files)),
            limit=f"{MIN_FRAMES} to {MAX_FRAMES}",
        )
    frames: list[CapturedFrame] = []
    for name, data in files:
        pointer = f"/frames/{name}"
        photo = decode(data, max_pixels=max_pixels, pointer=pointer, max_side_px=MAX_FRAME_PX)
        found: Cutout = cut_out_product(photo, net, pointer)
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
