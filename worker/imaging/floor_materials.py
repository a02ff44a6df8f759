"""Procedural materials of floors and tables, seen from above, at true size. One function a material draws its levels, which keep one
number a place while they are laid in perspective; its stain gives them colour at the end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

BOARD_M, BOARD_LENGTH_M = 0.14, 1.6
TILE_M = 0.60
PORES = 0.00015  # of concrete's places
BRIGHTEST = 1.6  # of a material's levels
SHADES = 1 << 16  # of them that are told apart


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorMaterial:
    """drawn: levels (side, side), about 0 to 1, of so many pixels a metre. colour: linear, of level 1; deeper: the powers of the level by channel.
    gloss: how much of the product it mirrors where that stands."""

    draw_levels: Callable[[int, float, np.random.Generator], F32]
    colour: tuple[float, float, float]
    exponents: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gloss: float = 0.0

    def colourise(self, levels: F32) -> F32:
        """Linear colour of levels (h, w), (h, w, 3): by table, since powers of each place took half of the time."""
        at = cv2.multiply(levels, (SHADES - 1) / BRIGHTEST, dtype=cv2.CV_16U)
        shades = np.linspace(0, BRIGHTEST, SHADES, dtype=np.float32)
        return np.asarray(
            cv2.merge(
                [
                    cv2.LUT(at, np.float32(c) * shades ** np.float32(p))
                    for c, p in zip(self.colour, self.exponents, strict=True)
                ]
            )
        )


def oak(side: int, px_per_m: float, rng: np.random.Generator) -> F32:
    """Boards of oiled oak running away from the viewer, each its own tone, with grain and dark joints."""
    board = max(8.0, BOARD_M * px_per_m)
    column = np.arange(side) / board
    number, within = column.astype(int), (column % 1).astype(np.float32)
    boards = number[-1] + 1
    stretched = _noise(side, (max(2, side // 90), max(2, side // 6)), rng)
    cv2.addWeighted(
        stretched, 0.5, _noise(side, (max(2, side // 40), max(2, side // 2)), rng), 0.35, 0, dst=stretched
    )
    rings = np.sin(
        _noise(side, (3, 14), rng) * np.float32(9 * 2.2)
        + ((within * 5 + number * 2.1) * 2.2).astype(np.float32)
    )
    tone = rng.normal(1, 0.09, boards).astype(np.float32)[number]
    value = cv2.addWeighted(stretched, 0.16, rings, 0.028, 0) + tone
    length = np.float32(BOARD_LENGTH_M * px_per_m)
    along = (
        np.arange(side, dtype=np.float32)[:, None] + rng.uniform(0, length, boards).astype(np.float32)
    ) % length  # of each board, from its end
    end = (0.55 * np.clip(along / np.float32(1.4), 0, 1)).take(number, axis=1)
    joint = np.clip(np.minimum(within, 1 - within) * np.float32(board / 1.4), 0, 1)
    return np.asarray(value * (end * joint + np.float32(0.45)), np.float32)


def concrete(side: int, px_per_m: float, rng: np.random.Generator) -> F32:
    """Trowelled concrete: clouds, fine grain, a few pores."""
    clouds = (
        _noise(side, (4, 4), rng) * 0.5
        + _noise(side, (14, 14), rng) * 0.3
        + _noise(side, (60, 60), rng) * 0.16
    )
    grain = rng.standard_normal((side, side), np.float32) * np.float32(0.03)
    pores = np.zeros((side, side), np.float32)
    pores.ravel()[rng.integers(0, side * side, round(PORES * side * side))] = 3.5
    return np.asarray(
        1 + np.float32(0.16) * clouds + grain - np.clip(cv2.GaussianBlur(pores, (0, 0), 1.3), 0, 0.5),
        np.float32,
    )


def linen(side: int, px_per_m: float, rng: np.random.Generator) -> F32:
    """A plain-woven cloth, its threads uneven."""
    step = max(3.0, 0.0016 * px_per_m)
    thread = np.sin(np.arange(side) * 2 * np.pi / step).astype(np.float32)
    uneven = (_noise(side, (side // 5, 9), rng) + _noise(side, (9, side // 5), rng)) * np.float32(0.05)
    return np.asarray(
        1
        + np.float32(0.05) * thread[:, None] * thread
        + uneven
        + np.float32(0.05) * _noise(side, (5, 5), rng),
        np.float32,
    )


def marble(side: int, px_per_m: float, rng: np.random.Generator) -> F32:
    """Pale polished marble in large slabs: soft clouds and thin, wandering veins."""
    wander = np.sum(
        [_noise(side, (n, n), rng) / np.float32(k + 1) for k, n in enumerate((3, 7, 15, 31, 63))],
        axis=0,
        dtype=np.float32,
    )
    across = np.linspace(0, 1, side, dtype=np.float32)
    vein = np.abs(
        np.sin((across * np.float32(1.3) + across[:, None] * np.float32(0.8)) * 8 + wander * np.float32(1.1))
    )
    strength = np.clip(np.float32(0.25) + np.float32(0.75) * _noise(side, (6, 6), rng), 0, 1)
    fine = np.exp(vein * np.float32(-2))
    veins = (fine**11 * np.float32(0.6) + fine**2 * np.float32(0.4)) * strength
    tile = max(16.0, TILE_M * px_per_m * 1.5)
    joint = np.clip(np.minimum.outer(_to_joint(side, tile), _to_joint(side, tile)) / np.float32(1.2), 0.75, 1)
    return np.asarray((1 + np.float32(0.04) * wander - np.float32(0.2 / 0.7) * veins) * joint, np.float32)


MATERIALS: Mapping[str, FloorMaterial] = {
    "oak": FloorMaterial(draw_levels=oak, colour=(0.44, 0.27, 0.145), exponents=(1.0, 1.08, 1.2), gloss=0.10),
    "concrete": FloorMaterial(draw_levels=concrete, colour=(0.36, 0.355, 0.346)),
    "linen": FloorMaterial(draw_levels=linen, colour=(0.62, 0.589, 0.533)),
    "marble": FloorMaterial(draw_levels=marble, colour=(0.70, 0.693, 0.676), gloss=0.22),
}


def _to_joint(side: int, tile: float) -> F32:
    place = (np.arange(side) + 0.37 * tile) % tile
    return np.asarray(np.minimum(place, tile - place), np.float32)


def _noise(side: int, cells: tuple[int, int], rng: np.random.Generator) -> F32:
    """Smooth noise of so many cells down and across, about -1 to 1."""
    rough = rng.uniform(-1, 1, (cells[0] + 3, cells[1] + 3)).astype(np.float32)
    return np.asarray(cv2.resize(rough, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)
