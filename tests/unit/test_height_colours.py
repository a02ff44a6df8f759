"""Colours of what no photo shows: mixed with what photos show at the same height."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dam_connector.domain.product import View
from tests.unit.masks import build, cutout_of
from worker.modeling.textured_mesh import TexturedMesh

PX, RIM_PX = 200, 16
DARK, LIGHT, LOW = (40, 40, 40), (200, 200, 200), (40, 140, 60)


def front_of_a_cabinet() -> TexturedMesh:
    """A light door above a green one, between dark posts, from its front alone; .5 x .5 x .5 m."""
    cutout = cutout_of(np.ones((PX, PX), np.uint8))
    rgb = np.full((PX, PX, 3), LIGHT, np.uint8)
    rgb[PX // 2 :] = LOW
    rgb[:, :RIM_PX] = rgb[:, -RIM_PX:] = DARK
    margin = (cutout.alpha.shape[0] - PX) // 2
    rgb = np.pad(rgb, ((margin, margin), (margin, margin), (0, 0)), "edge")
    return build({View.FRONT: replace(cutout, rgb=rgb)}, 0.5, 0.5, 0.5).model


@pytest.fixture(scope="module")
def cabinet() -> TexturedMesh:
    return front_of_a_cabinet()


def colours_at(
    model: TexturedMesh, side: tuple[int, int, int], low: float, high: float
) -> tuple[np.ndarray, np.ndarray]:
    """The texels of what faces a side between two heights, (n, 3), and where they are, (n, 3) metres."""
    picture = np.asarray(Image.open(io.BytesIO(model.texture or b"")), np.float32)
    corners = model.faces[model.normals[model.faces].mean(1) @ np.array(side) > 0.9]
    shares = np.random.default_rng(1).dirichlet((1, 1, 1), (len(corners), 200)).astype(np.float32)
    at = np.einsum("fsk,fkd->fsd", shares, model.positions[corners]).reshape(-1, 3)
    texels = np.einsum("fsk,fkd->fsd", shares, model.uvs[corners]).reshape(-1, 2) * picture.shape[1::-1]
    inside = (at[:, 1] > low) & (at[:, 1] < high)
    x, y = texels[inside].astype(int).T
    return picture[y, x], at[inside]


@pytest.mark.parametrize("side", [(1, 0, 0), (-1, 0, 0)])
def test_a_side_is_not_stretched_from_the_rim_of_the_front(
    cabinet: TexturedMesh, side: tuple[int, int, int]
) -> None:
    upper, _ = colours_at(cabinet, side, 0.32, 0.43)
    lower, _ = colours_at(cabinet, side, 0.07, 0.18)
    front, _ = colours_at(cabinet, (0, 0, 1), 0.32, 0.43)
    assert np.median(upper) > 0.7 * np.median(front)  # the posts alone have a fifth
    assert (np.median(lower, axis=0) @ [-1, 2, -1]) > 30  # green, as the door beside it


def test_what_the_photo_shows_stays(cabinet: TexturedMesh) -> None:
    colours, at = colours_at(cabinet, (0, 0, 1), 0.3, 0.45)
    posts = (np.abs(at[:, 0]) > 0.22) & (np.abs(at[:, 0]) < 0.24)
    doors = np.abs(at[:, 0]) < 0.19
    assert np.median(colours[posts]) < 50 and np.median(colours[doors]) > 150
