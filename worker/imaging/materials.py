"""Procedural materials of floors and tables: linear colour, seen from above, at true size. One function a material."""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Material = Callable[[int, float, np.random.Generator], F32]

BOARD_M = 0.14
TILE_M = 0.60
SHADES = 4096  # of a material that are told apart


def oak(side: int, px_per_m: float, rng: np.random.Generator) -> F32:
    """Boards of oiled oak running away from the viewer, each its own tone, with grain and dark joints."""
    board = max(8.0, BOARD_M * px_per_m)
    column = np.arange(side) / board
    number, within = column.astype(int), (column % 1).astype(np.float32)
    tone = rng.normal(0, 0.09, number[-1] + 2)[number].astype(np.float32)
    stretched = _noise(side, (max(2, side // 90), max(2, side // 6)), rng) * 0.5 + _noise(side, (max(2, side // 40), max(2, side // 2)), rng) * 0.35
    rings = np.sin((_noise(side, (3, 14), rng) * 9 + within[None] * 5 + number[None].astype(np.float32) * np.float32(2.1)) * np.float32(2.2))
    value = 1 + tone[None] + 0.16 * stretched + 0.028 * rings
    joint = np.clip(np.minimum(within, 1 - within) * np.float32(board / 1.4), 0, 1)[None]
    shift = rng.uniform(0, 1, number[-1] + 2).astype(np.float32)
    along = ((np.arange(side, dtype=np.float32)[:, None] / np.float32(px_per_m * 1.6) + shift[number][None]) % 1) * np.float32(px_per_m * 1.6)
    joint = joint * np.clip(along / np.float32(1.4), 0, 1)
    colour = np.array([0.44, 0.27, 0.145], np.float32)
    shades = np.linspace(0, 1, SHADES, dtype=np.float32)[:, None]
    stained = colour * (0.2 + 1.4 * shades) ** np.array([1.0, 1.08, 1.2], np.float32)  # by table: powers of each place took half of the time
    at = np.clip((value * (0.45 + 0.55 * joint) - 0.2) * np.float32((SHADES - 1) / 1.4) + np.float32(0.5), 0, SHADES - 1)
    return np.asarray(stained.take(at.astype(np.uint16), axis=0), np.float32)


def concrete(side: int, px_per_m: float, rng: np.random.Generator) -> F32:
    """Trowelled concrete: clouds, fine grain, a few pores."""
    clouds = _noise(side, (4, 4), rng) * 0.5 + _noise(side, (14, 14), rng) * 0.3 + _noise(side, (60, 60), rng) * 0.16
    grain = rng.normal(0, 0.03, (side, side))
    pores = cv2.GaussianBlur((rng.random((side, side)) > 0.99985).astype(np.float32), (0, 0), 1.3) * 3.5
    value = 0.36 * (1 + 0.16 * clouds + grain - np.clip(pores, 0, 0.5))
    return (value[..., None] * np.array([1.0, 0.985, 0.96])).astype(np.float32)


def linen(side: int, px_per_m: float, rng: np.random.Generator) -> F32:
    """A plain-woven cloth, its threads uneven."""
    step = max(3.0, 0.0016 * px_per_m)
    across, down = np.arange(side) * 2 * np.pi / step, np.arange(side)[:, None] * 2 * np.pi / step
    uneven = _noise(side, (side // 5, 9), rng) * 0.5 + _noise(side, (9, side // 5), rng) * 0.5
    weave = 0.05 * (np.sin(across)[None] * np.sin(down)) + 0.10 * uneven + 0.05 * _noise(side, (5, 5), rng)
    return (0.62 * (1 + weave)[..., None] * np.array([1.0, 0.95, 0.86])).astype(np.float32)


def marble(side: int, px_per_m: float, rng: np.random.Generator) -> F32:
    """Pale polished marble in large slabs: soft clouds and thin, wandering veins."""
    wander = sum(_noise(side, (n, n), rng) / (k + 1) for k, n in enumerate((3, 7, 15, 31, 63)))
    y, x = np.mgrid[0 : 1 : side * 1j, 0 : 1 : side * 1j]
    vein = np.abs(np.sin((x * 1.3 + y * 0.8) * 8 + wander * 1.1))
    strength = np.clip(0.25 + 0.75 * _noise(side, (6, 6), rng), 0, 1)
    veins = (np.exp(-vein * 22) * 0.6 + np.exp(-vein * 4) * 0.4) * strength
    value = 0.70 * (1 + 0.04 * wander) - 0.20 * veins
    tile = max(16.0, TILE_M * px_per_m * 1.5)
    joint = np.clip(np.minimum.outer(_to_joint(side, tile), _to_joint(side, tile)) / 1.2, 0.75, 1)
    return ((value * joint)[..., None] * np.array([1.0, 0.99, 0.965])).astype(np.float32)


MATERIALS: Mapping[str, Material] = {"oak": oak, "concrete": concrete, "linen": linen, "marble": marble}
GLOSS: Mapping[str, float] = {"oak": 0.10, "marble": 0.22}  # how much of the product a floor mirrors where it stands


def _to_joint(side: int, tile: float) -> F32:
    place = (np.arange(side) + 0.37 * tile) % tile
    return np.asarray(np.minimum(place, tile - place), np.float32)


def _noise(side: int, cells: tuple[int, int], rng: np.random.Generator) -> F32:
    """Smooth noise of so many cells down and across, about -1 to 1."""
    rough = rng.uniform(-1, 1, (cells[0] + 3, cells[1] + 3)).astype(np.float32)
    return np.asarray(cv2.resize(rough, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)
