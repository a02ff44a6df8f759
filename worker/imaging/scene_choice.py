"""Choice of the pose, the scale and the set of a lifestyle picture, and words about it for the report."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.product import Dimensions, View
from dam_connector.domain.scene_words import NO_WISH, SceneWish
from dam_connector.domain.usual_products import UsualProduct, usual_product
from worker.imaging.backdrop_colour import Colour, linear_of, suiting_colour
from worker.imaging.cutout import Cutout
from worker.imaging.palette import Palette
from worker.imaging.poses import Pose, PoseFinding, PoseHints, find_pose
from worker.imaging.scene_doubts import NO_DOUBTS, SceneDoubts
from worker.imaging.scene_sets import SETS, SceneSet

NEUTRAL = (
    "studio",
    "plaster",
    "block",
    "gradient",
    "blinds",
)  # themes where no word is known
WITHOUT_ROOM = ("studio", "gradient")  # themes that suit even a car: no wall, no window
MAX_BUSY_SHARE = 0.1  # of the photo's border; more, and the photo was taken in a place, maybe outdoors
GUESSED_M = 0.3  # the longer side, where a prompt asks for a set with a scale and no size is known
PALETTE_SHARE = 0.72  # of a palette's colour, the rest stays the set's own
LIGHT_STRIDE, MIN_SOLID, MIN_LIT_PIXELS = (
    4,
    250,
    20,
)  # the product's own light is read from some opaque pixels
MIN_SHADING = 6.0  # of 255: a smaller difference between the product's sides says nothing about its light
COLOURLESS_WALLS = ("window", "garden")  # whose colour nobody can wish
MIN_FRAME_RATIO = 0.97  # a product that is cut off at both sides must be about as wide as the picture


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneFacts:
    """Facts that decide the scene beside the cut-out."""

    view: str = View.FRONT  # that the photo shows
    oblique: bool | None = None  # seen from above; None: unknown
    has_person: bool = False
    category: str = ""
    name: str = ""
    dimensions: Dimensions = Dimensions()
    wish: SceneWish = NO_WISH  # of the prompt or a note
    slot: int = 1
    variety: int = 0  # the same for all slots of a product: it decides the colour of the first
    palette: Palette | None = None  # of an inspiration image
    aspect: float = 0.8  # of the picture: width to height
    elevation_deg: float | None = None  # of the camera; known where a model is rendered, which stands
    doubts: SceneDoubts = NO_DOUBTS  # that the photo raises


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenePlan:
    """A chosen scene."""

    chosen: SceneSet
    finding: PoseFinding
    colour: Colour  # of the backdrop
    longest_m: float | None  # the longer side that the photo shows; None: unknown
    m_per_photo_px: float
    size_from: str  # "record", "category" or "" where it is unknown
    wish: SceneWish
    is_wish_followed: bool

    @property
    def facts(self) -> dict[str, str | int | float]:
        """Return the facts for the report."""
        facts: dict[str, str | int | float] = {"set": self.chosen.name, "pose": self.finding.pose.value}
        if self.size_from:
            facts["scene_size_from"] = self.size_from
        if self.is_wish_followed:
            facts["prompt_words"] = ", ".join(self.wish.words)
        return facts

    def issues(self, pointer: str) -> Iterator[Issue]:
        """Yield `rendition.no_scene`, `.scene_unsure`, `.size_guessed` and `.prompt_ignored`."""
        finding = self.finding
        if finding.refusal:
            yield issue(
                "rendition.no_scene", f"No scene suits this photo: {finding.refusal}.", pointer=pointer
            )
        elif finding.doubt:
            yield issue(
                "rendition.scene_unsure", f"A doubt about the scene: {finding.doubt}.", pointer=pointer
            )
        if not self.size_from and self.chosen.needs_scale:
            message = f"The set was drawn as if the product were {GUESSED_M:g} m large."
            yield issue("rendition.size_guessed", message, pointer="/dimensions")
        if self.wish.has_text and not self.is_wish_followed:
            reason = (
                f"No set for {', '.join(self.wish.words)} suits the product."
                if self.wish.words
                else "It has no words that name a set or a colour."
            )
            yield issue("rendition.prompt_ignored", reason, pointer="/prompt")


def plan_scene(cutout: Cutout, facts: SceneFacts) -> ScenePlan:
    """Choose pose, scale and set; the same facts give the same choice, and another slot another set."""
    usual = usual_product(facts.name, facts.category)
    hints = PoseHints(
        view=facts.view,
        usual_pose=usual.pose if usual else "",
        has_person=facts.has_person,
        oblique=facts.oblique,
        is_known_kind=usual is not None,
        hangs=facts.doubts.hangs,
    )
    if facts.elevation_deg is not None:
        is_oblique = bool(facts.oblique)
        finding = PoseFinding(pose=Pose.UPRIGHT, oblique=is_oblique, elevation_deg=facts.elevation_deg)
    else:
        found = find_pose(cutout, hints)
        found = replace(found, doubt=found.doubt or facts.doubts.of_cutout)
        finding = _in_frame(found, cutout, facts.aspect)
    m_per_px, size_from = _scale(cutout, finding.pose, facts.dimensions, usual)
    left, top, right, bottom = cutout.box
    longest = max(right - left, bottom - top) * m_per_px if size_from else None
    wished = _wished(_suiting(finding, longest or GUESSED_M), facts.wish)
    neutral = WITHOUT_ROOM if cutout.busy_share > MAX_BUSY_SHARE else NEUTRAL
    listed = wished or _listed(_suiting(finding, longest), usual, neutral, facts.variety)
    if facts.wish.colour and not wished:
        listed = [s for s in listed if s.wall not in COLOURLESS_WALLS] or listed
    rounds, number = divmod(facts.slot - 1, len(listed))
    chosen = listed[number]
    lit_from = lit_side(cutout) if facts.elevation_deg is None else 0
    mood_light = facts.palette.light if facts.palette else 0
    light = mood_light or lit_from or (-chosen.light if rounds % 2 else chosen.light)
    chosen = replace(chosen, light=light)
    is_colour_used = bool(facts.wish.colour) and chosen.wall not in COLOURLESS_WALLS
    return ScenePlan(
        chosen=chosen,
        finding=finding,
        colour=_wall_colour(cutout, chosen, facts),
        longest_m=longest,
        m_per_photo_px=m_per_px,
        size_from=size_from,
        wish=facts.wish,
        is_wish_followed=bool(wished) or is_colour_used,
    )


def lit_side(cutout: Cutout) -> int:
    """Return the side that the product is lit from, -1 left or 1 right; 0 where it does not show."""
    left, top, right, bottom = cutout.box
    region = slice(max(0, top), bottom, LIGHT_STRIDE), slice(max(0, left), right, LIGHT_STRIDE)
    grey, solid = cutout.rgb[region].mean(2), cutout.alpha[region] > MIN_SOLID
    middle = grey.shape[1] // 2
    one, other = grey[:, :middle][solid[:, :middle]], grey[:, middle:][solid[:, middle:]]
    if min(len(one), len(other)) < MIN_LIT_PIXELS:
        return 0
    difference = float(np.median(other) - np.median(one))
    return 0 if abs(difference) < MIN_SHADING else 1 if difference > 0 else -1


def _wall_colour(cutout: Cutout, chosen: SceneSet, facts: SceneFacts) -> Colour:
    """Return the colour of the backdrop: the wish's, the palette's, the set's, or one that suits."""
    if facts.wish.colour:
        return linear_of(facts.wish.colour)
    own = chosen.colour or suiting_colour(cutout, facts.variety + facts.slot, is_pale=chosen.wall == "tiles")
    if facts.palette is None:
        return own
    mixed = PALETTE_SHARE * np.array(facts.palette.wall) + (1 - PALETTE_SHARE) * np.array(own)
    return float(mixed[0]), float(mixed[1]), float(mixed[2])


def _in_frame(finding: PoseFinding, cutout: Cutout, aspect: float) -> PoseFinding:
    """Return the finding, refused where a product that is cut off cannot meet the picture's frame as well."""
    left, top, right, bottom = cutout.box
    ratio = (right - left) / max(1, bottom - top) / aspect
    across, down = {"left", "right"} <= finding.touched, {"top", "bottom"} <= finding.touched
    fits = (not across or ratio > MIN_FRAME_RATIO) and (not down or ratio < 1 / MIN_FRAME_RATIO)
    if fits or finding.refusal:
        return finding
    return replace(
        finding, refusal=f"the photo cuts the product off at: {', '.join(sorted(finding.touched))}"
    )


def _scale(cutout: Cutout, pose: Pose, size: Dimensions, usual: UsualProduct | None) -> tuple[float, str]:
    """Return metres to a pixel of the photo, and where they come from."""
    left, top, right, bottom = cutout.box
    width, height = max(1, right - left), max(1, bottom - top)
    known = [side for side in (size.width_m, size.height_m, size.depth_m) if side]
    if pose in (Pose.LIES, Pose.LEANS) and known:
        return max(known) / max(width, height), "record"
    if size.height_m:
        return size.height_m / height, "record"
    if size.width_m or size.depth_m:
        return (size.width_m or size.depth_m or 1.0) / width, "record"
    if usual:
        return usual.longest_m / max(width, height), "category"
    return GUESSED_M / max(width, height), ""


def _suiting(finding: PoseFinding, longest: float | None) -> list[SceneSet]:
    """Return the sets for a pose and a size in metres; for an unknown size those that show no scale."""
    return [
        s
        for s in SETS
        if finding.pose in s.poses
        and finding.elevation_deg <= s.max_deg
        and (not s.needs_scale if longest is None else s.min_m <= longest <= s.max_m)
    ]


def _wished(suiting: list[SceneSet], wish: SceneWish) -> list[SceneSet]:
    """Return the sets that a wish names, in the order of its words."""
    return list({s.name: s for theme in wish.themes for s in _of_theme(suiting, theme)}.values())


def _listed(
    suiting: list[SceneSet], usual: UsualProduct | None, neutral: tuple[str, ...], variety: int
) -> list[SceneSet]:
    """Return the sets for a product, the best first, each once.

    Where no word says what is best, products begin at different places of the neutral themes.
    """
    begin = variety % len(neutral)
    places = usual.places if usual else (*neutral[begin:], *neutral[:begin])
    first = [s for theme in places for s in _of_theme(suiting, theme)[:1]]
    return list({s.name: s for s in (*first, *suiting)}.values())


def _of_theme(sets: list[SceneSet], theme: str) -> list[SceneSet]:
    """Return the sets of a theme, those first that have it as their first."""
    return sorted((s for s in sets if theme in s.themes), key=lambda s: s.themes.index(theme))
