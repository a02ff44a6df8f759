"""What is wrong with a product photo before anything is made from it, as issues; photos are compared with each other too."""

from collections.abc import Iterator, Mapping
from functools import reduce

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.product import Dimensions, View
from worker.imaging.cutout import MIN_CONFIDENCE, Cutout
from worker.imaging.decode import DecodeNote, Photo

F32 = NDArray[np.float32]

WORK_PX = 1024
ROOM = 16  # of these pixels around the product
MAX_BLUR_PX = 1.8  # at 1024 px; sharp photos measured 0.0 to 1.1, those blurred by 2 px 1.6 to 2.6
CLIPPED = 0.35  # of the product's pixels: white products have less, their shading stays below 255
SAMPLE = 3  # every so many pixels tell how bright a photo is
DARK = 0.16  # sRGB, 0 to 1: the product's and the ground's brightest twentieth together
BUSY = 0.25  # of the rim's pixels that are not as the background should be
PARTS_PX = 256
SECOND = 0.15  # of the largest part: a second product, not dirt
SAME_BITS = 2  # of 256: the same picture, saved again
ASPECT_OFF, ASPECT_FITS = 0.20, 0.05

_NOTES: Mapping[DecodeNote, tuple[IssueCode, str]] = {
    DecodeNote.ROTATED: ("source.rotated", "Its EXIF orientation was applied."),
    DecodeNote.CMYK: ("source.cmyk", "It is in CMYK and was brought to sRGB."),
    DecodeNote.NO_PROFILE: ("source.profile_missing", "It names no colour profile and was taken as sRGB."),
    DecodeNote.ANIMATED: ("source.animated", "Only its first frame is used."),
}


def source_issues(photo: Photo, cutout: Cutout, view: str) -> Iterator[Issue]:
    """Issues cutout.uncertain, cutout.cropped and source.* of one photo."""
    where = f"/images/{view}"
    for note in photo.notes:
        code, words = _NOTES[note]
        yield issue(code, f"{view}: {words}", pointer=where)
    if cutout.confidence < MIN_CONFIDENCE:
        words = f"{view}: the outline is not clear everywhere."
        yield issue(
            "cutout.uncertain",
            words,
            pointer=where,
            measured=f"{cutout.confidence:.2f}",
            limit=f"{MIN_CONFIDENCE:g}",
        )
    if cutout.touched_sides:
        yield issue(
            "cutout.cropped",
            f"{view}: it touches the frame at: {', '.join(cutout.touched_sides)}.",
            pointer=where,
        )
    blur = blur_px(photo, cutout)
    if blur > MAX_BLUR_PX:
        yield issue(
            "source.blurred",
            f"{view}: edges are soft.",
            pointer=where,
            measured=f"{blur:.1f} px at {WORK_PX} px",
            limit=f"{MAX_BLUR_PX:g} px",
        )
    yield from _exposure(photo, cutout, view)
    parts = _parts(cutout)
    if parts > 1:
        yield issue(
            "source.several_objects",
            f"{view}: it shows {parts} separate objects.",
            pointer=where,
            measured=parts,
            limit=1,
        )
    if photo.alpha is None and cutout.busy_share > BUSY:
        words = f"{view}: the background is not plain."
        yield issue(
            "source.background_busy",
            words,
            pointer=where,
            measured=f"{cutout.busy_share * 100:.0f} % of the rim",
            limit=f"{BUSY * 100:.0f} %",
        )


def blur_px(photo: Photo, cutout: Cutout) -> float:
    """How soft the product's sharpest edges are: the standard deviation in pixels of the picture at 1024 px.

    An edge seen through two blurs is steeper by a ratio that tells its own (Zhuo and Sim 2011).
    """
    scale = min(1.0, WORK_PX / max(photo.size))
    left, top, right, bottom = cutout.box
    room = round(ROOM / scale)
    part = slice(max(0, top - room), bottom + room), slice(max(0, left - room), right + room)
    rgb, alpha = np.ascontiguousarray(photo.rgb[part]), np.ascontiguousarray(cutout.alpha[part])
    grey = cv2.resize(
        cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
    ).astype(np.float32)
    mask = cv2.resize(alpha, (grey.shape[1], grey.shape[0]), interpolation=cv2.INTER_AREA)
    near = cv2.dilate((mask > 127).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    one, two = (_steepness(cv2.GaussianBlur(grey, (0, 0), sigma)) for sigma in (1.0, 2.0))
    strong = near & (one >= np.percentile(one[near], 97))
    ratio = np.clip(one[strong] / np.maximum(two[strong], 1e-3), 1.01, 1.999)
    return float(np.sqrt(np.percentile((4 - ratio**2) / (ratio**2 - 1), 30)))


def _steepness(grey: F32) -> F32:
    return np.asarray(
        cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)), np.float32
    )


def _exposure(photo: Photo, cutout: Cutout, view: str) -> Iterator[Issue]:
    where = f"/images/{view}"
    planes, there = (
        cv2.split(np.ascontiguousarray(photo.rgb[::SAMPLE, ::SAMPLE])),
        cutout.alpha[::SAMPLE, ::SAMPLE] > 127,
    )
    clipped = float((reduce(cv2.min, planes)[there] >= 254).mean())
    if clipped > CLIPPED:
        words = f"{view}: large parts of the product are pure white."
        yield issue(
            "source.overexposed",
            words,
            pointer=where,
            measured=f"{clipped * 100:.0f} %",
            limit=f"{CLIPPED * 100:.0f} %",
        )
    levels = reduce(cv2.max, planes)
    levels = levels if photo.alpha is None else levels[there]
    brightest = float(np.percentile(levels, 95)) / 255
    if brightest < DARK:
        yield issue(
            "source.underexposed",
            f"{view}: the photo is nearly black.",
            pointer=where,
            measured=f"{brightest:.2f}",
            limit=f"{DARK:g}",
        )


def _parts(cutout: Cutout) -> int:
    step = max(
        1, min(cutout.alpha.shape) // PARTS_PX
    )  # whole: OpenCV takes a fifth of the time that any other share takes
    height, width = (n // step for n in cutout.alpha.shape)
    small = cv2.resize(
        cutout.alpha[: height * step, : width * step], (width, height), interpolation=cv2.INTER_AREA
    )
    _, _, stats, _ = cv2.connectedComponentsWithStats((small > 100).astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return int((areas >= SECOND * areas.max()).sum()) if len(areas) else 0


def same_picture_issues(photos: Mapping[str, Photo]) -> Iterator[Issue]:
    """Issues source.same_picture: one picture given as two views, also where it was scaled or saved again."""
    prints: dict[str, int] = {}
    for view, photo in photos.items():
        mine = fingerprint(photo)
        for other, theirs in prints.items():
            apart = (mine ^ theirs).bit_count()
            if apart <= SAME_BITS:
                words = f"{view} and {other} are the same picture."
                yield issue(
                    "source.same_picture",
                    words,
                    pointer=f"/images/{view}",
                    measured=f"{apart} of 256 bits differ",
                    limit=f"more than {SAME_BITS}",
                )
        prints[view] = mine


def fingerprint(photo: Photo) -> int:
    """256 bits that stay when a picture is scaled or coded again: whether each of 16 x 16 cells is brighter than its neighbour.

    By exact shares of the picture: cells of whole pixels are quicker, and tell half of all scaled copies as others.
    """
    grey = cv2.resize(
        cv2.cvtColor(photo.rgb, cv2.COLOR_RGB2GRAY), (17, 16), interpolation=cv2.INTER_AREA
    ).astype(np.int16)
    return int.from_bytes(np.packbits(grey[:, 1:] > grey[:, :-1] + 1).tobytes(), "big")


def wrong_view_issues(cutouts: Mapping[View, Cutout], size: Dimensions) -> Iterator[Issue]:
    """Issues source.wrong_view: an outline that fits another side of the product clearly better."""
    width, height, depth = size.width_m, size.height_m, size.depth_m
    if not (width and height and depth):
        return
    expected = {"front": width / height, "side": depth / height, "top": width / depth}
    sides = {View.FRONT: "front", View.BACK: "front", View.LEFT: "side", View.RIGHT: "side", View.TOP: "top"}
    for view, cutout in cutouts.items():
        side = sides.get(view)
        if side is None or cutout.touched_sides:
            continue
        left, top, right, bottom = cutout.box
        off = {
            name: abs(np.log((right - left) / (bottom - top) / aspect)) for name, aspect in expected.items()
        }
        nearest = min(off, key=lambda name: off[name])
        if off[side] > ASPECT_OFF and off[nearest] < ASPECT_FITS:
            yield issue(
                "source.wrong_view",
                f"{view}: its outline fits the {nearest}, not the {side}.",
                pointer=f"/images/{view}",
                measured=f"{(right - left) / (bottom - top):.2f} wide to 1 high",
                limit=f"{expected[side]:.2f}",
            )
