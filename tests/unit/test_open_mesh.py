"""Meshes: between strings the ground shows, and nothing else of a product is opened."""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.cutout import Cutout
from worker.imaging.open_mesh import open_mesh

U8 = NDArray[np.uint8]
DISC = cv2.circle(np.zeros((800, 800), np.uint8), (400, 400), 250, 1, -1)
INNER = cv2.circle(np.zeros((800, 800), np.uint8), (400, 400), 220, 1, -1)


def racquet(step: int, width: int = 4) -> tuple[U8, U8]:
    """A frame with dark strings on grey ground with grain, and its true mask, 0 or 1."""
    strings = np.zeros((800, 800), np.uint8)
    for offset in range(0, 800, step):
        strings[offset : offset + width] = strings[:, offset : offset + width] = 1
    true = np.where(INNER > 0, strings, DISC)
    rgb = np.where(true[..., None] > 0, (70, 60, 90), (212, 211, 208)).astype(np.float32)
    rgb += np.random.default_rng(1).normal(0, 1.5, (800, 800, 1))
    return np.asarray(np.clip(rgb, 0, 255), np.uint8), np.asarray(true, np.uint8)


def cut(rgb: U8) -> Cutout:
    return Cutout(
        rgb=rgb, alpha=np.asarray(DISC * 255, np.uint8), confidence=0.4, net="a.onnx", doubts=("b",)
    )


def test_a_filled_mesh_is_opened_at_the_photos_own_size() -> None:
    rgb, true = racquet(step=26)
    opened = open_mesh(rgb, cut(rgb))
    mask = opened.alpha > 127
    assert (mask & (true > 0)).sum() / (mask | (true > 0)).sum() > 0.97
    assert (opened.net, opened.doubts, opened.confidence) == ("a.onnx", ("b",), 0.4)


def test_a_few_pale_places_or_one_large_one_are_no_mesh() -> None:
    """A white label, or printed dots of the ground's colour, stay product."""
    rgb, _ = racquet(step=26)
    label = np.where(DISC[..., None] > 0, np.uint8(70), rgb)
    label[330:470, 300:500] = 211
    found = cut(np.asarray(label, np.uint8))
    assert open_mesh(found.rgb, found) is found
    dots = np.where(DISC[..., None] > 0, np.uint8(70), rgb)
    dots[390:410, 200:600:40] = 211
    found = cut(np.asarray(dots, np.uint8))
    assert open_mesh(found.rgb, found) is found
