"""Features of photos, and which of them are the same places.

SIFT of OpenCV takes a third of the time of the one in pycolmap. Photos of a walk see the same places only
where they are neighbours, so the largest features of all pairs are compared first, and all features of the
likeliest pairs only: most pairs have nothing in common, and their wrong matches cost the most time to refute.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
U32 = NDArray[np.uint32]
Mask = NDArray[np.bool_]

MAX_FEATURES = 3000  # of a photo
CONTRAST = 0.008  # of a feature, a fifth of the usual: floors in rooms are soft
LARGEST_FEATURES = 500  # of a photo, that tell its neighbours
NEIGHBOURS = 10  # of a photo, that its features are compared with
MAX_RATIO = 0.8  # between the angles to the nearest and to the next descriptor
MAX_ANGLE = 0.7  # in radians, between the descriptors of one place


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoFeatures:
    """The features of a photo."""

    places: F32  # (n, 4) right, down, 0 at the picture's corner, size in pixels and angle in radians
    descriptors: F32  # (n, 128) of length 1

    def at(self, chosen: Mask | NDArray[np.integer]) -> "PhotoFeatures":
        """Return some of the features."""
        return PhotoFeatures(places=self.places[chosen], descriptors=self.descriptors[chosen])

    def are_in(self, mask: U8) -> Mask:
        """Return which features are where a mask, (h, w), is not 0, (n,)."""
        right, down = self.places[:, :2].astype(int).T
        height, width = mask.shape
        return np.asarray(mask[np.clip(down, 0, height - 1), np.clip(right, 0, width - 1)] > 0)

    def largest(self, count: int) -> "PhotoFeatures":
        """Return so many of the largest features: they are seen from other distances and sides, too."""
        return self.at(np.argsort(-self.places[:, 2], kind="stable")[:count])


def find_features(grey: U8) -> PhotoFeatures:
    """Return the features of a picture, (h, w)."""
    detector = cv2.SIFT.create(
        nfeatures=MAX_FEATURES, contrastThreshold=CONTRAST, enable_precise_upscale=True
    )
    points, found = detector.detectAndCompute(grey, None)
    places = [(*(v + 0.5 for v in p.pt), p.size / 2, np.radians(p.angle)) for p in points]
    descriptors = np.zeros((0, 128), np.float32) if found is None else found
    shares = descriptors / np.maximum(descriptors.sum(1, keepdims=True), 1e-6)
    return PhotoFeatures(
        places=np.array(places, np.float32).reshape(-1, 4),
        descriptors=np.asarray(np.sqrt(shares), np.float32),  # near angles tell more than near lengths
    )


def likely_pairs(photos: Sequence[PhotoFeatures]) -> list[tuple[int, int]]:
    """Return the pairs of photos that may show the same places."""
    largest = [photo.largest(LARGEST_FEATURES) for photo in photos]
    counts = np.zeros((len(photos), len(photos)), int)
    for first, second in combinations(range(len(photos)), 2):
        counts[first, second] = len(same_places(largest[first], largest[second]))
    counts += counts.T
    return sorted(
        {
            (min(number, int(other)), max(number, int(other)))
            for number, row in enumerate(counts)
            for other in np.argsort(-row, kind="stable")[:NEIGHBOURS]
            if row[other]
        }
    )


def same_places(first: PhotoFeatures, second: PhotoFeatures) -> U32:
    """Return the features of two photos that are like each other and like no others, (m, 2) numbers."""
    if not len(first.places) or not len(second.places):
        return np.zeros((0, 2), np.uint32)
    cosines = first.descriptors @ second.descriptors.T
    nearest, nearest_back = cosines.argmax(1), cosines.argmax(0)
    own = np.flatnonzero(nearest_back[nearest] == np.arange(len(cosines)))
    others = nearest[own]
    best = cosines[own, others]
    rows, columns, order = cosines[own], cosines[:, others], np.arange(len(own))
    rows[order, others] = columns[own, order] = -1
    next_best = np.maximum(rows.max(1, initial=-1), columns.max(0, initial=-1))
    angle, next_angle = (np.arccos(np.clip(values, -1, 1)) for values in (best, next_best))
    is_clear = (angle < MAX_RATIO * next_angle) & (angle < MAX_ANGLE)
    return np.column_stack([own, others])[is_clear].astype(np.uint32)
