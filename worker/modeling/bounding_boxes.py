"""A tree of bounding boxes over triangles, in arrays, for the NumPy ray caster."""

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

LEAF_TRIANGLES = 4
BITS = 3  # a node has 2 ** BITS children
PADDING = 1e-6  # of the largest coordinate: boxes of flat parts have some thickness
ROUNDING = np.float32(1 + 1e-6)  # of distances: what rounding may take from a box's far side
LEAST_DIRECTION = np.float32(1e-30)  # in place of 0, so that no division fails


class BoxTree:
    """A balanced tree of axis-aligned boxes over triangles, halved along the longest side.

    Attributes:
        leaves: (k, LEAF_TRIANGLES) indices of triangles; short leaves repeat their last triangle.
    """

    def __init__(self, triangles: F32) -> None:
        """Build the tree. triangles: (m, 3, 3) corners."""
        count = len(triangles)
        depth = max(0, int(np.ceil(np.log2(max(1, count) / LEAF_TRIANGLES))))
        order = _spatial_order(triangles.mean(1), depth) if count else np.zeros(0, np.int64)
        starts = _starts(count, depth)
        slots = starts[:-1, None] + np.arange(LEAF_TRIANGLES)
        self.leaves = order[np.minimum(slots, starts[1:, None] - 1)] if count else np.zeros((0, 1), np.int64)
        self._levels: list[F32] = []  # from the root: (nodes, lower and upper, 3, children)
        if not count:
            return
        corners = triangles[self.leaves].reshape(len(self.leaves), -1, 3)
        padding = np.float32(PADDING * max(1e-20, float(np.abs(triangles).max())))
        boxes = np.stack([corners.min(1) - padding, corners.max(1) + padding], 1)
        while True:
            children = min(len(boxes), 1 << BITS)
            level = np.ascontiguousarray(boxes.reshape(-1, children, 2, 3).transpose(0, 2, 3, 1))
            self._levels.insert(0, level)
            if len(level) == 1:
                return
            boxes = np.stack([level[:, 0].min(2), level[:, 1].max(2)], 1)

    def leaves_met(self, origins: F32, directions: F32) -> tuple[I64, I64, F32, I64]:
        """Return the leaves whose box each ray meets, as pairs.

        Returns:
            The pairs' rays and leaves, the distance at which the ray enters the leaf's box, and how many
            leaves the ray enters before this one; sorted by ray, then by distance.
        """
        inverse = 1 / np.where(np.abs(directions) < LEAST_DIRECTION, LEAST_DIRECTION, directions)
        ray, node = np.arange(len(origins)), np.zeros(len(origins), np.int64)
        entry = np.zeros(len(origins), np.float32)
        if not self._levels:
            return ray[:0], node[:0], entry[:0], ray[:0]
        for level in self._levels:
            boxes = level[node]
            start, scale = origins[ray][:, :, None], inverse[ray][:, :, None]
            one, two = (boxes[:, 0] - start) * scale, (boxes[:, 1] - start) * scale
            enter = np.minimum(one, two).max(1)
            leave = np.maximum(one, two).min(1) * ROUNDING
            pair, child = np.nonzero((enter <= leave) & (leave >= 0))
            entry = enter[pair, child]
            ray, node = ray[pair], node[pair] * level.shape[3] + child
        order = np.lexsort((entry, ray))
        ray, node, entry = ray[order], node[order], entry[order]
        firsts = np.searchsorted(ray, np.arange(len(origins)))
        return ray, node, entry, np.arange(len(ray)) - firsts[ray]


def _starts(count: int, depth: int) -> I64:
    """Return where each of 2 ** depth equal parts of `count` things begins, and the end of the last."""
    return np.arange((1 << depth) + 1, dtype=np.int64) * count >> depth


def _spatial_order(middles: F32, depth: int) -> I64:
    """Return an order of points in which each half, quarter and so on lies together in space."""
    order = np.arange(len(middles))
    for level in range(depth):
        starts = _starts(len(middles), level)
        placed = middles[order]
        spans = np.maximum.reduceat(placed, starts[:-1]) - np.minimum.reduceat(placed, starts[:-1])
        part = np.repeat(np.arange(1 << level), np.diff(starts))
        along = np.take_along_axis(placed, spans.argmax(1)[part][:, None], 1)[:, 0]
        order = order[np.lexsort((along, part))]
    return order
