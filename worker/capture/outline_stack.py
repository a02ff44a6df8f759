"""The outlines of many frames, as one stack of signed distances that is sampled at once."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.bilinear_sampling import sample_bilinear, sample_places
from worker.modeling.voxel_grid import signed_distance

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlineStack:
    """Signed distances to the outlines of all frames, in pixels of the frames, positive inside."""

    distances: F32  # (n * h, w) one frame below the other, reduced
    height: int  # h, rows of a reduced frame
    scale: float  # reduced pixels to a pixel of the frames
    numbers: tuple[int, ...]  # the frames that count

    def without(self, numbers: Collection[int]) -> "OutlineStack":
        """Return the stack with some frames left out."""
        return replace(self, numbers=tuple(n for n in self.numbers if n not in numbers))

    def frame(self, number: int) -> F32:
        """Return the distances of a frame, (h, w), reduced in size but not in value."""
        return self.distances[number * self.height : (number + 1) * self.height]

    def sample(self, number: NDArray[np.integer] | int, pixels: F32) -> F32:
        """Return the distances at pixels (n, 2) of one frame, or of one frame each, (n,).

        Pixels outside a frame get the value of its border, which is outside the product.
        """
        at = pixels * np.float32(self.scale) - np.float32(0.5)
        np.clip(at[:, 0], 0, self.distances.shape[1] - 1, out=at[:, 0])
        np.clip(at[:, 1], 0, self.height - 1, out=at[:, 1])
        at[:, 1] += np.asarray(number * self.height, np.float32)
        return sample_bilinear(self.distances, at)[:, 0]

    def sample_frame(self, number: int, columns: F32, rows: F32) -> F32:
        """Return the distances at pixels of one frame, (n,), as `sample`, but faster."""
        frame, factor = self.frame(number), np.float32(self.scale)
        places = (
            np.clip(at * factor - np.float32(0.5), 0, side - 1)  # the library takes no places far outside
            for at, side in ((columns, frame.shape[1]), (rows, frame.shape[0]))
        )
        return sample_places(frame, *places)[:, 0]


def stack_outlines(alphas: list[U8], longest_px: int) -> OutlineStack:
    """Return the stack of some mattes (h, w), all of one size, reduced to a longer side."""
    height, width = alphas[0].shape
    scale = min(1.0, longest_px / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    reduced = [cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) for alpha in alphas]
    distances = [_subpixel_distance(matte) / np.float32(scale) for matte in reduced]
    return OutlineStack(
        distances=np.vstack(distances), height=size[1], scale=scale, numbers=tuple(range(len(alphas)))
    )


def _subpixel_distance(matte: U8) -> F32:
    """Return the signed distance in pixels to the half-transparent line of a matte, (h, w)."""
    distance = signed_distance(matte > 127)
    edge = np.abs(distance) < 1
    distance[edge] = (matte[edge].astype(np.float32) - 127.5) / 255
    return distance
