"""Procedural materials of floors and tables, seen from above, at true size.

The drawing function of a material returns one level for each pixel, which is projected in perspective before
the levels are turned into colour.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

BOARD_WIDTH_M, BOARD_LENGTH_M = 0.14, 1.6
TILE_M = 0.60
PORE_SHARE = 0.00015  # of concrete's pixels
CHIP_M, MAX_CHIPS = 0.022, 9000  # of terrazzo: size of the larger stones, and how many are drawn
MAX_LEVEL = 1.6  # of a material
TABLE_SIZE = 1 << 16  # levels that the colour table distinguishes


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorMaterial:
    """How the levels of a material are drawn and coloured."""

    # (side, pixels a metre, generator) -> levels, (side, side), about 0 to 1
    draw_levels: Callable[[int, float, np.random.Generator], F32]
    colour: tuple[float, float, float]  # linear, of level 1
    exponents: tuple[float, float, float] = (1.0, 1.0, 1.0)  # of the level, by channel
    gloss: float = 0.0  # strength of the product's reflection where it touches the floor
    chips: tuple[tuple[float, float, float], ...] = ()  # linear colours of stones that are laid into it

    def colourise(self, levels: F32) -> F32:
        """Return the linear colour, (h, w, 3), of levels, (h, w).

        It uses a table, since powers of every pixel took half of the time.
        """
        index = cv2.multiply(levels, (TABLE_SIZE - 1) / MAX_LEVEL, dtype=cv2.CV_16U)
        table = np.linspace(0, MAX_LEVEL, TABLE_SIZE, dtype=np.float32)
        planes = [
            cv2.LUT(index, np.float32(colour) * table ** np.float32(exponent))
            for colour, exponent in zip(self.colour, self.exponents, strict=True)
        ]
        return np.asarray(cv2.merge(planes))


def oak(side: int, px_per_m: float, rng: np.random.Generator) -> F32:
    """Draw boards of oiled oak along the view, each in its own tone, with grain and dark joints."""
    board = max(8.0, BOARD_WIDTH_M * px_per_m)
    column = np.arange(side) / board
    number, within = column.astype(int), (column % 1).astype(np.float32)
    boards = number[-1] + 1
    stretched = noise(side, (max(2, side // 90), max(2, side // 6)), rng)
    cv2.addWeighted(
        stretched, 0.5, noise(side, (max(2, side // 40), max(2, side // 2)), rng), 0.35, 0, dst=stretched
    )
    rings = np.sin(
        noise(side, (3, 14), rng) * np.float32(9 * 2.2)
        + ((within * 5 + number * 2.1) * 2.2).astype(np.float32)
    )
    tone = rng.normal(1, 0.09, boards).astype(np.float32)[number]
    value = cv2.addWeighted(stretched, 0.16, rings, 0.028, 0) + tone
    length = np.float32(BOARD_LENGTH_M * px_per_m)
    starts = rng.uniform(0, length, boards).astype(np.float32)
    along = (np.arange(side, dtype=np.float32)[:, None] + starts) % length  # pixels from the board's end
    end = (0.55 * np.clip(along / np.float32(1.4), 0, 1)).take(number, axis=1)
    joint = np.clip(np.minimum(within, 1 - within) * np.float32(board / 1.4), 0, 1)
    return np.asarray(value * (end * joint + np.float32(0.45)), np.float32)


def concrete(side: int, px_per_m: float, rng: np.random.Generator) -> F32:
    """Draw trowelled concrete: clouds, fine grain, a few pores."""
    clouds = (
        noise(side, (4, 4), rng) * 0.5 + noise(side, (14, 14), rng) * 0.3 + noise(side, (60, 60), rng) * 0.16
    )
    grain = rng.standard_normal((side, side), np.float32) * np.float32(0.03)
    pores = np.zeros((side, side), np.float32)
    pores.ravel()[rng.integers(0, side * side, round(PORE_SHARE * side * side))] = 3.5
    return np.asarray(
        1 + np.float32(0.16) * clouds + grain - np.clip(cv2.GaussianBlur(pores, (0, 0), 1.3), 0, 0.5),
        np.float32,
    )


def linen(side: int, px_per_m: float, rng: np.random.Generator) -> F32:
    """Draw a plain weave with uneven threads."""
    step = max(3.0, 0.0016 * px_per_m)
    thread = np.sin(np.arange(side) * 2 * np.pi / step).astype(np.float32)
    uneven = (noise(side, (side // 5, 9), rng) + noise(side, (9, side // 5), rng)) * np.float32(0.05)
    return np.asarray(
        1
        + np.float32(0.05) * thread[:, None] * thread
        + uneven
        + np.float32(0.05) * noise(side, (5, 5), rng),
        np.float32,
    )


def marble(side: int, px_per_m: float, rng: np.random.Generator) -> F32:
    """Draw pale polished marble in large slabs: soft clouds and thin, wandering veins."""
    wander = np.sum(
        [noise(side, (n, n), rng) / np.float32(k + 1) for k, n in enumerate((3, 7, 15, 31, 63))],
        axis=0,
        dtype=np.float32,
    )
    across = np.linspace(0, 1, side, dtype=np.float32)
    vein = np.abs(
        np.sin((across * np.float32(1.3) + across[:, None] * np.float32(0.8)) * 8 + wander * np.float32(1.1))
    )
    strength = np.clip(np.float32(0.25) + np.float32(0.75) * noise(side, (6, 6), rng), 0, 1)
    fine = np.exp(vein * np.float32(-2))
    veins = (fine**11 * np.float32(0.6) + fine**2 * np.float32(0.4)) * strength
    tile = max(16.0, TILE_M * px_per_m * 1.5)
    joint = np.clip(
        np.minimum.outer(_distance_to_joint(side, tile), _distance_to_joint(side, tile)) / np.float32(1.2),
        0.75,
        1,
    )
    return np.asarray((1 + np.float32(0.04) * wander - np.float32(0.2 / 0.7) * veins) * joint, np.float32)


def paving(side: int, px_per_m: float, rng: np.random.Generator) -> F32:
    """Draw slabs of natural stone, each in its own tone, with rough faces and dark joints."""
    w, h = max(24.0, 0.60 * px_per_m), max(16.0, 0.40 * px_per_m)
    y = np.arange(side, dtype=np.float32)[:, None] + np.float32(0.3 * h)
    row = np.floor(y / h)
    x = np.arange(side, dtype=np.float32)[None] + (row % 2) * np.float32(0.5 * w)
    number = (row.astype(np.int64) * 53 + np.floor(x / w).astype(np.int64) * 7) % 512
    tone = rng.normal(1, 0.06, 512).astype(np.float32)[number]
    to_edge = np.minimum(np.minimum(x % w, w - x % w), np.minimum(y % h, h - y % h))
    joint = np.clip(to_edge / np.float32(max(1.5, 0.006 * px_per_m)), 0, 1)
    rough = (
        noise(side, (9, 9), rng) * np.float32(0.05)
        + noise(side, (40, 40), rng) * np.float32(0.05)
        + noise(side, (170, 170), rng) * np.float32(0.05)
        + rng.standard_normal((side, side), np.float32) * np.float32(0.025)
    )
    return np.asarray((tone + rough) * (np.float32(0.55) + np.float32(0.45) * joint), np.float32)


def even(side: int, px_per_m: float, rng: np.random.Generator) -> F32:
    """Draw a smooth mineral floor with faint clouds."""
    return np.asarray(
        1
        + noise(side, (5, 5), rng) * np.float32(0.03)
        + noise(side, (19, 19), rng) * np.float32(0.02)
        + rng.standard_normal((side, side), np.float32) * np.float32(0.006),
        np.float32,
    )


MATERIALS: Mapping[str, FloorMaterial] = {
    "oak": FloorMaterial(draw_levels=oak, colour=(0.44, 0.27, 0.145), exponents=(1.0, 1.08, 1.2), gloss=0.10),
    "concrete": FloorMaterial(draw_levels=concrete, colour=(0.36, 0.355, 0.346)),
    "linen": FloorMaterial(draw_levels=linen, colour=(0.62, 0.589, 0.533)),
    "marble": FloorMaterial(draw_levels=marble, colour=(0.70, 0.693, 0.676), gloss=0.22),
    "walnut": FloorMaterial(
        draw_levels=oak, colour=(0.15, 0.082, 0.045), exponents=(1.2, 1.3, 1.4), gloss=0.10
    ),
    "paving": FloorMaterial(draw_levels=paving, colour=(0.43, 0.40, 0.35)),
    "plaster": FloorMaterial(draw_levels=even, colour=(0.60, 0.57, 0.53)),
    "terrazzo": FloorMaterial(
        draw_levels=even,
        colour=(0.74, 0.72, 0.69),
        gloss=0.10,
        chips=(
            (0.16, 0.14, 0.13),
            (0.44, 0.20, 0.12),
            (0.55, 0.42, 0.28),
            (0.34, 0.36, 0.36),
            (0.78, 0.70, 0.62),
        ),
    ),
}


def chips_of(
    colours: tuple[tuple[float, float, float], ...], side: int, px_per_m: float, rng: np.random.Generator
) -> tuple[F32, NDArray[np.uint8]]:
    """Draw the stones of terrazzo: their colour, (side, side, 3), and their mask, (side, side), 0 or 255."""
    colour, mask = np.zeros((side, side, 3), np.float32), np.zeros((side, side), np.uint8)
    usual = float(np.clip(CHIP_M * px_per_m, 5.0, side / 12))
    count = min(MAX_CHIPS, round(0.30 * side * side / (usual * usual)))
    centres = rng.uniform(0, side, (count, 2))
    radii = usual * rng.lognormal(-0.75, 0.55, count).clip(0.12, 1.1)
    angles = np.sort(rng.uniform(0, 2 * np.pi, (count, 7)), axis=1)
    reach = rng.uniform(0.62, 1.0, (count, 7)) * radii[:, None]
    points = centres[:, None] + np.stack([np.cos(angles), np.sin(angles)], 2) * reach[..., None]
    kinds = rng.integers(0, len(colours), count)
    tones = rng.uniform(0.86, 1.12, count)
    for polygon, kind, tone in zip(np.round(points).astype(np.int32), kinds, tones, strict=True):
        cv2.fillPoly(colour, [polygon], [float(c * tone) for c in colours[kind]])
        cv2.fillPoly(mask, [polygon], 255)
    return colour, mask


def _distance_to_joint(side: int, tile: float) -> F32:
    """Return the distance of each column to the nearest joint between tiles, (side,), in pixels."""
    offset = (np.arange(side) + 0.37 * tile) % tile
    return np.asarray(np.minimum(offset, tile - offset), np.float32)


def noise(side: int, cells: tuple[int, int], rng: np.random.Generator) -> F32:
    """Return smooth noise, (side, side), about -1 to 1, with this number of cells down and across."""
    coarse = rng.uniform(-1, 1, (cells[0] + 3, cells[1] + 3)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)
