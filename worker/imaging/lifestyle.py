"""Lifestyle composition without AI: the product's own pixels in a room generated in code, lit from one side.

Floor and wall are drawn in perspective at the product's true scale. The cast shadow is the product's outline
projected onto the floor away from the light, softer with distance. The wall takes a slight tint from the
product. Slots 1 to 4 differ in material, wall and light.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.composition import Picture, nonzero_region, place_product
from worker.imaging.cutout import Cutout
from worker.imaging.floor_materials import MATERIALS
from worker.imaging.ground_shadow import cast_shadow, contact_shadow, ground_line, reflection
from worker.imaging.linear_light import to_srgb
from worker.imaging.palette import Palette
from worker.imaging.plane_arithmetic import gaussian_blur, multiply_by_plane, tint_plane

F32 = NDArray[np.float32]

# Of the picture's height: the product's lowest row, the line between wall and floor, and the eye level.
FOOT, SEAM, EYE_LEVEL = 0.83, 0.665, 0.46
TEXTURE_PX = 1536
MIN_FLOOR_PRODUCT_M = 0.5  # smaller products are on a table: no skirting board behind them
DEFAULT_HEIGHT_M = 0.45
CAST_STRENGTH = 0.50
CAST_ASIDE, CAST_BACK = 0.62, 0.17  # of the product's height: how far the cast shadow goes
CONTACT_STRENGTH = 0.75
REFLECTION_REACH = 0.125  # of the picture's height
SHADE_TINT = (1.0, 0.985, 0.96)  # of the light that a shadow takes, by channel: shadows are a little blue
PALETTE_SHARE = 0.72  # of the room's colour, the rest stays the slot's own
PLASTER_GRAIN = 8e-5  # of the wall's light, for each level of its noise
TINT_STRIDE = 4  # the product's mean colour is taken from every fourth pixel


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Material, colours and light of a room."""

    floor: str  # a key of MATERIALS
    wall: tuple[float, float, float]  # linear colour
    light: int  # -1 from the left, 1 from the right
    window: bool  # whether the light draws a window on the wall
    floor_colour: tuple[float, float, float] | None = None  # to which the material is recoloured, linear


ROOMS = (
    Room(floor="oak", wall=(0.72, 0.69, 0.64), light=-1, window=True),
    Room(floor="concrete", wall=(0.56, 0.58, 0.60), light=1, window=False),
    Room(floor="linen", wall=(0.66, 0.56, 0.46), light=-1, window=False),
    Room(floor="marble", wall=(0.48, 0.54, 0.49), light=1, window=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A lifestyle picture to be composed."""

    width: int  # pixels
    height: int  # pixels
    fill: float  # the product's share of the tighter side
    slot: int  # from 1; it chooses the room
    seed: int  # decides the noise of the materials
    height_m: float | None = None  # of the product
    oblique: bool = False  # the product is seen from above, so its base is no single row
    palette: Palette | None = None  # colours that the room takes


def compose_lifestyle(cutout: Cutout, scene: Scene) -> Picture:
    """Compose the product in the room of its slot."""
    room = _apply_palette(ROOMS[(scene.slot - 1) % len(ROOMS)], scene.palette)
    rng = np.random.default_rng(scene.seed)
    foot = round(FOOT * scene.height)
    light, alpha, scale, box = place_product(
        cutout, scene.width, scene.height, min(scene.fill, FOOT - 0.06), foot
    )
    m_per_px = (scene.height_m or DEFAULT_HEIGHT_M) / max(1, int(np.count_nonzero((alpha > 0.5).any(1))))
    some = light[::TINT_STRIDE, ::TINT_STRIDE][alpha[::TINT_STRIDE, ::TINT_STRIDE] > 0.5]
    tint = some.mean(0) if len(some) else np.ones(3, np.float32)
    picture = _draw_room(room, scene, m_per_px, tint, rng)
    line = ground_line(alpha, oblique=scene.oblique)
    if gloss := MATERIALS[room.floor].gloss:
        mirror, share = reflection(light, alpha, line, gloss=gloss, reach=REFLECTION_REACH * scene.height)
        region = nonzero_region(share)
        floor_light = multiply_by_plane(picture[region], 1 - share[region])
        picture[region] = floor_light + multiply_by_plane(mirror[region], share[region])
    cast = cast_shadow(alpha, line, aside=-room.light * CAST_ASIDE, back=CAST_BACK)
    contact = contact_shadow(alpha, line, oblique=scene.oblique)
    cast[: round(SEAM * scene.height)] = 0
    region = nonzero_region(cast, contact)
    shade = 1 - (1 - CAST_STRENGTH * cast[region]) * (1 - CONTACT_STRENGTH * contact[region])
    shade = np.clip(shade, 0, 0.9)
    picture[region] *= np.dstack([1 - shade * np.float32(share) for share in SHADE_TINT])
    region = nonzero_region(alpha)
    picture[region] = multiply_by_plane(picture[region], 1 - alpha[region]) + light[region]
    return Picture(rgb=to_srgb(picture), alpha=None, scale=scale, box=box)


def _apply_palette(room: Room, palette: Palette | None) -> Room:
    """Return the room in the palette's colours; the wall keeps a share of its own, so slots still differ."""
    if palette is None:
        return room
    wall = PALETTE_SHARE * np.array(palette.wall) + (1 - PALETTE_SHARE) * np.array(room.wall)
    return replace(room, wall=tuple(wall.tolist()), floor_colour=palette.floor)


def _draw_room(room: Room, scene: Scene, m_per_px: float, tint: F32, rng: np.random.Generator) -> F32:
    """Return the empty room in linear light, (h, w, 3)."""
    height, width = scene.height, scene.width
    seam = round(SEAM * height)
    y, x = np.linspace(0, 1, height, dtype=np.float32)[:, None], np.linspace(0, 1, width, dtype=np.float32)
    wall = np.array(room.wall, np.float32)
    wall = wall * (0.88 + 0.12 * tint / max(1e-3, float(tint.max())))  # a slight tint from the product
    grain = cv2.GaussianBlur(
        np.frombuffer(rng.bytes(seam * width), np.uint8).reshape(seam, width), (0, 0), 1.2
    )
    picture = np.empty((height, width, 3), np.float32)
    picture[:seam] = tint_plane(1 + (grain - np.float32(127.5)) * np.float32(PLASTER_GRAIN), wall.tolist())
    floor = _draw_floor(room.floor, scene, m_per_px, rng)
    if room.floor_colour:
        floor = (
            floor
            * np.array(room.floor_colour, np.float32) ** PALETTE_SHARE
            * np.maximum(floor.mean((0, 1)), 1e-3) ** -PALETTE_SHARE
        )
    picture[seam:] = floor
    if (scene.height_m or DEFAULT_HEIGHT_M) >= MIN_FLOOR_PRODUCT_M:
        picture = _draw_skirting_board(picture, seam, height)
    distance_from_light = x if room.light < 0 else 1 - x
    light = 1.12 - 0.42 * distance_from_light - 0.16 * (1 - y)
    if room.window:
        light += 0.20 * _draw_window_light(scene, room.light)
    corner = np.exp(-np.abs(y * height - seam) / (0.035 * height))
    light *= 1 - 0.16 * corner
    return multiply_by_plane(picture, np.clip(light, 0.2, 1.5).astype(np.float32))


def _draw_skirting_board(picture: F32, seam: int, height: int) -> F32:
    """Draw a low skirting board in the wall's own colour, with shadow lines above and below it."""
    top = seam - round(0.034 * height)
    picture[top:seam] = np.clip(picture[top:seam] * 1.06, 0, 1)
    line = max(1, height // 500)
    picture[top - line : top] *= 0.86
    picture[seam - line : seam + line] *= 0.55
    return picture


def _draw_floor(material: str, scene: Scene, m_per_px: float, rng: np.random.Generator) -> F32:
    """Return the floor in perspective, drawn at twice the size so that its far end does not alias."""
    height, width = scene.height * 2, scene.width * 2
    eye, foot, seam = EYE_LEVEL * height, FOOT * height, SEAM * height
    # distances from the viewer to the picture's lower edge and to the wall; the product's distance is 1
    near, far = (foot - eye) / (height - eye), (foot - eye) / (seam - eye)
    half_width_m = m_per_px * scene.width / 2  # at the product
    side_m = max(2 * half_width_m * far * 1.05, (far - near) * 2.2 * half_width_m)
    px_per_m = TEXTURE_PX / side_m
    texture = MATERIALS[material].draw_levels(TEXTURE_PX, px_per_m, rng)
    middle, depth = TEXTURE_PX / 2, (far - near) * 2.2 * half_width_m * px_per_m
    source = np.array(
        [
            [middle - half_width_m * far * px_per_m, TEXTURE_PX - depth],
            [middle + half_width_m * far * px_per_m, TEXTURE_PX - depth],
            [middle + half_width_m * near * px_per_m, TEXTURE_PX],
            [middle - half_width_m * near * px_per_m, TEXTURE_PX],
        ],
        np.float32,
    )
    rows = scene.height - round(seam / 2)
    target = np.array([[0, 0], [width, 0], [width, rows * 2], [0, rows * 2]], np.float32)
    levels = cv2.warpPerspective(
        texture,
        cv2.getPerspectiveTransform(source, target),
        (width, rows * 2),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    reduced = cv2.resize(levels, (scene.width, rows), interpolation=cv2.INTER_AREA)
    return MATERIALS[material].colourise(np.asarray(reduced, np.float32))


def _draw_window_light(scene: Scene, side: int) -> F32:
    """Return the light that a window of four panes throws on the wall, soft at its edges, (h, w), 0 to 1."""
    height, width = scene.height, scene.width
    panes = np.zeros((height, width), np.float32)
    w, h, lean = 0.13 * width, 0.17 * height, -side * 0.05 * width
    left = (0.50 if side < 0 else 0.12) * width
    for row in range(2):
        for column in range(2):
            x, y = left + column * w * 1.12 + row * lean, 0.07 * height + row * h * 1.09
            corners = np.array(
                [
                    [x, y],
                    [x + w, y - 0.012 * height],
                    [x + w + lean, y + h - 0.012 * height],
                    [x + lean, y + h],
                ]
            )
            cv2.fillConvexPoly(panes, np.round(corners).astype(np.int32), 1.0, cv2.LINE_AA)
    return gaussian_blur(panes, 0.009 * width)
