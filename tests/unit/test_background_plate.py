"""The background of a spin: what a cut-out lost comes back, and shadows do not."""

import cv2
import numpy as np

from worker.capture.background_plate import background_plate, with_lost_parts

COUNT, HEIGHT, WIDTH = 12, 192, 256
GROUND, WHITE, BROWN, BLACK = (200, 198, 194), (245, 245, 245), (128, 84, 60), (20, 20, 20)
BODY = slice(90, 140)  # rows


def columns(number: int) -> slice:
    """Return the columns of the product in a frame; it moves, so that each place is seen empty."""
    left = 20 + 14 * number
    return slice(left, left + 40)


def frames(part: tuple[slice, slice], colour: tuple[int, int, int], blur: float = 0) -> list[np.ndarray]:
    """Return frames of a white body with a part at rows and columns counted from the body's left side."""
    found = []
    for number in range(COUNT):
        rows, across = part
        left = columns(number).start
        picture = np.full((HEIGHT, WIDTH, 3), GROUND, np.uint8)
        picture[rows, left + across.start : left + across.stop] = colour
        if blur:
            picture = cv2.GaussianBlur(picture, (0, 0), blur)
        picture[BODY, columns(number)] = WHITE
        found.append(picture)
    return found


def bodies() -> list[np.ndarray]:
    """Return mattes that have the body alone."""
    mattes = [np.zeros((HEIGHT, WIDTH), np.uint8) for _ in range(COUNT)]
    for number, matte in enumerate(mattes):
        matte[BODY, columns(number)] = 255
    return mattes


def added(pictures: list[np.ndarray]) -> list[int]:
    """Return how many pixels came back in each frame."""
    found = with_lost_parts(bodies(), background_plate(pictures, bodies()))
    pairs = zip(found, bodies(), strict=True)
    return [int((after > 127).sum() - (before > 127).sum()) for after, before in pairs]


def test_a_board_that_all_cut_outs_lost_comes_back() -> None:
    board = slice(60, 90), slice(0, 40)
    assert min(added(frames(board, BROWN))) > 0.9 * 30 * 40


def test_a_black_leg_comes_back_and_a_soft_shadow_does_not() -> None:
    leg = slice(140, 170), slice(4, 9)
    assert min(added(frames(leg, BLACK))) > 0.8 * 30 * 5
    shadow = slice(140, 152), slice(-6, 46)
    assert added(frames(shadow, (90, 89, 87), blur=5)) == [0] * COUNT


def test_what_lies_apart_from_the_product_does_not_come_back() -> None:
    rim_of_a_disc = slice(180, 184), slice(-10, 50)
    assert added(frames(rim_of_a_disc, BLACK)) == [0] * COUNT
