"""Pictures that a provider made: the one that shows the product best, what the report says of it, and its fitting into the format asked for."""

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.issue_codes import IssueCode
from worker.imaging.composition import Picture
from worker.imaging.cutout import Cutout
from worker.imaging.decode import Photo
from worker.imaging.product_match import ProductMatch, match_product

MAX_COLOUR, MIN_STRUCTURE, MIN_MARKS, MAX_STRETCH, MIN_SEEN = 7.0, 0.82, 0.55, 0.07, 0.9
_WORDS: Mapping[IssueCode, str] = {
    "rendition.product_unsure": "The product of the photo was not found in the picture by itself.",
    "rendition.product_cut": "The picture cuts the product off.",
    "rendition.product_changed": "The product is not as in the photo.",
    "rendition.text_changed": "Lettering on the product is not as in the photo.",
}


def find_mismatches(found: ProductMatch) -> Iterator[tuple[IssueCode, str, str]]:
    """Why a picture is not of the product any more: issue codes, each with what was measured and the limit."""
    if not found.method:
        yield "rendition.product_unsure", "", ""
        return
    if found.mirrored:
        yield "rendition.product_changed", "mirrored", ""
        return
    if found.visible_share < MIN_SEEN:
        yield "rendition.product_cut", f"{found.visible_share * 100:.0f} % of it", f"{MIN_SEEN * 100:.0f} %"
    if abs(found.stretch - 1) > MAX_STRETCH:
        yield (
            "rendition.product_changed",
            f"proportions {(found.stretch - 1) * 100:+.0f} %",
            f"{MAX_STRETCH * 100:.0f} %",
        )
    if found.colour_difference > MAX_COLOUR:
        yield "rendition.product_changed", f"CIEDE2000 {found.colour_difference:.1f}", f"{MAX_COLOUR:g}"
    if found.pattern_share < MIN_STRUCTURE:
        yield (
            "rendition.product_changed",
            f"{found.pattern_share * 100:.0f} % of its pattern",
            f"{MIN_STRUCTURE * 100:.0f} %",
        )
    if found.lettering is not None and found.lettering < MIN_MARKS:
        yield "rendition.text_changed", f"{found.lettering * 100:.0f} % alike", f"{MIN_MARKS * 100:.0f} %"


def product_match_issues(found: ProductMatch, pointer: str) -> Iterator[Issue]:
    """Issues rendition.product_unsure, .product_cut, .product_changed and .text_changed."""
    for code, measured, limit in find_mismatches(found):
        yield issue(code, _WORDS[code], pointer=pointer, measured=measured, limit=limit)


def match_facts(found: ProductMatch) -> dict[str, str | float]:
    """What was measured, for the report."""
    if not found.method:
        return {"product_found": "no"}
    if found.mirrored:
        return {"product_found": "mirrored"}
    marks = {} if found.lettering is None else {"lettering_alike": round(found.lettering, 2)}
    measured = {
        "product_de2000": round(found.colour_difference, 2),
        "pattern_alike": round(found.pattern_share, 2),
        "stretch": round(found.stretch, 3),
    }
    return {"product_found": f"by its {found.method}", **measured, **marks}


def best_match(cutout: Cutout, pictures: Sequence[Photo]) -> tuple[Photo, ProductMatch]:
    """The picture that shows the product best, of several that were made."""
    judged = [(picture, match_product(cutout, picture.rgb)) for picture in pictures]
    return min(
        judged,
        key=lambda each: (len(list(find_mismatches(each[1]))), not each[1].method, each[1].colour_difference),
    )


def crop_to_format(picture: Photo, box: tuple[int, int, int, int], width: int, height: int) -> Picture:
    """The picture in the format asked for: the largest part of these proportions that holds the product, scaled. box: of the product, or empty."""
    have_width, have_height = picture.size
    wide = min(have_width, have_height * width / height)
    crop_width, crop_height = max(1, round(wide)), max(1, round(wide * height / width))
    left, top, right, bottom = box if any(box) else (0, 0, have_width, have_height)
    x = _start((left + right) / 2, crop_width, have_width)
    y = _start((top + bottom) / 2, crop_height, have_height)
    scale = width / crop_width
    rgb, alpha = (
        _scaled(channel, x, y, crop_width, crop_height, width, height)
        for channel in (picture.rgb, picture.alpha)
    )
    assert rgb is not None
    there = tuple(
        round((value - start) * scale) for value, start in ((left, x), (top, y), (right, x), (bottom, y))
    )
    return Picture(rgb=rgb, alpha=alpha, scale=scale, box=(there[0], there[1], there[2], there[3]))


def _start(middle: float, size: int, whole: int) -> int:
    """Where a part of this size begins that has its middle near the product's and lies within."""
    return int(min(max(0, round(middle - size / 2)), whole - size))


def _scaled(
    channel: NDArray[np.uint8] | None, x: int, y: int, wide: int, high: int, width: int, height: int
) -> NDArray[np.uint8] | None:
    if channel is None:
        return None
    part = channel[y : y + high, x : x + wide]
    way = cv2.INTER_AREA if width < wide else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(part, (width, height), interpolation=way))
