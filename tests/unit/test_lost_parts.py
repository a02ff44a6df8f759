"""Parts that a net lost on a plain background: a cable comes back, a shadow and a hand do not."""

import cv2
import numpy as np
import pytest

from worker.imaging.cutout import Cutout
from worker.imaging.lost_parts import restore_lost_parts

GROUND = 232


def scene(colour: tuple[int, int, int], *, blur: float = 0.8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a photo of a body with a thick cable of a colour, the mask of the body, and that of both."""
    rgb = np.full((800, 800, 3), GROUND, np.float32)
    cable, body = np.zeros((2, 800, 800), np.uint8)
    cv2.polylines(cable, [np.array([[400, 500], [520, 640], [700, 600]])], False, 1, 22)
    cv2.rectangle(body, (250, 200), (450, 520), 1, -1)
    soft = cv2.GaussianBlur(cable.astype(np.float32), (0, 0), blur)[..., None]
    rgb = rgb * (1 - soft) + np.array(colour, np.float32) * soft
    rgb[body > 0] = (60, 90, 150)
    noise = np.random.default_rng(1).normal(0, 1, rgb.shape)
    return np.clip(rgb + noise, 0, 255).astype(np.uint8), body * 255, np.maximum(body, cable) * 255


def restored(rgb: np.ndarray, mask: np.ndarray) -> Cutout:
    return restore_lost_parts(rgb, Cutout(rgb=rgb, alpha=mask, confidence=0.7, net="net.onnx", doubts=("x",)))


@pytest.mark.parametrize("colour", [(30, 30, 32), (40, 120, 60)])
def test_a_lost_cable_comes_back_with_its_colour(colour: tuple[int, int, int]) -> None:
    rgb, body, whole = scene(colour)
    found = restored(rgb, body)
    product = found.alpha > 127
    assert (product & (whole > 0)).sum() / (product | (whole > 0)).sum() > 0.97
    assert (found.confidence, found.net, found.doubts) == (0.7, "net.onnx", ("x",))
    assert np.abs(found.rgb[640, 520].astype(int) - colour).max() < 20


def test_shadows_hands_and_distant_things_stay_out() -> None:
    for colour, blur in (((60, 60, 60), 16.0), ((224, 172, 140), 0.8), ((140, 90, 65), 0.8)):
        rgb, body, _ = scene(colour, blur=blur)
        assert (restored(rgb, body).alpha == body).all(), colour
    rgb, body, _ = scene((GROUND, GROUND, GROUND))
    cv2.circle(rgb, (650, 300), 60, (30, 30, 30), -1)
    assert (restored(rgb, body).alpha == body).all()


def test_wooden_legs_come_back_although_wood_has_the_colours_of_skin() -> None:
    rgb, seat, whole = np.full((800, 800, 3), GROUND, np.float32), *np.zeros((2, 800, 800), np.uint8)
    cv2.rectangle(seat, (150, 250), (650, 400), 1, -1)
    for x in (180, 600):
        cv2.rectangle(whole, (x, 400), (x + 14, 640), 1, -1)
    rgb[cv2.GaussianBlur(whole.astype(np.float32), (0, 0), 0.8) > 0.5] = (140, 90, 65)
    rgb[seat > 0] = (60, 90, 150)
    found = restored(rgb.astype(np.uint8), seat * 255)
    expected = (whole | seat) > 0
    assert ((found.alpha > 127) & expected).sum() > 0.97 * expected.sum()


@pytest.mark.parametrize(("blur", "comes_back"), [(0.8, True), (5.0, False)])
def test_a_thin_short_leg_comes_back_if_its_edges_are_sharp(blur: float, comes_back: bool) -> None:
    rgb, seat, leg = np.full((800, 800, 3), GROUND, np.float32), *np.zeros((2, 800, 800), np.uint8)
    cv2.rectangle(seat, (80, 200), (720, 500), 1, -1)
    cv2.line(leg, (600, 500), (620, 560), 1, 8)
    soft = np.clip(cv2.GaussianBlur(leg.astype(np.float32), (0, 0), blur), 0, 1)[..., None]
    rgb = rgb * (1 - soft) + 30 * soft
    rgb[seat > 0] = (60, 90, 150)
    assert leg.sum() < 0.005 * seat.sum()
    found = restored(rgb.astype(np.uint8), seat * 255).alpha > 127
    only_leg = (leg > 0) & (seat == 0)
    assert (found & only_leg).sum() > 0.9 * only_leg.sum() if comes_back else (found == (seat > 0)).all()


def test_a_busy_background_gives_nothing_back() -> None:
    rgb, body, _ = scene((30, 30, 32))
    noise = np.random.default_rng(2).integers(0, 255, (20, 20, 3)).astype(np.uint8)
    busy = np.where(body[..., None] > 0, rgb, cv2.resize(noise, (800, 800), interpolation=cv2.INTER_NEAREST))
    assert (restored(busy, body).alpha == body).all()
    everything = np.full_like(body, 255)
    assert (restored(rgb, everything).alpha == 255).all()
