"""The sets of lifestyle pictures as data: surface, background, light, and the poses that they suit.

A set has themes: words that a prompt, a category or an order of slots names it by. `scene_choice.py` chooses.
"""

from dataclasses import dataclass

from worker.imaging.poses import Pose

Colour = tuple[float, float, float]  # linear
ON_GROUND = frozenset({Pose.UPRIGHT})
LYING = frozenset({Pose.LIES})
ON_WALL = frozenset({Pose.HANGS})
AT_WALL = frozenset({Pose.LEANS})
CUT_OFF = frozenset({Pose.WORN, Pose.CROPPED})


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSet:
    """A set: where a product is shown."""

    name: str
    themes: tuple[str, ...]
    poses: frozenset[Pose]
    surface: str = ""  # a key of MATERIALS; empty: the backdrop runs on below the product
    wall: str = "cove"  # a key of BACKDROPS
    colour: Colour | None = None  # of the backdrop; None: one that suits the product
    light: int = -1  # -1 from the left, 1 from the right
    shade: str = ""  # a key of LIGHT_SHAPES: what the light falls through
    blur: float = 0.0  # of the background: standard deviation as a share of the picture's width
    needs_scale: bool = True  # it shows what has a size
    min_m: float = 0.0  # longer side of products that it suits
    max_m: float = 100.0
    max_deg: float = 90.0  # elevation of the camera that it can be seen from
    prop: str = ""  # "plinth" or "shelf": what the product stands on


SETS = (
    SceneSet(
        name="studio colour",
        themes=("studio", "plain"),
        poses=ON_GROUND,
        needs_scale=False,
    ),
    SceneSet(
        name="gradient backdrop",
        themes=("gradient", "studio"),
        poses=ON_GROUND,
        wall="spot",
        needs_scale=False,
        light=1,
    ),
    SceneSet(
        name="plinth",
        themes=("plinth", "studio"),
        poses=ON_GROUND,
        prop="plinth",
        shade="leaves",
        max_m=1.2,
    ),
    SceneSet(
        name="shelf",
        themes=("shelf", "wood", "plaster"),
        poses=ON_GROUND,
        surface="oak",
        wall="plaster",
        prop="shelf",
        shade="window",
        max_m=0.6,
        max_deg=16.0,
        blur=0.002,
    ),
    SceneSet(
        name="table by a window",
        themes=("window", "wood"),
        poses=ON_GROUND,
        surface="oak",
        wall="window",
        colour=(0.74, 0.71, 0.66),
        blur=0.016,
        max_m=0.75,
        light=1,
    ),
    SceneSet(
        name="kitchen counter",
        themes=("kitchen", "marble"),
        poses=ON_GROUND,
        surface="marble",
        wall="tiles",
        blur=0.004,
        max_m=0.75,
    ),
    SceneSet(
        name="stone outdoors",
        themes=("outdoor", "stone"),
        poses=ON_GROUND,
        surface="paving",
        wall="garden",
        colour=(0.30, 0.36, 0.20),
        blur=0.03,
        light=1,
    ),
    SceneSet(
        name="wooden floor",
        themes=("floor", "wood", "plaster"),
        poses=ON_GROUND | AT_WALL,
        surface="oak",
        wall="skirting",
        shade="window",
        min_m=0.4,
    ),
    SceneSet(
        name="plaster wall",
        themes=("plaster", "stone"),
        poses=ON_GROUND | AT_WALL,
        surface="plaster",
        wall="plaster",
        needs_scale=False,
        shade="leaves",
        light=1,
    ),
    SceneSet(
        name="linen",
        themes=("linen",),
        poses=ON_GROUND,
        surface="linen",
        wall="curtain",
        colour=(0.72, 0.67, 0.59),
        blur=0.006,
        max_m=0.75,
    ),
    SceneSet(
        name="concrete",
        themes=("concrete", "stone"),
        poses=ON_GROUND | AT_WALL,
        surface="concrete",
        wall="concrete",
        colour=(0.40, 0.395, 0.385),
        shade="blinds",
        blur=0.002,
        light=1,
    ),
    SceneSet(
        name="terrazzo",
        themes=("terrazzo", "stone"),
        poses=ON_GROUND,
        surface="terrazzo",
        wall="plaster",
        blur=0.005,
        max_m=2.2,
    ),
    SceneSet(
        name="marble top",
        themes=("marble", "stone"),
        poses=ON_GROUND,
        surface="marble",
        wall="plaster",
        shade="leaves",
        blur=0.006,
        max_m=0.9,
        light=1,
    ),
    SceneSet(
        name="wood, dark wall",
        themes=("wood", "dark"),
        poses=ON_GROUND,
        surface="walnut",
        wall="plaster",
        colour=(0.085, 0.105, 0.10),
        blur=0.008,
        light=1,
    ),
    SceneSet(
        name="arch",
        themes=("arch", "plaster"),
        poses=ON_GROUND,
        surface="plaster",
        wall="arch",
        max_m=1.5,
    ),
    SceneSet(
        name="two colours",
        themes=("block", "studio"),
        poses=ON_GROUND,
        surface="plaster",
        wall="cove",
        shade="window",
        needs_scale=False,
        light=1,
    ),
    SceneSet(
        name="studio with light through blinds",
        themes=("blinds", "studio", "window"),
        poses=ON_GROUND,
        shade="blinds",
        needs_scale=False,
    ),
    # seen from above
    SceneSet(
        name="wood from above", themes=("wood", "floor", "window", "kitchen"), poses=LYING, surface="oak"
    ),
    SceneSet(name="linen from above", themes=("linen",), poses=LYING, surface="linen", shade="window"),
    SceneSet(
        name="stone from above",
        themes=("marble", "stone", "kitchen"),
        poses=LYING,
        surface="marble",
        shade="leaves",
        light=1,
    ),
    SceneSet(
        name="colour from above",
        themes=("studio", "plain", "plinth", "shelf", "plaster"),
        poses=LYING,
        needs_scale=False,
        light=1,
    ),
    SceneSet(name="terrazzo from above", themes=("terrazzo", "stone"), poses=LYING, surface="terrazzo"),
    SceneSet(
        name="concrete from above",
        themes=("concrete", "gradient", "outdoor", "stone"),
        poses=LYING,
        surface="concrete",
        shade="blinds",
        needs_scale=False,
        light=1,
    ),
    # on a wall
    SceneSet(
        name="plaster wall, hung",
        themes=("plaster", "floor", "window"),
        poses=ON_WALL,
        wall="plaster",
        shade="window",
        needs_scale=False,
    ),
    SceneSet(
        name="coloured wall, hung",
        themes=("studio", "plain", "shelf"),
        poses=ON_WALL,
        wall="plaster",
        shade="leaves",
        needs_scale=False,
        light=1,
    ),
    SceneSet(
        name="concrete wall, hung",
        themes=("concrete", "stone"),
        poses=ON_WALL,
        wall="concrete",
        colour=(0.40, 0.395, 0.385),
        needs_scale=False,
    ),
    # cut off by the photo's frame
    SceneSet(name="backdrop", themes=("studio", "plain"), poses=CUT_OFF, needs_scale=False),
    SceneSet(
        name="backdrop with light",
        themes=("gradient",),
        poses=CUT_OFF,
        wall="spot",
        needs_scale=False,
        light=1,
    ),
    SceneSet(
        name="plaster backdrop",
        themes=("plaster", "stone", "window"),
        poses=CUT_OFF,
        wall="plaster",
        shade="leaves",
        blur=0.006,
        needs_scale=False,
    ),
)
