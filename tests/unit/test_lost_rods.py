"""Legs, antennas and wires that the cut-outs of a spin lost come back from lines that most frames share."""

import numpy as np
import pytest

from worker.capture import lost_rods
from worker.capture.background_plate import background_plate
from worker.capture.carving import Box
from worker.capture.drawn_cells import draw_cells
from worker.capture.frame_camera import FrameCamera, SpinRig
from worker.capture.lost_rods import RestoredMattes, with_lost_rods
from worker.capture.outline_stack import stack_outlines

FRAMES = 16
SIZE = (640, 480)
RIG = SpinRig(focal=1.6, elevation=0.2, yaw=0.0, roll=0.0, direction=1, frame_count=FRAMES, size_px=SIZE)
BOUNDS: Box = (np.array([-0.3, -0.5, -0.3]), np.array([0.3, 0.1, 0.3]))
GREY, BODY, DARK = 200, 120, 50
TOP = -0.15  # of the body, in the coordinates of the rig
Points = np.ndarray


def box(low: tuple[float, float, float], high: tuple[float, float, float], step: float = 0.004) -> Points:
    """Return points in a box, one every step along each axis."""
    axes = [np.arange(a, b + step / 4, step) for a, b in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3).astype(np.float32)


BODY_POINTS = box((-0.12, TOP - 0.05, -0.08), (0.12, TOP, 0.08))
LEGS = np.vstack(
    [
        box((x, TOP - 0.13, z), (x, TOP - 0.05, z), 0.001)
        for x, z in ((-0.1, 0.02), (0.03, -0.06), (0.09, 0.06))
    ]
)


@pytest.fixture(autouse=True)
def _coarse_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use cells as coarse, beside a leg, as those of a real spin are."""
    monkeypatch.setattr(lost_rods, "CELLS", 300_000)


def scene(dark: Points, *, turns: bool = True) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the pictures and the mattes of a spin: the body is cut out, dark points are not.

    Args:
        dark: (n, 3) points that are drawn dark.
        turns: Whether they turn with the body.
    """
    pictures, alphas = [], []
    # a soft shadow below the product, the same in all frames
    rows, columns = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    shadow = 60 * np.exp(-(((rows - 380) / 80) ** 2) - ((columns - 320) / 160) ** 2)
    for camera in RIG.cameras():
        picture = (GREY - shadow).astype(np.uint8)
        picture[drawn(dark, camera if turns else RIG.camera(0))] = DARK
        body = drawn(BODY_POINTS, camera, radius=3)
        picture[body] = BODY
        pictures.append(np.repeat(picture[..., None], 3, 2))
        alphas.append(body.astype(np.uint8) * 255)
    return pictures, alphas


def drawn(points: Points, camera: FrameCamera, radius: int = 1) -> np.ndarray:
    """Return where points are in a frame, (h, w), each as a square of so many pixels around."""
    return draw_cells(points, camera, radius, SIZE[::-1])


def restored(pictures: list[np.ndarray], alphas: list[np.ndarray]) -> RestoredMattes | None:
    """Return the restored mattes of frames whose cameras are known."""
    plate = background_plate(pictures, alphas)
    return with_lost_rods(pictures, alphas, plate, RIG.cameras(), stack_outlines(alphas, 256), BOUNDS)


def test_legs_that_every_cut_out_lost_come_back() -> None:
    pictures, alphas = scene(LEGS)
    found = restored(pictures, alphas)
    assert found is not None
    shares = []
    for alpha, whole, camera in zip(alphas, found.whole, RIG.cameras(), strict=True):
        legs = drawn(LEGS, camera) & (alpha == 0)
        shares.append((whole[legs] > 127).mean())
        assert ((whole > alpha) & ~legs).sum() < 0.1 * legs.sum()
    assert np.mean(shares) > 0.9
    assert min(shares) > 0.5  # two legs beside each other are no line


def test_rods_are_widened_for_carving_alone() -> None:
    found = restored(*scene(LEGS))
    assert found is not None
    for whole, widened in zip(found.whole, found.widened, strict=True):
        assert (widened >= whole).all()
        assert (widened > 127).sum() > (whole > 127).sum()


def test_a_leg_that_some_cut_outs_have_comes_back_in_the_others() -> None:
    pictures, alphas = scene(LEGS)
    for number in range(0, FRAMES, 2):
        alphas[number] = np.maximum(alphas[number], drawn(LEGS, RIG.camera(number)) * np.uint8(255))
    found = restored(pictures, alphas)
    assert found is not None
    legs = drawn(LEGS, RIG.camera(1)) & (alphas[1] == 0)
    assert (found.whole[1][legs] > 127).mean() > 0.8


@pytest.mark.parametrize(
    ("dark", "turns"),
    [
        pytest.param(LEGS, False, id="a line of the room, which stands still"),
        pytest.param(
            box((-0.25, TOP - 0.055, 0), (0.25, TOP - 0.055, 0), 0.001), True, id="a mark on the turntable"
        ),
        pytest.param(LEGS[:0], True, id="nothing"),
    ],
)
def test_other_lines_are_no_rods(dark: Points, turns: bool) -> None:
    assert restored(*scene(dark, turns=turns)) is None
