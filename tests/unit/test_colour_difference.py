"""Colour difference: renditions keep the photo's colours, and a change is measured."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.support import SAMPLES
from worker.imaging.colour_difference import MAX_MEDIAN_DE, colour_issues, median_differences
from worker.imaging.composition import Picture, Studio, compose_studio
from worker.imaging.cutout import cut_out
from worker.imaging.decode import decode
from worker.imaging.encode import encode
from worker.imaging.lifestyle import Scene, compose_lifestyle

PHOTO = cache(lambda: decode((SAMPLES / "speaker-front.jpg").read_bytes(), max_pixels=10**8))
CUTOUT = cache(lambda: cut_out(PHOTO()))


@cache
def studio() -> Picture:
    return compose_studio(
        CUTOUT(), Studio(width=700, height=700, background="#ffffff", fill=0.86, shadow=True)
    )


def room() -> Picture:
    return compose_lifestyle(CUTOUT(), Scene(width=560, height=700, fill=0.58, slot=1, seed=1))


@pytest.mark.parametrize("format", ["jpeg", "webp", "avif", "png"])
@pytest.mark.parametrize("compose", [studio, room])
def test_every_format_keeps_the_colours(format: str, compose: Callable[[], Picture]) -> None:
    picture = compose()
    encoded = {format: encode(picture.rgb, picture.alpha, format)}
    off = median_differences(PHOTO(), CUTOUT(), picture, encoded)[format]
    assert off <= (0.01 if format == "png" else MAX_MEDIAN_DE)
    assert list(colour_issues(off, format, "/images/front")) == []


@pytest.mark.issue("rendition.likeness")
def test_a_recoloured_product_is_found() -> None:
    made = studio()
    warm = replace(made, rgb=np.clip(made.rgb * np.array([1.15, 1.0, 0.85]) + 4, 0, 255).astype(np.uint8))
    off = median_differences(PHOTO(), CUTOUT(), warm, {"png": encode(warm.rgb, None, "png")})["png"]
    found = list(colour_issues(off, "png", "/images/front"))
    assert off > 3 and [(i.code, i.limit) for i in found] == [("rendition.likeness", "1")]
