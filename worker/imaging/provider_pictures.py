"""Pictures that a provider made: choose the one that matches the product best, report on it, crop it."""

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

MAX_COLOUR_DIFFERENCE = 7.0  # CIEDE2000
MIN_PATTERN_SHARE = 0.82
MIN_LETTERING = 0.55  # correlation
MAX_STRETCH = 0.07
MIN_VISIBLE_SHARE = 0.9
_MESSAGES: Mapping[IssueCode, str] = {
    "rendition.product_unsure": "The photo's product was not found automatically in the picture.",
    "rendition.product_cut": "The picture cuts off the product.",
    "rendition.product_changed": "The product differs from the photo.",
    "rendition.text_changed": "Lettering on the product differs from the photo.",
}


def find_mismatches(match: ProductMatch) -> Iterator[tuple[IssueCode, str, str]]:
    """Yield the reasons why a picture does not show the product: issue code, measured value and limit."""
    if not match.method:
        yield "rendition.product_unsure", "", ""
        return
    if match.mirrored:
        yield "rendition.product_changed", "mirrored", ""
        return
    if match.visible_share < MIN_VISIBLE_SHARE:
        yield (
            "rendition.product_cut",
            f"{match.visible_share * 100:.0f} % of it",
            f"{MIN_VISIBLE_SHARE * 100:.0f} %",
        )
    if abs(match.stretch - 1) > MAX_STRETCH:
        yield (
            "rendition.product_changed",
            f"proportions {(match.stretch - 1) * 100:+.0f} %",
            f"{MAX_STRETCH * 100:.0f} %",
        )
    if match.colour_difference > MAX_COLOUR_DIFFERENCE:
        yield (
            "rendition.product_changed",
            f"CIEDE2000 {match.colour_difference:.1f}",
            f"{MAX_COLOUR_DIFFERENCE:g}",
        )
    if match.pattern_share < MIN_PATTERN_SHARE:
        yield (
            "rendition.product_changed",
            f"{match.pattern_share * 100:.0f} % of its pattern",
            f"{MIN_PATTERN_SHARE * 100:.0f} %",
        )
    if match.lettering is not None and match.lettering < MIN_LETTERING:
        yield "rendition.text_changed", f"{match.lettering * 100:.0f} % alike", f"{MIN_LETTERING * 100:.0f} %"


def product_match_issues(match: ProductMatch, pointer: str) -> Iterator[Issue]:
    """Yield `rendition.product_unsure`, `.product_cut`, `.product_changed` and `.text_changed`."""
    for code, measured, limit in find_mismatches(match):
        yield issue(code, _MESSAGES[code], pointer=pointer, measured=measured, limit=limit)


def match_facts(match: ProductMatch) -> dict[str, str | float]:
    """Return the measurements of a match, for the report."""
    if not match.method:
        return {"product_found": "no"}
    if match.mirrored:
        return {"product_found": "mirrored"}
    lettering = {} if match.lettering is None else {"lettering_alike": round(match.lettering, 2)}
    measured = {
        "product_de2000": round(match.colour_difference, 2),
        "pattern_alike": round(match.pattern_share, 2),
        "stretch": round(match.stretch, 3),
    }
    return {"product_found": f"by its {match.method}", **measured, **lettering}


def best_match(cutout: Cutout, pictures: Sequence[Photo]) -> tuple[Photo, ProductMatch]:
    """Return the picture that matches the product best, and how well it does."""
    matches = [(picture, match_product(cutout, picture.rgb)) for picture in pictures]
    return min(
        matches,
        key=lambda pair: (
            len(list(find_mismatches(pair[1]))),
            not pair[1].method,
            pair[1].colour_difference,
        ),
    )


def crop_to_format(picture: Photo, box: tuple[int, int, int, int], width: int, height: int) -> Picture:
    """Crop a picture to an aspect ratio and scale it.

    Args:
        picture: The picture.
        box: The product's left, top, right, bottom, which the crop is centred on; all 0 if unknown.
        width: Of the result, in pixels.
        height: Of the result, in pixels.
    """
    full_width, full_height = picture.size
    max_width = min(full_width, full_height * width / height)
    crop_width, crop_height = max(1, round(max_width)), max(1, round(max_width * height / width))
    left, top, right, bottom = box if any(box) else (0, 0, full_width, full_height)
    x = _crop_start((left + right) / 2, crop_width, full_width)
    y = _crop_start((top + bottom) / 2, crop_height, full_height)
    scale = width / crop_width
    rgb, alpha = (
        _crop_and_scale(channel, x, y, crop_width, crop_height, width, height)
        for channel in (picture.rgb, picture.alpha)
    )
    assert rgb is not None
    scaled_box = tuple(
        round((value - start) * scale) for value, start in ((left, x), (top, y), (right, x), (bottom, y))
    )
    return Picture(
        rgb=rgb, alpha=alpha, scale=scale, box=(scaled_box[0], scaled_box[1], scaled_box[2], scaled_box[3])
    )


def _crop_start(centre: float, size: int, full_size: int) -> int:
    """Return where a crop of this size begins that is centred as near as the picture's edges allow."""
    return int(min(max(0, round(centre - size / 2)), full_size - size))


def _crop_and_scale(
    channel: NDArray[np.uint8] | None,
    x: int,
    y: int,
    crop_width: int,
    crop_height: int,
    width: int,
    height: int,
) -> NDArray[np.uint8] | None:
    if channel is None:
        return None
    crop = channel[y : y + crop_height, x : x + crop_width]
    interpolation = cv2.INTER_AREA if width < crop_width else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(crop, (width, height), interpolation=interpolation))
