"""The colour of a backdrop that suits a product: muted, and clearly lighter or darker than the product."""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.cutout import Cutout
from worker.imaging.linear_light import parse_color, to_linear

F32 = NDArray[np.float32]
Colour = tuple[float, float, float]

# Muted colours of studio papers and wall paints.
PAPERS = (
    "#d9c9b4",  # sand
    "#b7c0ab",  # sage
    "#c99a80",  # clay
    "#a7b6c2",  # dusty blue
    "#e2c6ba",  # blush
    "#cdc9c2",  # stone
    "#e8d6b6",  # straw
    "#8e9aa1",  # slate
    "#e6ded1",  # chalk
    "#8f9d86",  # olive
    "#b9a9b5",  # mauve
    "#6f7f80",  # petrol grey
)
SAMPLE_PX = 64
MIN_CONTRAST = 17.0  # of L*: between product and backdrop
PALE_L = 78.0  # of L*: a paper that suits tiles
BEST = 4  # how many of the best papers are used
SHINE_SHARE, SHADE_SHARE = 0.9, 0.1  # quantiles of the product's lightness


def suiting_colour(cutout: Cutout, number: int, *, is_pale: bool = False) -> Colour:
    """Return the linear colour of a paper that suits the product; neighbouring numbers give different ones.

    Args:
        cutout: The product.
        number: Chooses among the best, one after the other.
        is_pale: Only pale papers.
    """
    lab = _product_lab(cutout)
    papers = [(code, _lab(code)) for code in PAPERS]
    chosen = [paper for paper in papers if not is_pale or paper[1][0] >= PALE_L]
    order = sorted(chosen, key=lambda paper: -_score(paper[1], lab))
    return linear_of(order[number % min(BEST, len(order))][0])


def linear_of(code: str) -> Colour:
    """Return `#rrggbb` as linear colour."""
    red, green, blue = to_linear(np.array([[parse_color(code)]], np.uint8))[0, 0]
    return float(red), float(green), float(blue)


def _score(paper: F32, lab: F32) -> float:
    """Return how well a paper suits a product: contrast to all of it, and a related or neutral hue."""
    # the rim of the product is what the eye separates from the paper
    close = float((np.abs(lab[:, 0] - paper[0]) < MIN_CONTRAST).mean())
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    colourful = lab[chroma > 14]
    mean = colourful.mean(0) if len(colourful) > 0.08 * len(lab) else np.array([0.0, 0.0, 0.0])
    hue = float(np.dot(paper[1:], mean[1:]) / (np.hypot(*paper[1:]) * np.hypot(*mean[1:]) + 60))
    same_colour = float((np.linalg.norm(lab - paper, axis=1) < 16).mean())
    return -1.6 * close - 2.0 * same_colour + 0.35 * hue + 0.004 * float(paper[0])


def _product_lab(cutout: Cutout) -> F32:
    left, top, right, bottom = cutout.box
    region = slice(max(0, top), bottom), slice(max(0, left), right)
    size = (SAMPLE_PX, SAMPLE_PX)
    rgb = cv2.resize(np.ascontiguousarray(cutout.rgb[region]), size, interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(np.ascontiguousarray(cutout.alpha[region]), size, interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    chosen = lab[alpha > 127]
    return np.asarray(chosen if len(chosen) else lab.reshape(-1, 3), np.float32)


def _lab(code: str) -> F32:
    rgb = np.array([[parse_color(code)]], np.float32) / 255
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0, 0], np.float32)
