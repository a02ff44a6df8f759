"""Lifestyle pictures without AI: a room built in code, lit from one side, with the product's own pixels standing in it.

Floor and wall are drawn in perspective at the product's true scale; the shadow is its outline laid on the floor away from
the light, softer with distance; the wall takes a quiet tone from the product. Sets 1 to 4 differ in material, wall and light.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.composition import Picture, nonzero_region, place_product
from worker.imaging.linear_light import to_srgb
from worker.imaging.cutout import Cutout
from worker.imaging.floor_materials import MATERIALS
from worker.imaging.ground_shadow import cast_shadow, contact_shadow, ground_line, reflection
from worker.imaging.palette import Palette
from worker.imaging.plane_arithmetic import gaussian_blur, multiply_by_plane, tint_plane

F32 = NDArray[np.float32]

FOOT, SEAM, EYE = (
    0.83,
    0.665,
    0.46,
)  # of the picture's height: where it stands, where wall and floor meet, the eye's level
TEXTURE_PX = 1536
ON_THE_FLOOR_M = 0.5  # smaller products stand on a table: no skirting board behind
USUAL_HEIGHT_M = 0.45
SHADOW, SHADOW_LEAN, SHADOW_DEPTH = (
    0.50,
    0.62,
    0.17,
)  # strength; how far it goes aside and back, of the product's height
CONTACT, MIRROR_REACH = 0.75, 0.125
SHADE_TINT = (1.0, 0.985, 0.96)  # of what a shadow takes: it is a little blue
FROM_PALETTE = 0.72
PLASTER = 8e-5  # of the wall's light, a level of its grain
SPARSE = 4  # every so many pixels tell the product's own tone


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A set. wall: linear colour. light: -1 from the left, 1 from the right. window: whether its light draws a window on
    the wall. floor_colour: what the floor's material is stained to, linear."""

    floor: str
    wall: tuple[float, float, float]
    light: int
    window: bool
    floor_colour: tuple[float, float, float] | None = None


ROOMS = (
    Room(floor="oak", wall=(0.72, 0.69, 0.64), light=-1, window=True),
    Room(floor="concrete", wall=(0.56, 0.58, 0.60), light=1, window=False),
    Room(floor="linen", wall=(0.66, 0.56, 0.46), light=-1, window=False),
    Room(floor="marble", wall=(0.48, 0.54, 0.49), light=1, window=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is asked for. width and height in pixels; fill of the tighter side; height_m of the product, or None; the seed
    decides the grain; oblique: seen from above, its base no single line; palette: colours that the room takes."""

    width: int
    height: int
    fill: float
    slot: int
    seed: int
    height_m: float | None = None
    oblique: bool = False
    palette: Palette | None = None


def compose_lifestyle(cutout: Cutout, scene: Scene) -> Picture:
    """The product in the room of its slot."""
    room = _decorated(ROOMS[(scene.slot - 1) % len(ROOMS)], scene.palette)
    rng = np.random.default_rng(scene.seed)
    foot = round(FOOT * scene.height)
    light, alpha, scale, box = place_product(
        cutout, scene.width, scene.height, min(scene.fill, FOOT - 0.06), foot
    )
    metres = (scene.height_m or USUAL_HEIGHT_M) / max(1, int(np.count_nonzero((alpha > 0.5).any(1))))
    some = light[::SPARSE, ::SPARSE][alpha[::SPARSE, ::SPARSE] > 0.5]
    ground = _room(room, scene, metres, some.mean(0) if len(some) else np.ones(3, np.float32), rng)
    line = ground_line(alpha, oblique=scene.oblique)
    if gloss := MATERIALS[room.floor].gloss:
        mirror, share = reflection(light, alpha, line, gloss=gloss, reach=MIRROR_REACH * scene.height)
        part = nonzero_region(share)
        ground[part] = multiply_by_plane(ground[part], 1 - share[part]) + multiply_by_plane(
            mirror[part], share[part]
        )
    cast, contact = (
        cast_shadow(alpha, line, aside=-room.light * SHADOW_LEAN, back=SHADOW_DEPTH),
        contact_shadow(alpha, line, oblique=scene.oblique),
    )
    cast[: round(SEAM * scene.height)] = 0
    part = nonzero_region(cast, contact)
    shade = 1 - (1 - SHADOW * cast[part]) * (1 - CONTACT * contact[part])
    shade = np.clip(shade, 0, 0.9)
    ground[part] *= np.dstack([1 - shade * np.float32(share) for share in SHADE_TINT])
    part = nonzero_region(alpha)
    ground[part] = multiply_by_plane(ground[part], 1 - alpha[part]) + light[part]
    return Picture(rgb=to_srgb(ground), alpha=None, scale=scale, box=box)


def _decorated(room: Room, palette: Palette | None) -> Room:
    """The room in the palette's colours; each slot keeps a share of its own, so that slots still differ."""
    if palette is None:
        return room
    wall = FROM_PALETTE * np.array(palette.wall) + (1 - FROM_PALETTE) * np.array(room.wall)
    return replace(room, wall=tuple(wall.tolist()), floor_colour=palette.floor)


def _room(room: Room, scene: Scene, metres: float, tint: F32, rng: np.random.Generator) -> F32:
    """The empty room, linear, (h, w, 3)."""
    height, width = scene.height, scene.width
    seam = round(SEAM * height)
    y, x = np.linspace(0, 1, height, dtype=np.float32)[:, None], np.linspace(0, 1, width, dtype=np.float32)
    wall = np.array(room.wall, np.float32)
    wall = wall * (0.88 + 0.12 * tint / max(1e-3, float(tint.max())))  # a breath of the product's own colour
    grain = cv2.GaussianBlur(
        np.frombuffer(rng.bytes(seam * width), np.uint8).reshape(seam, width), (0, 0), 1.2
    )
    out = np.empty((height, width, 3), np.float32)
    out[:seam] = tint_plane(1 + (grain - np.float32(127.5)) * np.float32(PLASTER), wall.tolist())
    floor = _floor(room.floor, scene, metres, rng)
    if room.floor_colour:
        floor = (
            floor
            * np.array(room.floor_colour, np.float32) ** FROM_PALETTE
            * np.maximum(floor.mean((0, 1)), 1e-3) ** -FROM_PALETTE
        )
    out[seam:] = floor
    if (scene.height_m or USUAL_HEIGHT_M) >= ON_THE_FLOOR_M:
        out = _with_skirting(out, seam, height)
    near = x if room.light < 0 else 1 - x
    light = 1.12 - 0.42 * near - 0.16 * (1 - y)
    if room.window:
        light += 0.20 * _window(scene, room.light)
    corner = np.exp(-np.abs(y * height - seam) / (0.035 * height))
    light *= 1 - 0.16 * corner
    return multiply_by_plane(out, np.clip(light, 0.2, 1.5).astype(np.float32))


def _with_skirting(out: F32, seam: int, height: int) -> F32:
    """A low skirting board in the wall's own colour, with the shadow line that tells it apart."""
    top = seam - round(0.034 * height)
    out[top:seam] = np.clip(out[top:seam] * 1.06, 0, 1)
    line = max(1, height // 500)
    out[top - line : top] *= 0.86
    out[seam - line : seam + line] *= 0.55
    return out


def _floor(material: str, scene: Scene, metres: float, rng: np.random.Generator) -> F32:
    """The floor in perspective, from the seam down, drawn at twice the size so that its far end does not shimmer."""
    height, width = scene.height * 2, scene.width * 2
    eye, foot, seam = EYE * height, FOOT * height, SEAM * height
    near, far = (
        (foot - eye) / (height - eye),
        (foot - eye) / (seam - eye),
    )  # distance, 1 where the product stands
    half = metres * scene.width / 2  # at the product, metres
    side_m = max(2 * half * far * 1.05, (far - near) * 2.2 * half)
    px_per_m = TEXTURE_PX / side_m
    texture = MATERIALS[material].draw_levels(TEXTURE_PX, px_per_m, rng)
    middle, deep = TEXTURE_PX / 2, (far - near) * 2.2 * half * px_per_m
    corners = np.array(
        [
            [middle - half * far * px_per_m, TEXTURE_PX - deep],
            [middle + half * far * px_per_m, TEXTURE_PX - deep],
            [middle + half * near * px_per_m, TEXTURE_PX],
            [middle - half * near * px_per_m, TEXTURE_PX],
        ],
        np.float32,
    )
    rows = scene.height - round(seam / 2)
    seen = np.array([[0, 0], [width, 0], [width, rows * 2], [0, rows * 2]], np.float32)
    warp = cv2.getPerspectiveTransform(corners, seen)
    drawn = cv2.warpPerspective(
        texture, warp, (width, rows * 2), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return MATERIALS[material].colourise(
        np.asarray(cv2.resize(drawn, (scene.width, rows), interpolation=cv2.INTER_AREA), np.float32)
    )


def _window(scene: Scene, side: int) -> F32:
    """The light that a window of four panes throws on the wall, soft at its edges, (h, w) 0 to 1."""
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
