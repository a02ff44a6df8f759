"""Lifestyle composition without AI: the product's own pixels in a set drawn in code, lit from one side.

`scene_choice.py` chooses pose, scale and set. The ground is drawn in perspective at the product's scale, by a
camera that looks down as the photo's does. Shadows are the product's outline, thrown onto the ground, the
surface below or the wall. The product's pixels are never changed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.product import Dimensions, View
from worker.imaging.backdrop_colour import Colour
from worker.imaging.backdrops import BACKDROPS, Stage, light_through, stage_for, vignette
from worker.imaging.composition import Picture, lay_product, nonzero_region, place_product
from worker.imaging.cutout import Cutout
from worker.imaging.floor_materials import MATERIALS
from worker.imaging.ground_shadow import (
    cast_shadow,
    contact_shadow,
    ground_line,
    reflection,
    shadows_of_feet,
)
from worker.imaging.linear_light import to_srgb
from worker.imaging.palette import Palette
from worker.imaging.plane_arithmetic import gaussian_blur, multiply_by_plane
from worker.imaging.poses import Pose
from worker.imaging.scene_choice import SceneFacts, ScenePlan, plan_scene
from worker.imaging.scene_sets import SceneSet
from worker.imaging.scene_shadows import backdrop_shadow, depth_of, drop_shadow, leaning_shadow, under_shadow
from worker.imaging.scene_surfaces import (
    draw_plinth,
    draw_shelf,
    ground,
    ground_from_above,
    soft_seam,
)

F32 = NDArray[np.float32]
Box = tuple[int, int, int, int]

# Of the picture's height: the product's lowest row, by what it stands on.
FOOT: Mapping[str, float] = {"": 0.83, "plinth": 0.74, "shelf": 0.72}
CUT_OFF_FOOT = 0.94
CUT_OFF_FILL = 0.88
HUNG_FILL = 0.66
MIDDLE = 0.575  # of the picture's height: where the middle of a low product is
WIDE_GROWTH, MAX_GROWTH, MAX_WIDE_FILL = 0.22, 1.3, 0.84  # of a wide product, so that it is not lost
MIN_HEADROOM = 0.07  # of the picture's height
CAST_STRENGTH, CONTACT_STRENGTH = 0.50, 0.88
BELOW_FEET = 0.34  # strength of the shade below a product on four feet
CAST_ASIDE = 0.50  # of the product's height: how far aside the cast shadow goes
CAST_BACK, CAST_BACK_BY_TILT = 0.09, 0.55  # how far back: at eye level, and what the camera's tilt adds
REFLECTION_REACH = 0.125  # of the picture's height
SHADE_TINT = (1.0, 0.985, 0.96)  # of the light that a shadow takes, by channel: shadows are a little blue
VIGNETTE, GRAIN = 0.10, 0.010  # of the light
MIDDLE_TONE = 0.55  # of a channel, linear: a darker wall gets a lighter ground, and the reverse
PLINTH_REACH = 0.68  # of the width of what touches it
MIN_PLINTH_REACH, OBLIQUE_PLINTH_REACH = 0.36, 0.54  # of the product's width; its base is seen from above


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A lifestyle picture to be composed."""

    width: int  # pixels
    height: int  # pixels
    fill: float  # the product's share of the tighter side
    slot: int  # from 1; it chooses the set
    seed: int  # decides the noise of the materials
    height_m: float | None = None  # of the product
    oblique: bool = False  # the product is seen from above, so its base is no single row
    palette: Palette | None = None  # colours that the set takes
    facts: SceneFacts | None = None  # what decides the scene; None: what is above

    @property
    def all_facts(self) -> SceneFacts:
        """Return the facts that decide the scene."""
        return self.facts or SceneFacts(
            view=View.HERO if self.oblique else View.FRONT,
            oblique=self.oblique or None,
            dimensions=Dimensions(height_m=self.height_m),
            slot=self.slot,
            palette=self.palette,
            aspect=self.width / self.height,
        )


@dataclass(slots=True)
class _Canvas:
    """A picture while it is composed."""

    picture: F32  # linear, (h, w, 3)
    light: F32  # of the product: premultiplied linear colour, (h, w, 3)
    alpha: F32  # of the product, (h, w)
    scale: float
    box: Box
    stage: Stage
    plan: ScenePlan
    shades: list[F32]  # shares of light that the product takes, (h, w)


def compose_lifestyle(cutout: Cutout, scene: Scene, plan: ScenePlan | None = None) -> Picture:
    """Compose the product in a set.

    Args:
        cutout: The product.
        scene: The picture.
        plan: Pose, scale and set; chosen from the scene if None.
    """
    plan = plan or plan_scene(cutout, scene.all_facts)
    rng = np.random.default_rng(scene.seed)
    canvas = _COMPOSERS[plan.finding.pose](cutout, scene, plan, plan.colour, rng)
    picture = vignette(canvas.picture, VIGNETTE)
    height, width = scene.height, scene.width
    grain = rng.standard_normal((height, width), np.float32)
    picture = multiply_by_plane(picture, 1 + np.float32(GRAIN) * grain)
    shade = _joined(canvas.shades)
    region = nonzero_region(shade, canvas.alpha)
    for channel, share in enumerate(SHADE_TINT):
        picture[(*region, channel)] *= 1 - shade[region] * np.float32(share)
    region = nonzero_region(canvas.alpha)
    picture[region] = multiply_by_plane(picture[region], 1 - canvas.alpha[region]) + canvas.light[region]
    return Picture(rgb=to_srgb(picture), alpha=None, scale=canvas.scale, box=canvas.box)


def _joined(shades: list[F32]) -> F32:
    remaining = np.ones_like(shades[0])
    for shade in shades:
        remaining *= 1 - shade
    return np.asarray(np.clip(1 - remaining, 0, 0.9), np.float32)


def _upright(
    cutout: Cutout, scene: Scene, plan: ScenePlan, colour: Colour, rng: np.random.Generator
) -> _Canvas:
    """Compose a product that stands on the ground, a plinth or a shelf."""
    chosen, finding, height = plan.chosen, plan.finding, scene.height
    fill = min(_fill(cutout, scene), FOOT[chosen.prop] - MIN_HEADROOM)
    foot = _foot(cutout, scene, fill, FOOT[chosen.prop])
    light, alpha, scale, box = place_product(cutout, scene.width, height, fill, foot)
    m_per_px = plan.m_per_photo_px / scale
    stage = stage_for(scene.width, height, foot, finding.elevation_deg, m_per_px, chosen.light)
    picture = _draw_set(chosen, stage, scene, colour, rng)
    line = ground_line(alpha, oblique=finding.oblique)
    cast = cast_shadow(
        alpha,
        line,
        aside=-chosen.light * CAST_ASIDE,
        back=CAST_BACK + CAST_BACK_BY_TILT * float(np.sin(np.radians(finding.elevation_deg))),
    )
    cast *= _above_seam_fade(stage, is_cove=not chosen.surface)
    contact = contact_shadow(alpha, line, oblique=finding.oblique)
    under = under_shadow(alpha, line)
    if finding.oblique and (of_feet := shadows_of_feet(alpha)):
        contact, under, cast = of_feet[0], BELOW_FEET * of_feet[1], np.zeros_like(cast)
    if chosen.prop == "plinth":
        top = draw_plinth(picture, stage, _base(alpha, line, oblique=finding.oblique), _plinth_colour(colour))
        cast, contact, under = cast * (0.25 + 0.75 * top), contact * top, under * top
    gloss = MATERIALS[chosen.surface].gloss if chosen.surface else 0.0
    if gloss:
        mirror, share = reflection(light, alpha, line, gloss=gloss, reach=REFLECTION_REACH * height)
        region = nonzero_region(share)
        below = multiply_by_plane(picture[region], 1 - share[region])
        picture[region] = below + multiply_by_plane(mirror[region], share[region])
    if chosen.prop == "shelf":
        edge = _shelf(picture, stage, chosen, colour, scene, rng)
        cast[edge:], contact[edge:], under[edge:] = 0, 0, 0
    shades = [CAST_STRENGTH * cast, CONTACT_STRENGTH * contact, under]
    return _Canvas(picture, light, alpha, scale, box, stage, plan, shades)


def _fill(cutout: Cutout, scene: Scene) -> float:
    """Return the share that a product takes: a little more for one that is much wider than the picture."""
    left, top, right, bottom = cutout.box
    wide = (right - left) / max(1, bottom - top) * scene.height / scene.width
    growth = float(np.clip(1 + WIDE_GROWTH * (wide - 1), 1, MAX_GROWTH))
    return max(scene.fill, min(MAX_WIDE_FILL, scene.fill * growth))


def _foot(cutout: Cutout, scene: Scene, fill: float, lowest: float) -> int:
    """Return the row on which a product stands: a low product stands higher, so that it is in the middle."""
    left, top, right, bottom = cutout.box
    scale = min(fill * scene.width / (right - left), fill * scene.height / (bottom - top))
    share = (bottom - top) * scale / scene.height
    return round(min(lowest, MIDDLE + share / 2) * scene.height)


def _shelf(
    picture: F32, stage: Stage, chosen: SceneSet, colour: Colour, scene: Scene, rng: np.random.Generator
) -> int:
    wall = multiply_by_plane(
        BACKDROPS[chosen.wall](stage, colour, np.random.default_rng(scene.seed)),
        light_through(stage, chosen.shade, np.random.default_rng(scene.seed)),
    )
    floor = picture.copy()
    return draw_shelf(picture, stage, wall, floor)


def _plinth_colour(colour: Colour) -> Colour:
    """Return the colour of a plinth before a backdrop: the same, a little lighter."""
    red, green, blue = (min(0.84, c * 1.06 + 0.015) for c in colour)
    return red, green, blue


def _base(alpha: F32, line: F32, *, oblique: bool) -> tuple[float, float, float]:
    """Return middle column, middle row and half width of the plinth below a product."""
    solid = alpha > 0.5
    columns = np.flatnonzero(solid.any(0))
    bottom = len(alpha) - 1 - solid[::-1, columns].argmax(0)
    near = columns[line[columns] - bottom < 0.06 * np.count_nonzero(solid.any(1)) + 2]
    left, right = float(near[0]), float(near[-1])
    rows = line[near]
    middle_row = (float(rows.min()) + float(rows.max())) / 2 - 0.004 * len(alpha)
    least = OBLIQUE_PLINTH_REACH if oblique else MIN_PLINTH_REACH
    reach = max(PLINTH_REACH * (right - left), least * len(columns), 0.10 * alpha.shape[1])
    middle = float(columns[0] + columns[-1]) / 2 if oblique else (left + right) / 2
    return middle, middle_row, min(reach, 0.62 * alpha.shape[1])


def _above_seam_fade(stage: Stage, *, is_cove: bool) -> F32:
    """Return by how much a shadow on the ground is seen in each row, (h, 1): little on the wall."""
    rows = np.arange(stage.height, dtype=np.float32)[:, None]
    soft = (0.10 if is_cove else 0.012) * stage.height
    return np.asarray(np.clip((rows - stage.seam) / soft + (0.8 if is_cove else 0.0), 0, 1), np.float32)


def _draw_set(chosen: SceneSet, stage: Stage, scene: Scene, colour: Colour, rng: np.random.Generator) -> F32:
    """Return the empty set in linear light, (h, w, 3)."""
    picture = BACKDROPS[chosen.wall](stage, colour, rng)
    if chosen.blur:
        picture = gaussian_blur(picture, chosen.blur * scene.width)
    if chosen.shade:
        picture = multiply_by_plane(picture, light_through(stage, chosen.shade, rng))
    if chosen.surface:
        floor_colour = scene.palette.floor if scene.palette else None
        if floor_colour is None and chosen.surface == "plaster":
            floor_colour = _other_tone(colour) if chosen.wall == "cove" else colour
        drawn = ground(stage, chosen.surface, floor_colour, rng)
        picture[len(picture) - len(drawn) :] = multiply_by_plane(drawn, _floor_light(stage, len(drawn)))
        picture = soft_seam(picture, stage, max(0.003, chosen.blur * 0.5))
    return np.asarray(picture, np.float32)


def _other_tone(colour: Colour) -> Colour:
    """Return a clearly lighter or darker tone of a colour, a little warmer."""
    lighter = max(colour) < MIDDLE_TONE
    red, green, blue = (0.45 + 0.5 * c if lighter else 0.62 * c for c in colour)
    return red, 0.985 * green, 0.95 * blue


def _floor_light(stage: Stage, rows: int) -> F32:
    """Return the light on the ground, (rows, w): more on the side of the light."""
    x = np.linspace(0, 1, stage.width, dtype=np.float32)[None]
    from_light = x if stage.light < 0 else 1 - x
    y = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    return np.asarray(1.10 - 0.30 * from_light - 0.06 * y, np.float32)


def _lying(
    cutout: Cutout, scene: Scene, plan: ScenePlan, colour: Colour, rng: np.random.Generator
) -> _Canvas:
    """Compose a product that lies, seen from above."""
    chosen = plan.chosen
    light, alpha, scale, box = place_product(cutout, scene.width, scene.height, max(scene.fill, 0.68))
    stage = _flat_stage(scene, plan.m_per_photo_px / scale, chosen.light)
    if chosen.surface:
        floor_colour = scene.palette.floor if scene.palette else None
        picture = ground_from_above(stage, chosen.surface, floor_colour, rng)
        picture = multiply_by_plane(picture, _flat_light(stage))
    else:
        picture = multiply_by_plane(
            np.tile(np.array(colour, np.float32), (scene.height, scene.width, 1)), _flat_light(stage)
        )
    if chosen.shade:
        picture = multiply_by_plane(picture, light_through(stage, chosen.shade, rng))
    shades = [drop_shadow(alpha, depth_of(alpha), chosen.light)]
    return _Canvas(picture, light, alpha, scale, box, stage, plan, shades)


def _flat_light(stage: Stage) -> F32:
    x = np.linspace(0, 1, stage.width, dtype=np.float32)[None]
    y = np.linspace(0, 1, stage.height, dtype=np.float32)[:, None]
    from_light = x if stage.light < 0 else 1 - x
    return np.asarray(1.12 - 0.20 * from_light - 0.10 * y, np.float32)


def _flat_stage(scene: Scene, m_per_px: float, light: int) -> Stage:
    """Return the stage of a surface that fills the picture."""
    return Stage(
        width=scene.width,
        height=scene.height,
        foot=float(scene.height),
        eye=-float(scene.height),
        seam=float(scene.height),
        m_per_px=m_per_px,
        light=light,
    )


def _hanging(
    cutout: Cutout, scene: Scene, plan: ScenePlan, colour: Colour, rng: np.random.Generator
) -> _Canvas:
    """Compose a product that hangs on a wall."""
    light, alpha, scale, box = place_product(cutout, scene.width, scene.height, min(scene.fill, HUNG_FILL))
    stage = _flat_stage(scene, plan.m_per_photo_px / scale, plan.chosen.light)
    picture = _draw_set(replace(plan.chosen, surface=""), stage, scene, colour, rng)
    shades = [drop_shadow(alpha, depth_of(alpha), plan.chosen.light, lift=1.1)]
    return _Canvas(picture, light, alpha, scale, box, stage, plan, shades)


def _leaning(
    cutout: Cutout, scene: Scene, plan: ScenePlan, colour: Colour, rng: np.random.Generator
) -> _Canvas:
    """Compose a product that leans against a wall."""
    foot = round((FOOT[""] + 0.03) * scene.height)
    light, alpha, scale, box = place_product(cutout, scene.width, scene.height, max(scene.fill, 0.7), foot)
    m_per_px = plan.m_per_photo_px / scale
    stage = stage_for(
        scene.width, scene.height, foot, plan.finding.elevation_deg, m_per_px, plan.chosen.light
    )
    stage = replace(stage, seam=foot - 0.035 * scene.height)
    picture = _draw_set(replace(plan.chosen, blur=0.0), stage, scene, colour, rng)
    line = ground_line(alpha, oblique=False)
    contact = contact_shadow(alpha, line, oblique=False)
    shades = [leaning_shadow(alpha, stage.seam, plan.chosen.light), CONTACT_STRENGTH * contact]
    return _Canvas(picture, light, alpha, scale, box, stage, plan, shades)


def _cut_off(
    cutout: Cutout, scene: Scene, plan: ScenePlan, colour: Colour, rng: np.random.Generator
) -> _Canvas:
    """Compose a product that the photo's frame cuts off: the picture's frame cuts off the same sides."""
    touched = plan.finding.touched if not plan.finding.refusal else frozenset[str]()
    box, scale = _cut_off_box(cutout, scene, touched)
    light, alpha = lay_product(cutout, scene.width, scene.height, box)
    stage = stage_for(
        scene.width,
        scene.height,
        CUT_OFF_FOOT * scene.height,
        9.0,
        plan.m_per_photo_px / scale,
        plan.chosen.light,
    )
    meets_ground = "bottom" not in touched and not plan.finding.refusal
    wall_stage = stage if meets_ground else _flat_stage(scene, stage.m_per_px, plan.chosen.light)
    picture = _draw_set(plan.chosen, wall_stage, scene, colour, rng)
    shades = [backdrop_shadow(alpha, plan.chosen.light)]
    if meets_ground:
        line = ground_line(alpha, oblique=False)
        shades = [CONTACT_STRENGTH * contact_shadow(alpha, line, oblique=False)]
    return _Canvas(picture, light, alpha, scale, box, stage, plan, shades)


def _cut_off_box(cutout: Cutout, scene: Scene, touched: frozenset[str]) -> tuple[Box, float]:
    """Return the box of the product in the picture, and its scale."""
    left, top, right, bottom = cutout.box
    width, height = right - left, bottom - top
    scale = min(CUT_OFF_FILL * scene.width / width, CUT_OFF_FILL * scene.height / height)
    if {"left", "right"} <= touched or {"top", "bottom"} <= touched:
        scale = min(scene.width / width, scene.height / height)
    w = min(scene.width, max(1, round(width * scale)))
    h = min(scene.height, max(1, round(height * scale)))
    x = 0 if "left" in touched else scene.width - w if "right" in touched else (scene.width - w) // 2
    below = scene.height - h
    y = below if "bottom" in touched else 0 if "top" in touched else round(below * CUT_OFF_FOOT)
    return (x, y, x + w, y + h), scale


_COMPOSERS: Mapping[Pose, Callable[..., _Canvas]] = {
    Pose.UPRIGHT: _upright,
    Pose.LIES: _lying,
    Pose.HANGS: _hanging,
    Pose.LEANS: _leaning,
    Pose.WORN: _cut_off,
    Pose.CROPPED: _cut_off,
}
