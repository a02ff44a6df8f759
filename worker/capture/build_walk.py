"""Building of a textured mesh from the photos of a walk around the product."""

from collections.abc import Collection, Sequence
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
from worker.capture.ground import faced, find_ground, product_middle, settle_cameras
from worker.capture.ground_plate import (
    cells_in_photo,
    ground_in_matte,
    ground_in_photo,
    ground_share,
    make_plate,
    without_ground,
)
from worker.capture.outline_agreement import agreeing_outlines
from worker.capture.outline_stack import OutlineStack, stack_outlines
from worker.capture.photo_placing import PlacedPhotos, place_photos, straightened
from worker.capture.placing import place
from worker.capture.thin_parts import find_thin_parts, with_thin_parts
from worker.modeling.build import ModelBuild

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

AGREEING_PX = 256  # longer side of the outlines that are compared with the hull
MAX_PLACING_ERROR_PX = 2.0  # of photos of MAX_FRAME_PX
MIN_USABLE = 8  # outlines that agree
MIN_USABLE_SHARE = 0.65  # of the placed photos
MAX_STRETCH = 0.3  # between the axes, to reach the record's dimensions: more is another form
MIN_COVERAGE = 0.75  # of the outlines by the hull
MAX_CUT_SHARE = 0.02  # of an outline's length that may be at the border of the photo
PART_ALPHA = 20  # of a matte, from which on a place belongs to a part
GROUND_ROUNDS = 2  # the less ground is in the mattes, the better is known what is in front of it
LOW_SHARE = 0.2  # of the product's height, below which its mattes may have ground in them
MIN_GROUND_SHARE = 0.6  # of the photos that see a low place: fewer that take it for ground are mistaken
UPPER_CELLS = 200_000  # in the product's box, from which the upper part is drawn
REACH_FACTOR = 1.3  # of the product's usual reach in the photos
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

    Mending finds parts that cut-outs lost, and takes more of the ground off. Where its mattes do not explain
    one product, e.g. a cabinet on a rug, those without it are tried.
    """
    straight = {
        n: straightened(photos[n], camera, placed.distortions[n]) for n, camera in placed.cameras.items()
    }
    mattes = {n: photo.alpha for n, photo in straight.items()}
    found_in = {n: camera for n, camera in placed.cameras.items() if (mattes[n] > 127).any()}
    middle = product_middle(found_in, mattes)
    cameras = settle_cameras(placed.cameras, middle, find_ground(placed, mattes, middle))
    bounds = product_bounds({n: cameras[n] for n in found_in}, mattes)
    pictures = {n: photo.picture for n, photo in straight.items()}

    def built_of(mattes: dict[int, U8]) -> WalkBuild:
        cut = {n: replace(photo, alpha=mattes[n]) for n, photo in straight.items()}
        scene = _Scene(photos=photos, placed=placed, cut=cut, cameras=cameras, bounds=bounds)
        return _build(scene, dimensions, description, max_triangles=max_triangles, texture_px=texture_px)

    try:
        return built_of(mended_mattes(pictures, cameras, mattes, bounds))
    except InputError as error:
        try:
            return built_of(plain_mattes(pictures, cameras, mattes, bounds))
        except InputError:
            raise error from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """The photos of a walk with their cameras, above the ground."""

    photos: Sequence[CapturedFrame]  # all, also those that are not placed
    placed: PlacedPhotos
    cut: dict[int, CapturedFrame]  # the placed ones, cut out, by number
    cameras: dict[int, FrameCamera]
    bounds: Box  # of the product


def _build(
    scene: _Scene, dimensions: Dimensions, description: str, *, max_triangles: int, texture_px: int
) -> WalkBuild:
    """Build a mesh from photos that are cut out.

    Raises:
        InputError: capture.no_outline.
    """
    mattes, bounds = {n: photo.alpha for n, photo in scene.cut.items()}, scene.bounds
    whole = {n: camera for n, camera in scene.cameras.items() if not is_cut_off(mattes[n])}
    numbers = {n: row for row, n in enumerate(scene.cut)}  # of the stack
    listed = list(scene.cameras.values())
    _check_agreeing(len(whole), len(listed))
    agreeing, found, points = agreeing_outlines(bounds, listed, _stack(mattes, whole))
    _check_agreeing(len(agreeing.numbers), len(listed))
    listed = list(faced(dict(enumerate(listed)), find_yaw(points, dimensions)).values())
    photo_rows = list(scene.cut.values())
    used = [photo_rows[row] for row in agreeing.numbers]
    fine = replace(
        stack_outlines(_on_one_canvas(list(mattes.values())), CARVING_PX), numbers=agreeing.numbers
    )
    surface, faces, coverage = captured_surface(
        fine, listed, around_axis(bounds), dimensions, max_triangles, is_on_ground=True
    )
    if coverage < MIN_COVERAGE:
        raise _no_outline(f"{coverage * 100:.0f} % of the outlines", f"{MIN_COVERAGE * 100:.0f} %")
    stretch = place(surface, dimensions).stretch
    if stretch > MAX_STRETCH:
        raise _no_outline(f"proportions off by {stretch * 100:.0f} %", f"{MAX_STRETCH * 100:.0f} %")
    evidence = CaptureEvidence(
        camera_doubt=scene.placed.error_px / MAX_PLACING_ERROR_PX,
        coverage=coverage,
        frame_count=len(used),
        intricacy=median_intricacy([photo.alpha for photo in used]),
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


def mended_mattes(
    pictures: dict[int, U8], cameras: dict[int, FrameCamera], mattes: dict[int, U8], bounds: Box
) -> dict[int, U8]:
    """Return the mattes without ground and other things, and with the thin parts that they lost."""
    for _ in range(GROUND_ROUNDS):
        mattes, grounds = off_the_ground(pictures, cameras, mattes, bounds)
    outlines = _stack(mattes, [n for n, matte in mattes.items() if (matte > 127).any()])
    parts = find_thin_parts(bounds, list(cameras.values()), outlines)
    return without_other_things(with_thin_parts(mattes, cameras, grounds, parts), cameras, bounds)


def plain_mattes(
    pictures: dict[int, U8], cameras: dict[int, FrameCamera], mattes: dict[int, U8], bounds: Box
) -> dict[int, U8]:
    """Return the mattes without places that look like the ground in each photo by itself."""
    for _ in range(GROUND_ROUNDS):
        mattes, _unused = off_the_ground(pictures, cameras, mattes, bounds, is_voted=False)
    return mattes


def off_the_ground(
    pictures: dict[int, U8],
    cameras: dict[int, FrameCamera],
    mattes: dict[int, U8],
    bounds: Box,
    *,
    is_voted: bool = True,
) -> tuple[dict[int, U8], dict[int, Mask]]:
    """Return the mattes without rugs and shadows, which lie on the ground, and where photos look like it.

    With `is_voted`, what most photos show in front of the ground stays in all of them.
    """
    outlines = _stack(mattes, [n for n, matte in mattes.items() if (matte > 127).any()])
    _, _, points = agreeing_outlines(bounds, list(cameras.values()), outlines, is_excess_wrong=False)
    if not len(points):
        return mattes, {n: np.zeros(matte.shape, bool) for n, matte in mattes.items()}
    upper = points[points[:, 1] > LOW_SHARE * float(points[:, 1].max())]
    step = _cell_size(points)
    in_front = {
        n: cells_in_photo(upper, step, camera, mattes[n].shape[::-1]) for n, camera in cameras.items()
    }
    plate = make_plate(pictures, cameras, mattes, in_front, float(bounds[1][0]))
    grounds = {n: ground_in_photo(plate, n, pictures[n], camera) for n, camera in cameras.items()}
    taken = {n: ground_in_matte(mattes[n], grounds[n], in_front[n]) for n in cameras}
    low = points[points[:, 1] <= LOW_SHARE * float(points[:, 1].max())]
    is_product = ground_share(low, cameras, taken, in_front) < MIN_GROUND_SHARE
    low_product = low[is_product & is_voted]
    clean = {
        n: without_ground(
            mattes[n], taken[n], cells_in_photo(low_product, step, camera, mattes[n].shape[::-1])
        )
        for n, camera in cameras.items()
    }
    return clean, grounds


def without_other_things(
    mattes: dict[int, U8], cameras: dict[int, FrameCamera], bounds: Box
) -> dict[int, U8]:
    """Return the mattes without parts that touch nothing of the common hull.

    A cut-out often has a piece of a rug or of the furniture behind. It carves nothing away, so the photo is
    as good as any other without it.
    """
    outlines = _stack(mattes, [n for n, matte in mattes.items() if (matte > 127).any()])
    _, _, points = agreeing_outlines(bounds, list(cameras.values()), outlines, is_excess_wrong=False)
    if not len(points):
        return mattes
    step, found = _cell_size(points), {}
    for n, camera in cameras.items():
        shown = cells_in_photo(points, step, camera, mattes[n].shape[::-1])
        small = cv2.resize(mattes[n], shown.shape[::-1], interpolation=cv2.INTER_AREA)
        count, labels = cv2.connectedComponents((small > PART_ALPHA).astype(np.uint8), connectivity=8)
        is_other = ~np.isin(np.arange(count), labels[shown])
        is_other[0] = False
        off = is_other[labels].astype(np.uint8) * np.uint8(255)
        found[n] = cv2.min(mattes[n], 255 - cv2.resize(off, mattes[n].shape[::-1]))
    return found


def _cell_size(points: F32) -> float:
    """Return the size of cells, (n, 3), of which UPPER_CELLS fill their box."""
    return float((np.ptp(points, axis=0).prod() / UPPER_CELLS) ** (1 / 3))


def _stack(mattes: dict[int, U8], counted: Collection[int]) -> OutlineStack:
    """Return the outlines in the order of the mattes; those of some photos count."""
    stack = stack_outlines(_on_one_canvas(list(mattes.values())), AGREEING_PX)
    return replace(stack, numbers=tuple(row for row, n in enumerate(mattes) if n in counted))


def is_cut_off(matte: U8) -> bool:
    """Return whether the product reaches beyond the photo."""
    inside = matte > 127
    border = inside[0].sum() + inside[-1].sum() + inside[:, 0].sum() + inside[:, -1].sum()
    length = np.sqrt(float(inside.sum())) * 4
    return not inside.any() or float(border) > MAX_CUT_SHARE * length


def product_bounds(cameras: dict[int, FrameCamera], mattes: dict[int, U8]) -> Box:
    """Return a box around the product, whose middle is above the origin."""
    reaches, heights = [], []
    for number, camera in cameras.items():
        rows, columns = np.nonzero(mattes[number] > 127)
        eye = camera.eye
        corners = np.array([[columns.min(), rows.min()], [columns.max() + 1, rows.min()]], float)
        across = np.abs(corners[:, 0] - float(camera.to_pixels(np.zeros((1, 3), np.float32))[0, 0])).max()
        reaches.append(across / camera.focal_px * float(np.linalg.norm(eye)))
        rays = camera.ray_directions(corners)
        level = np.linalg.norm(rays[:, [0, 2]], axis=1)
        heights.append(float((eye[1] + rays[:, 1] / level * np.hypot(eye[0], eye[2])).max()))
    reach = min(0.9, REACH_FACTOR * float(np.median(reaches)))
    height = min(1.5, max(0.02, REACH_FACTOR * float(np.median(heights))))
    return np.array([-reach, 0.0, -reach]), np.array([reach, height, reach])


def around_axis(bounds: Box) -> Box:
    """Return a box that holds another one however that is turned about Y."""
    factor = np.array([np.sqrt(2), 1, np.sqrt(2)])
    return bounds[0] * factor, bounds[1] * factor


def _on_one_canvas(mattes: list[U8]) -> list[U8]:
    """Return mattes with empty margins at the right and below, so that they are of one size."""
    height, width = (max(matte.shape[axis] for matte in mattes) for axis in (0, 1))
    return [np.pad(matte, ((0, height - matte.shape[0]), (0, width - matte.shape[1]))) for matte in mattes]


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
