"""Backdrops of lifestyle pictures: coves, walls, a window, a garden; and shapes of light.

All of it is drawn in linear light, without files.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.floor_materials import noise
from worker.imaging.plane_arithmetic import gaussian_blur, multiply_by_plane, tint_plane

F32 = NDArray[np.float32]
Colour = tuple[float, float, float]

FOCAL_WIDTHS = 1.5  # focal length as a share of the picture's width: an angle of view of 37 degrees
TILE_WIDTH_M, TILE_HEIGHT_M, GROUT_M = 0.15, 0.075, 0.003
SKIRTING_M = 0.09
ARCH_REACH = 0.37  # half width of a niche, as a share of the picture's width
BOARD_MARK_M = 1.2  # between the marks of formwork in a concrete wall


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where things are in a picture: rows and columns in pixels from the top left."""

    width: int
    height: int
    foot: float  # row of the product's lowest point
    eye: float  # row of the horizon; negative above the picture
    seam: float  # row where the wall begins
    m_per_px: float  # at the product
    light: int  # -1 from the left, 1 from the right

    @property
    def wall_m_per_px(self) -> float:
        """Return the scale of the wall, which is farther away than the product."""
        return self.m_per_px * (self.foot - self.eye) / max(1.0, self.seam - self.eye)


def stage_for(
    width: int, height: int, foot: float, elevation_deg: float, m_per_px: float, light: int
) -> Stage:
    """Return the stage that a camera of this elevation sees."""
    drop = FOCAL_WIDTHS * min(width, height) * float(np.tan(np.radians(elevation_deg)))
    far = float(
        np.clip(2.5 - 0.035 * (elevation_deg - 9), 1.5, 2.5)
    )  # distance of the wall; the product's is 1
    return Stage(
        width=width,
        height=height,
        foot=foot,
        eye=foot - drop,
        seam=foot - drop * (1 - 1 / far),
        m_per_px=m_per_px,
        light=light,
    )


def _coordinates(stage: Stage) -> tuple[F32, F32]:
    """Return rows (h, 1) and columns (1, w) as shares of height and width."""
    y = np.linspace(0, 1, stage.height, dtype=np.float32)[:, None]
    return y, np.linspace(0, 1, stage.width, dtype=np.float32)[None]


def _side_light(stage: Stage, strength: float) -> F32:
    """Return the light that falls off across the picture, (h, w), about 1."""
    y, x = _coordinates(stage)
    from_light = x if stage.light < 0 else 1 - x
    return np.asarray(1 + strength * (0.5 - from_light) - 0.25 * strength * (0.5 - y), np.float32)


def cove(stage: Stage, colour: Colour, rng: np.random.Generator) -> F32:
    """Draw a paper that bends from the ground into the wall: a light ground, a soft darker bend."""
    y, _ = _coordinates(stage)
    row = y * stage.height
    bend = np.exp(-(((row - stage.seam + 0.03 * stage.height) / (0.11 * stage.height)) ** 2))
    ground = np.clip((row - stage.seam) / (0.2 * stage.height), 0, 1)
    light = 1 - 0.09 * bend + 0.07 * ground
    return tint_plane(np.asarray(light * _side_light(stage, 0.30), np.float32), colour)


def spot(stage: Stage, colour: Colour, rng: np.random.Generator) -> F32:
    """Draw a backdrop with a pool of light behind the product, dark towards the corners."""
    y, x = _coordinates(stage)
    aside = 0.5 + 0.10 * stage.light
    distance = ((x - aside) / 0.62) ** 2 + ((y - 0.44) / 0.60) ** 2
    pool = 0.66 + 0.52 * np.exp(-distance * 1.25)
    row = y * stage.height
    pool = pool + 0.10 * np.clip((row - stage.seam) / (0.25 * stage.height), 0, 1)
    return tint_plane(np.asarray(pool, np.float32), colour)


def plaster(stage: Stage, colour: Colour, rng: np.random.Generator) -> F32:
    """Draw a wall of brushed lime plaster: clouds and fine strokes."""
    side = 512
    clouds = (
        noise(side, (4, 4), rng) * 0.5 + noise(side, (11, 9), rng) * 0.3 + noise(side, (36, 30), rng) * 0.2
    )
    strokes = noise(side, (120, 26), rng) * 0.5 + noise(side, (22, 110), rng) * 0.5
    levels = 1 + np.float32(0.028) * clouds + np.float32(0.016) * strokes
    wall = cv2.resize(
        np.asarray(levels, np.float32), (stage.width, stage.height), interpolation=cv2.INTER_CUBIC
    )
    return tint_plane(np.asarray(wall * _side_light(stage, 0.34), np.float32), colour)


def arch(stage: Stage, colour: Colour, rng: np.random.Generator) -> F32:
    """Draw a plastered wall with an arched niche behind the product, in the wall's own shade."""
    wall = plaster(stage, colour, rng)
    height, width = stage.height, stage.width
    half, middle = ARCH_REACH * width, width / 2
    top = max(0.06 * height, stage.seam - 0.60 * height) + half
    bits = 4  # of fractions of a pixel
    niche = np.zeros((height, width), np.uint8)
    centre, radii = (round(middle * 2**bits), round(top * 2**bits)), (round(half * 2**bits),) * 2
    cv2.ellipse(niche, centre, radii, 0, 0, 360, 255, -1, cv2.LINE_AA, bits)
    corners = np.array(
        [[middle - half, top], [middle + half, top], [middle + half, height], [middle - half, height]]
    )
    cv2.fillConvexPoly(niche, np.round(corners * 2**bits).astype(np.int32), 255, cv2.LINE_AA, bits)
    inside = niche.astype(np.float32) / np.float32(255)
    # the edge towards the light throws a shadow into the niche; the other edge is lit
    shift = np.array([[1, 0, -stage.light * 0.035 * width], [0, 1, 0.02 * height]], np.float32)
    open_part = cv2.warpAffine(inside, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
    lit = gaussian_blur(np.asarray(open_part, np.float32), 0.012 * width)
    light = 1 - inside * (0.10 + 0.22 * (1 - lit))
    return multiply_by_plane(wall, np.asarray(light, np.float32))


def skirting(stage: Stage, colour: Colour, rng: np.random.Generator) -> F32:
    """Draw a plastered wall with a skirting board."""
    wall = plaster(stage, colour, rng)
    seam = round(stage.seam)
    high = max(3, round(SKIRTING_M / max(1e-6, stage.wall_m_per_px)))
    if not seam - high > 0 or seam > stage.height:
        return wall
    board = np.array([min(0.86, 0.35 + 0.6 * c) for c in colour], np.float32)
    light = _side_light(stage, 0.34)[seam - high : seam]
    wall[seam - high : seam] = tint_plane(light, board.tolist())
    line = max(1, stage.height // 600)
    wall[seam - high : seam - high + line] *= 1.06
    wall[seam - high - line : seam - high] *= 0.88
    return wall


def concrete_wall(stage: Stage, colour: Colour, rng: np.random.Generator) -> F32:
    """Draw a wall of fair-faced concrete with the marks of its formwork."""
    side = 640
    clouds = (
        noise(side, (5, 4), rng) * 0.5 + noise(side, (16, 14), rng) * 0.3 + noise(side, (70, 60), rng) * 0.2
    )
    streaks = noise(side, (3, 60), rng)
    levels = np.asarray(1 + np.float32(0.10) * clouds + np.float32(0.025) * streaks, np.float32)
    wall = cv2.resize(levels, (stage.width, stage.height), interpolation=cv2.INTER_CUBIC)
    step = max(0.55 * stage.width, min(1.4 * stage.width, BOARD_MARK_M / max(1e-6, stage.wall_m_per_px)))
    line = max(1, stage.height // 700)
    start = float(rng.uniform(0.15, 0.35)) * stage.width
    for n in range(-1, 3):
        x = round(start + n * step)
        if 0 <= x < stage.width:
            wall[:, x : x + line] *= 0.84
            wall[:, x + line : x + 2 * line] *= 1.05
    return tint_plane(np.asarray(wall * _side_light(stage, 0.36), np.float32), colour)


def tiles(stage: Stage, colour: Colour, rng: np.random.Generator) -> F32:
    """Draw glazed wall tiles in a running bond, each in its own tone, with a soft shine."""
    px = 1 / max(1e-6, stage.wall_m_per_px)
    w, h = max(12.0, TILE_WIDTH_M * px), max(6.0, TILE_HEIGHT_M * px)
    joint = max(1.0, GROUT_M * px)
    y = (stage.seam - np.arange(stage.height, dtype=np.float32))[:, None]
    row = np.floor(y / h)
    x = np.arange(stage.width, dtype=np.float32)[None] + (row % 2) * np.float32(w / 2)
    column = np.floor(x / w)
    tone = rng.normal(0, 1, 4096).astype(np.float32)
    number = (row.astype(np.int64) * 131 + column.astype(np.int64) * 17) % 4096
    to_edge = np.minimum(
        np.minimum(x % w, w - x % w), np.minimum(y % h, h - y % h)
    )  # pixels to the nearest joint
    face = np.clip((to_edge - joint / 2) / 1.2, 0, 1)
    bevel = np.exp(-(((to_edge - joint * 1.4) / max(1.0, joint)) ** 2))
    tilt = 0.05 * tone[(number * 7) % 4096] * ((y % h) / h - 0.5)
    level = 1 + 0.03 * tone[number] + tilt + 0.05 * bevel
    grout = 0.80
    light = (level * face + grout * (1 - face)) * _side_light(stage, 0.34)
    return tint_plane(np.asarray(light, np.float32), colour)


def curtain(stage: Stage, colour: Colour, rng: np.random.Generator) -> F32:
    """Draw linen that hangs in soft folds."""
    x = np.linspace(0, 1, stage.width, dtype=np.float32)
    y = np.linspace(0, 1, stage.height, dtype=np.float32)[:, None]
    sway = 0.012 * np.sin(2.4 * y + float(rng.uniform(0, 6)))
    folds = np.zeros((stage.height, stage.width), np.float32)
    for strength, count in ((0.5, 3.1), (0.32, 6.7), (0.18, 13.0)):
        phase, slope = rng.uniform(0, 6.28), rng.uniform(-0.6, 0.6)
        folds += np.float32(strength) * np.sin((x + sway) * (count * 6.283) + phase + slope * y).astype(
            np.float32
        )
    weave = rng.standard_normal((stage.height // 2 + 1, stage.width // 2 + 1), np.float32)
    thread = cv2.resize(weave, (stage.width, stage.height), interpolation=cv2.INTER_LINEAR)
    light = (1 + 0.13 * folds + 0.008 * thread) * _side_light(stage, 0.3)
    return tint_plane(np.asarray(light, np.float32), colour)


def window(stage: Stage, colour: Colour, rng: np.random.Generator) -> F32:
    """Draw a wall with a bright window beside the product; the picture blurs it."""
    wall = tint_plane(np.asarray(_side_light(stage, 0.5), np.float32), colour)
    height, width = stage.height, stage.width
    sill = min(stage.seam - 0.10 * height, 0.60 * height)
    x0, x1 = (0.60, 1.12) if stage.light > 0 else (-0.12, 0.40)
    left, right = round(x0 * width), round(x1 * width)
    frame = np.zeros((height, width), np.float32)
    bars = max(2, round(0.016 * width))
    cv2.rectangle(frame, (left, -10), (right, round(sill)), 1.0, -1)
    for x in (left, (left + right) // 2, right):
        cv2.rectangle(frame, (x - bars, -10), (x + bars, round(sill)), 0.0, -1)
    for y in (round(0.22 * sill), round(sill)):
        cv2.rectangle(frame, (left, y - bars), (right, y + bars), 0.0, -1)
    lit = multiply_by_plane(wall, 1 + 0.55 * gaussian_blur(frame, 0.12 * width))
    leaves = blobs(stage, rng, 26)
    panes = (
        slice(0, max(0, round(sill)) + 1),
        slice(max(0, left), right + 1),
    )  # outside them there is only wall
    outside = np.clip(np.linspace(1, 0, height, dtype=np.float32)[panes[0]] * 2.1 - 0.75, 0, 1)[:, None, None]
    sky, trees = np.array([0.93, 0.96, 1.0], np.float32), np.array([0.50, 0.60, 0.38], np.float32)
    view = np.repeat(trees + (sky - trees) * outside, frame[panes].shape[1], 1)
    glass = frame[panes]
    lit[panes] = multiply_by_plane(lit[panes], 1 - glass)
    lit[panes] += multiply_by_plane(view, 1.15 * glass * (1 + 0.22 * leaves[panes]))
    return lit


def garden(stage: Stage, colour: Colour, rng: np.random.Generator) -> F32:
    """Draw leaves and light far behind; the picture blurs it."""
    y, _ = _coordinates(stage)
    share = np.clip(1 - y * stage.height / max(1.0, stage.seam), 0, 1)
    light = 0.42 + 0.75 * share**1.2
    picture = tint_plane(np.asarray(light * (1 + 0.55 * blobs(stage, rng, 90)), np.float32), colour)
    sky = np.clip(share * 1.5 - 0.45 + 0.5 * blobs(stage, rng, 30), 0, 1)[..., None]
    return np.asarray(picture * (1 - 0.75 * sky) + np.array([0.80, 0.86, 0.84], np.float32) * 0.75 * sky)


def blobs(stage: Stage, rng: np.random.Generator, count: int) -> F32:
    """Return soft round spots, (h, w), about -1 to 1, as lights out of focus have them."""
    height, width = 256, max(32, round(256 * stage.width / stage.height))
    plane = np.zeros((height, width), np.float32)
    for _ in range(count):
        centre = int(rng.integers(0, width)), int(rng.integers(0, height))
        layer = float(rng.uniform(-0.8, 0.8))
        cv2.circle(plane, centre, int(rng.integers(6, 26)), layer, -1, cv2.LINE_AA)
    soft = cv2.GaussianBlur(plane, (0, 0), 3.0)
    return np.asarray(
        cv2.resize(soft, (stage.width, stage.height), interpolation=cv2.INTER_LINEAR), np.float32
    )


BACKDROPS: Mapping[str, Callable[[Stage, Colour, np.random.Generator], F32]] = {
    "cove": cove,
    "spot": spot,
    "plaster": plaster,
    "arch": arch,
    "skirting": skirting,
    "concrete": concrete_wall,
    "tiles": tiles,
    "curtain": curtain,
    "window": window,
    "garden": garden,
}


def window_shape(stage: Stage, rng: np.random.Generator) -> F32:
    """Return the light of a window of six panes on a wall, soft at its edges, (h, w), 0 to 1."""
    height, width = stage.height, stage.width
    panes = np.zeros((height, width), np.float32)
    w, h, lean = 0.17 * width, 0.15 * height, -stage.light * 0.07 * width
    left = (0.46 if stage.light < 0 else 0.10) * width
    for row in range(3):
        for column in range(2):
            x, y = left + column * w * 1.10 + row * lean, 0.05 * height + row * h * 1.07
            rise = stage.light * 0.03 * height
            corners = np.array([[x, y], [x + w, y + rise], [x + w + lean, y + h + rise], [x + lean, y + h]])
            cv2.fillConvexPoly(panes, np.round(corners).astype(np.int32), 1.0, cv2.LINE_AA)
    return gaussian_blur(panes, 0.012 * width)


def leaves_shape(stage: Stage, rng: np.random.Generator) -> F32:
    """Return the light between the leaves of a plant, (h, w), 0 in the shade of a leaf."""
    height, width = 320, max(64, round(320 * stage.width / stage.height))
    shade = np.zeros((height, width), np.float32)
    for stem in range(3):
        x, y = width * (0.02 + 0.12 * stem + rng.uniform(0, 0.06)), height * rng.uniform(-0.08, 0.05)
        heading = rng.uniform(0.55, 1.15)
        for n in range(9):
            x, y = x + 0.055 * height * np.cos(heading), y + 0.055 * height * np.sin(heading)
            heading += rng.uniform(-0.08, 0.14)
            size = height * (0.105 - 0.006 * n)
            for side in (-1, 1):
                angle = heading + side * (0.85 + rng.uniform(-0.1, 0.1))
                tip = (x + size * np.cos(angle), y + size * np.sin(angle))
                centre = (round((x + tip[0]) / 2), round((y + tip[1]) / 2))
                axes = (max(2, round(size * 0.62)), max(1, round(size * 0.15)))
                cv2.ellipse(shade, centre, axes, float(np.degrees(angle)), 0, 360, 1.0, -1, cv2.LINE_AA)
    if stage.light > 0:
        shade = np.ascontiguousarray(shade[:, ::-1])
    soft = cv2.GaussianBlur(shade, (0, 0), 3.4)
    whole = cv2.resize(soft, (stage.width, stage.height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(1 - np.clip(whole, 0, 1), np.float32)


def blinds_shape(stage: Stage, rng: np.random.Generator) -> F32:
    """Return the light through the slats of a blind, (h, w), 0 to 1, within a soft frame."""
    height, width = stage.height, stage.width
    y, x = np.mgrid[0:height:4, 0:width:4].astype(np.float32)
    across = (y + stage.light * 0.35 * x) / (0.062 * height)
    slats = 0.5 + 0.5 * np.tanh(2.2 * np.sin(across * 3.1416))
    left, right = (0.30, 0.98) if stage.light < 0 else (0.02, 0.70)
    frame = ((x > left * width) & (x < right * width) & (y < 0.62 * height)).astype(np.float32)
    soft = cv2.GaussianBlur(np.asarray(slats * frame, np.float32), (0, 0), max(0.6, 0.003 * width))
    return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


LIGHT_SHAPES: Mapping[str, tuple[Callable[[Stage, np.random.Generator], F32], float]] = {
    # how it is drawn, and how much light it adds (above 0) or takes (below 0)
    "window": (window_shape, 0.24),
    "leaves": (leaves_shape, -0.13),
    "blinds": (blinds_shape, 0.22),
}


def light_through(stage: Stage, shade: str, rng: np.random.Generator) -> F32:
    """Return the factor of the light that falls through a shape, (h, w)."""
    draw, strength = LIGHT_SHAPES[shade]
    drawn = draw(stage, rng)
    return np.asarray(1 + strength * drawn if strength > 0 else 1 + strength * (1 - drawn), np.float32)


def vignette(picture: F32, strength: float) -> F32:
    """Return a picture with darker corners."""
    height, width = picture.shape[:2]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    return multiply_by_plane(picture, np.asarray(1 - strength * (x * x + y * y) / 2, np.float32))
