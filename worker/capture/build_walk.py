"""Building of a textured mesh from the photos of a walk around the product."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.product import Dimensions
from dam_connector.errors import InputError
from worker.capture.captured_model import (
    CARVING_PX,
    CaptureEvidence,
    captured_surface,
    judge,
    median_intricacy,
    textured_product,
)
from worker.capture.carving import Box
from worker.capture.facing import find_yaw
from worker.capture.frame_camera import FrameCamera
from worker.capture.frames import CapturedFrame
from worker.capture.ground import faced
from worker.capture.outline_agreement import agreeing_outlines, held_out_agreement
from worker.capture.outline_stack import stack_outlines
from worker.capture.photo_placing import place_photos
from worker.capture.placed_photos import PlacedPhotos
from worker.capture.placing import place
from worker.capture.settled_walk import SettledWalk, explained_photos, foretold_outlines, settle_walk
from worker.capture.walk_mattes import (
    is_cut_off,
    matte_stack,
    mended_mattes,
    on_one_canvas,
    plain_mattes,
    without_other_things,
)
from worker.modeling.build import ModelBuild

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

MIN_USABLE = 8  # outlines that agree
MIN_USABLE_SHARE = 0.65  # of the placed photos
MAX_STRETCH = 0.3  # between the axes, to reach the record's dimensions: more is another form
MIN_COVERAGE = 0.75  # of the outlines by the hull
MIN_HELD_OUT = 0.8  # of outlines with a hull without them: below it, thin parts are in pieces
ENOUGH_EXPLAINED = 0.8  # of the photos by the mended mattes: then others are not tried
NEARLY_ALL_EXPLAINED = 0.9  # of as many photos as the best mattes explain: less is worse
BLURRED_SHARE = 0.5  # of the usual sharpness: less is too blurred for the texture
CONTRADICTING = (
    "The outlines of the photos contradict each other. More light, a plain ground around the product, or a "
    "provider would help."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkBuild:
    """A model from a walk, with what became of the photos."""

    built: ModelBuild
    used: tuple[str, ...]  # names of the photos whose outlines count
    left_out: dict[str, str] = field(default_factory=dict)  # the reason by the name of the photo


def build_from_walk(
    photos: Sequence[CapturedFrame],
    dimensions: Dimensions,
    description: str,
    *,
    max_triangles: int,
    texture_px: int,
) -> WalkBuild:
    """Build a watertight textured mesh of the product's true size.

    Args:
        photos: All around the product, which stands still on a level ground; the first shows the front.
        dimensions: The product's dimensions as far as they are known.
        description: The product's name, category and material.
        max_triangles: The budget of the mesh.
        texture_px: The longest side of the texture.

    Raises:
        InputError: capture.walk_extra, capture.not_placed, capture.no_ground, capture.no_outline.
    """
    return build_from_placed(
        photos,
        place_photos(photos),
        dimensions,
        description,
        max_triangles=max_triangles,
        texture_px=texture_px,
    )


def build_from_placed(
    photos: Sequence[CapturedFrame],
    placed: PlacedPhotos,
    dimensions: Dimensions,
    description: str,
    *,
    max_triangles: int,
    texture_px: int,
) -> WalkBuild:
    """Build a mesh from photos whose cameras are known, as `build_from_walk` does.

    Mending finds parts that cut-outs lost, and votes on the ground. Where its mattes do not explain one
    product of the record's proportions, those without it, and those that keep the ground, are compared with
    them. The best ones count, and the others where these are refused.
    """
    walk = settle_walk(photos, placed)
    mattes = walk.mattes
    pictures = {n: photo.picture for n, photo in walk.cut.items()}

    def built_of(mattes: dict[int, U8]) -> WalkBuild:
        cut = {n: replace(photo, alpha=mattes[n]) for n, photo in walk.cut.items()}
        scene = _Scene(photos=photos, placed=placed, walk=replace(walk, cut=cut))
        return _build(scene, dimensions, description, max_triangles=max_triangles, texture_px=texture_px)

    ways = [mended_mattes(pictures, walk.cameras, mattes, walk.bounds)]
    if explained_photos(walk, ways[0], dimensions) < ENOUGH_EXPLAINED * len(walk.cameras):
        ways.append(plain_mattes(pictures, walk.cameras, mattes, walk.bounds))
        ways.append(without_other_things(mattes, walk.cameras, walk.bounds))
        ways = best_first(walk, ways, dimensions)
    refusals = []
    for way in ways:
        try:
            return built_of(way)
        except InputError as error:
            refusals.append(error)
    raise refusals[0]


def best_first(walk: SettledWalk, ways: list[dict[int, U8]], dimensions: Dimensions) -> list[dict[int, U8]]:
    """Return mattes of the same photos in the order in which they count.

    Those that explain far fewer photos than others come last. Among the rest, those whose outlines a hull
    foretells that was carved without them: wrong ones may agree with a hull that they carved.
    """
    explained = [explained_photos(walk, way, dimensions) for way in ways]
    foretold = [foretold_outlines(walk, way) for way in ways]
    least = NEARLY_ALL_EXPLAINED * max(explained)
    order = sorted(range(len(ways)), key=lambda n: (explained[n] < least, -foretold[n]))
    return [ways[n] for n in order]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """The photos of a walk, all and those with cameras."""

    photos: Sequence[CapturedFrame]  # all, also those that are not placed
    placed: PlacedPhotos
    walk: SettledWalk  # the placed ones


def _build(
    scene: _Scene, dimensions: Dimensions, description: str, *, max_triangles: int, texture_px: int
) -> WalkBuild:
    """Build a mesh from photos that are cut out.

    Raises:
        InputError: capture.no_outline.
    """
    mattes, bounds = scene.walk.mattes, scene.walk.bounds
    whole = {n: camera for n, camera in scene.walk.cameras.items() if not is_cut_off(mattes[n])}
    numbers = {n: row for row, n in enumerate(scene.walk.cut)}  # of the stack
    listed = list(scene.walk.cameras.values())
    _check_agreeing(len(whole), len(listed))
    agreeing, found, points = agreeing_outlines(bounds, listed, matte_stack(mattes, whole))
    _check_agreeing(len(agreeing.numbers), len(listed))
    listed = list(faced(dict(enumerate(listed)), find_yaw(points, dimensions)).values())
    photo_rows = list(scene.walk.cut.values())
    used = [photo_rows[row] for row in agreeing.numbers]
    fine = replace(stack_outlines(on_one_canvas(list(mattes.values())), CARVING_PX), numbers=agreeing.numbers)
    surface, faces, coverage = captured_surface(
        fine, listed, around_axis(bounds), dimensions, max_triangles, is_on_ground=True
    )
    if coverage < MIN_COVERAGE:
        raise _no_outline(f"{coverage * 100:.0f} % of the outlines", f"{MIN_COVERAGE * 100:.0f} %")
    stretch = place(surface, dimensions).stretch
    if stretch > MAX_STRETCH:
        raise _no_outline(f"proportions off by {stretch * 100:.0f} %", f"{MAX_STRETCH * 100:.0f} %")
    held_out = held_out_agreement(around_axis(bounds), listed, fine)
    _check_held_out(held_out)
    evidence = CaptureEvidence(
        coverage=coverage,
        intricacy=median_intricacy([photo.alpha for photo in used]),
        held_out=held_out,
    )
    coloured = sharp_photos([(photo_rows[row], listed[row]) for row in agreeing.numbers])
    mesh, placement = textured_product(
        surface, faces, coloured, dimensions, description, texture_px, is_room_lit=True
    )
    confidence, issues = judge(evidence, placement, CONTRADICTING)
    built = ModelBuild(
        model=mesh, family="walk", confidence=confidence, issues=tuple(issues), actual_views={}
    )
    reasons = {
        photo.name: _reason(n, scene.placed, whole, found.get(numbers.get(n, -1)))
        for n, photo in enumerate(scene.photos)
        if numbers.get(n, -1) not in agreeing.numbers
    }
    return WalkBuild(built=built, used=tuple(photo.name for photo in used), left_out=reasons)


def around_axis(bounds: Box) -> Box:
    """Return a box that holds another one however that is turned about Y."""
    factor = np.array([np.sqrt(2), 1, np.sqrt(2)])
    return bounds[0] * factor, bounds[1] * factor


def sharp_photos(used: list[tuple[CapturedFrame, FrameCamera]]) -> list[tuple[CapturedFrame, FrameCamera]]:
    """Return the photos without those that are much more blurred than usual."""
    sharpness = [_sharpness(photo) for photo, _ in used]
    limit = BLURRED_SHARE * float(np.median(sharpness))
    return [pair for pair, value in zip(used, sharpness, strict=True) if value >= limit]


def _sharpness(photo: CapturedFrame) -> float:
    """Return the variance of the second derivative within the product."""
    grey = cv2.cvtColor(photo.picture, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F)[photo.alpha > 127].var())


def _check_agreeing(agreeing: int, placed: int) -> None:
    least = max(MIN_USABLE, round(MIN_USABLE_SHARE * placed))
    if agreeing < least:
        raise _no_outline(f"{agreeing} of {placed} photos agree", str(least))


def _check_held_out(held_out: float) -> None:
    if held_out < MIN_HELD_OUT:
        raise _no_outline(
            f"outlines agree by {held_out * 100:.0f} % with the others", f"{MIN_HELD_OUT * 100:.0f} %"
        )


def _no_outline(measured: str, limit: str) -> InputError:
    return InputError(
        "capture.no_outline",
        "The outlines of the product in the photos do not fit one product.",
        measured=measured,
        limit=limit,
    )


def _reason(number: int, placed: PlacedPhotos, whole: dict[int, FrameCamera], agreement: float | None) -> str:
    """Return why a photo does not count, for people."""
    if number not in placed.cameras:
        return (
            "It does not fit together with the others: it may be blurred, or show too little of the ground."
        )
    if number not in whole:
        return "The product is not found, or cut off by the border."
    return f"Its outline agrees by {100 * (agreement or 0):.0f} % with what the others show."
