"""Quality of product photos before anything is made from them, as issues."""

from collections.abc import Callable, Iterator, Mapping
from functools import reduce

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.product import Dimensions, View
from dam_connector.domain.rules import ImagingRules
from dam_connector.net_file import NO_NET
from worker.imaging.cutout import MIN_CONFIDENCE, Cutout
from worker.imaging.decode import DecodeNote, Photo
from worker.imaging.lost_print import lost_letters
from worker.imaging.mirror_image import has_mirror_image
from worker.imaging.person import shows_person
from worker.imaging.shown_objects import count_objects, cropped_sides

F32 = NDArray[np.float32]

BLUR_PX = 1024  # longer side at which blur is measured
MARGIN_PX = 16  # around the product, at that size
MAX_BLUR_PX = 1.8  # at 1024 px; sharp photos measured 0.0 to 1.1, those blurred by 2 px 1.6 to 2.6
MAX_CLIPPED_SHARE = 0.35  # of the product's pixels: white products have less, their shading stays below 255
EXPOSURE_STRIDE = 3  # exposure is measured on every third pixel of every third row
MIN_BRIGHTNESS = 0.16  # sRGB, 0 to 1: the 95th percentile of product and background together
MAX_BUSY_SHARE = 0.25  # of the border's pixels that are unlike a plain background
MAX_SAME_BITS = 2  # of 256: the same picture, saved again, or two photos that look alike
COMPARED_PX, COMPARED_BLUR_PX = 512, 1.5  # longer side at which alike pictures are compared, after a blur
MAX_COPY_DIFFERENCE = 10.0  # of 255, 99th percentile: copies have up to 6, photos of two sides from 15 on
SHOWN_DIFFERENCE = 10.0  # from the border's median, from which a pixel shows something
NOISE_PX = 1024  # side of the middle of a picture, whose noise is compared
MIN_NOISE = 0.5  # of 255, standard deviation: less tells nothing
MAX_NOISE_RATIO, MAX_FOREIGN_CORRELATION = 1.5, 0.2  # of the noise of two photos; a copy keeps or loses it
_LOSSLESS = ("PNG", "TIFF", "BMP")
# Logarithm of an aspect ratio over the expected one: more is a mismatch, less is a match.
MIN_ASPECT_MISMATCH, MAX_ASPECT_MATCH = 0.20, 0.05

_NOTES: Mapping[DecodeNote, tuple[IssueCode, str]] = {
    DecodeNote.ROTATED: ("source.rotated", "Its EXIF orientation was applied."),
    DecodeNote.CMYK: ("source.cmyk", "It was converted from CMYK to sRGB."),
    DecodeNote.NO_PROFILE: ("source.profile_missing", "It has no colour profile and was treated as sRGB."),
    DecodeNote.ANIMATED: ("source.animated", "Only its first frame is used."),
}


def source_issues(
    photo: Photo, cutout: Cutout, view: str, imaging: ImagingRules | None = None
) -> Iterator[Issue]:
    """Yield `cutout.*` and `source.*` for one photo.

    Args:
        photo: The photo.
        cutout: The product, cut out of it.
        view: The view that the photo shows, e.g. `front`.
        imaging: The rules with the limit of doubt; the defaults if None.
    """
    pointer = f"/images/{view}"
    for note in photo.notes:
        code, message = _NOTES[note]
        yield issue(code, f"{view}: {message}", pointer=pointer)
    yield from _cutout_issues(photo, cutout, view, imaging)
    if cropped := cropped_sides(photo, cutout):
        yield issue(
            "cutout.cropped",
            f"{view}: the product touches the frame at: {', '.join(cropped)}.",
            pointer=pointer,
        )
    blur = blur_px(photo, cutout)
    if blur > MAX_BLUR_PX:
        yield issue(
            "source.blurred",
            f"{view}: edges are soft.",
            pointer=pointer,
            measured=f"{blur:.1f} px at {BLUR_PX} px",
            limit=f"{MAX_BLUR_PX:g} px",
        )
    yield from _exposure(photo, cutout, view)
    is_person = (imaging is None or imaging.net != NO_NET) and shows_person(photo, cutout)
    # a mask that lost hair or a sleeve has a person in several parts
    objects = 1 if is_person else count_objects(photo, cutout)
    if objects > 1:
        yield issue(
            "source.several_objects",
            f"{view}: the photo shows {objects} separate objects.",
            pointer=pointer,
            measured=objects,
            limit=1,
        )
    yield from _company(photo, cutout, view, is_person=is_person)
    if photo.alpha is None and not cutout.net and cutout.busy_share > MAX_BUSY_SHARE:
        yield issue(
            "source.background_busy",
            f"{view}: the background is not plain.",
            pointer=pointer,
            measured=f"{cutout.busy_share * 100:.0f} % of the border",
            limit=f"{MAX_BUSY_SHARE * 100:.0f} %",
        )


def _company(photo: Photo, cutout: Cutout, view: str, *, is_person: bool) -> Iterator[Issue]:
    """Yield an issue for a person and for a mirror image, which a cut-out may hold with the product."""
    pointer = f"/images/{view}"
    if is_person:
        message = f"{view}: the cut-out holds a person, or a part of one, with the product."
        yield issue("source.person", message, pointer=pointer)
    if has_mirror_image(photo, cutout):
        message = f"{view}: the table below the product mirrors it."
        yield issue("source.mirror_image", message, pointer=pointer)


def least_confidence(net: str, imaging: ImagingRules | None) -> float:
    """Return the confidence below which a cut-out is doubted.

    Args:
        net: The net that took part; empty: none.
        imaging: The rules; None: the defaults.
    """
    return (imaging or ImagingRules()).min_probability if net else MIN_CONFIDENCE


def _cutout_issues(photo: Photo, cutout: Cutout, view: str, imaging: ImagingRules | None) -> Iterator[Issue]:
    """Yield `cutout.uncertain`, `cutout.print_lost` and `cutout.no_net`."""
    pointer, is_net_wanted = f"/images/{view}", imaging is not None and imaging.net != NO_NET
    imaging = imaging or ImagingRules()
    limit = least_confidence(cutout.net, imaging)
    if cutout.confidence < limit:
        seen = "; ".join(cutout.doubts) or "the outline is not clear everywhere"
        if not cutout.net and imaging.min_probability != ImagingRules().min_probability:
            seen = f"{seen} (judged without a net: the limit is not imaging/min_probability)"
        yield issue(
            "cutout.uncertain",
            f"{view}: {seen}.",
            pointer=pointer,
            measured=f"{cutout.confidence:.2f}",
            limit=f"{limit:g}",
        )
    letters = cutout.lost_letters
    if letters is None:
        letters = lost_letters(photo, cutout)
    if letters:
        yield issue(
            "cutout.print_lost",
            f"{view}: the cut-out lost print, or the white paper below it.",
            pointer=pointer,
            measured=f"{letters} letters",
            limit="0 letters",
        )
    if photo.alpha is None and not cutout.net and is_net_wanted:
        yield issue(
            "cutout.no_net",
            f"{view}: the product was cut out without a net: there is no file {imaging.net}.",
            pointer=pointer,
        )


def blur_px(photo: Photo, cutout: Cutout) -> float:
    """Return the blur of the product's sharpest edges: its standard deviation in pixels, at 1024 px.

    Blurring an edge twice, by known amounts, gives a ratio of gradients from which its own blur follows
    (Zhuo and Sim 2011).
    """
    scale = min(1.0, BLUR_PX / max(photo.size))
    left, top, right, bottom = cutout.box
    margin = round(MARGIN_PX / scale)
    region = slice(max(0, top - margin), bottom + margin), slice(max(0, left - margin), right + margin)
    rgb, alpha = np.ascontiguousarray(photo.rgb[region]), np.ascontiguousarray(cutout.alpha[region])
    grey = cv2.resize(
        cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
    ).astype(np.float32)
    mask = cv2.resize(alpha, (grey.shape[1], grey.shape[0]), interpolation=cv2.INTER_AREA)
    near = cv2.dilate((mask > 127).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    one, two = (_gradient_magnitude(cv2.GaussianBlur(grey, (0, 0), sigma)) for sigma in (1.0, 2.0))
    strong = near & (one >= np.percentile(one[near], 97))
    ratio = np.clip(one[strong] / np.maximum(two[strong], 1e-3), 1.01, 1.999)
    return float(np.sqrt(np.percentile((4 - ratio**2) / (ratio**2 - 1), 30)))


def _gradient_magnitude(grey: F32) -> F32:
    return np.asarray(
        cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)), np.float32
    )


def _exposure(photo: Photo, cutout: Cutout, view: str) -> Iterator[Issue]:
    pointer = f"/images/{view}"
    planes = cv2.split(np.ascontiguousarray(photo.rgb[::EXPOSURE_STRIDE, ::EXPOSURE_STRIDE]))
    is_product = cutout.alpha[::EXPOSURE_STRIDE, ::EXPOSURE_STRIDE] > 127
    clipped = float((reduce(cv2.min, planes)[is_product] >= 254).mean())
    if clipped > MAX_CLIPPED_SHARE:
        yield issue(
            "source.overexposed",
            f"{view}: large parts of the product are pure white.",
            pointer=pointer,
            measured=f"{clipped * 100:.0f} %",
            limit=f"{MAX_CLIPPED_SHARE * 100:.0f} %",
        )
    levels = reduce(cv2.max, planes)
    levels = levels if photo.alpha is None else levels[is_product]
    brightest = float(np.percentile(levels, 95)) / 255
    if brightest < MIN_BRIGHTNESS:
        yield issue(
            "source.underexposed",
            f"{view}: the photo is nearly black.",
            pointer=pointer,
            measured=f"{brightest:.2f}",
            limit=f"{MIN_BRIGHTNESS:g}",
        )


def same_picture_issues(fingerprints: Mapping[str, int], photo_of: Callable[[str], Photo]) -> Iterator[Issue]:
    """Yield `source.same_picture` for one picture given as two views, even if scaled or saved again.

    Two photos of a round product look alike, and are none.

    Args:
        fingerprints: The fingerprint of each view's photo.
        photo_of: Returns the photo of a view; asked for those that look alike.

    Raises:
        InputError: source.*, by `photo_of`.
    """
    before: dict[str, int] = {}
    for view, own in fingerprints.items():
        for other, known in before.items():
            different_bits = (own ^ known).bit_count()
            if different_bits <= MAX_SAME_BITS and is_copy(photo_of(view), photo_of(other)):
                yield issue(
                    "source.same_picture",
                    f"{view} and {other} are the same picture.",
                    pointer=f"/images/{view}",
                    measured=f"{different_bits} of 256 bits differ",
                    limit=f"more than {MAX_SAME_BITS}",
                )
        before[view] = own


def fingerprint(photo: Photo) -> int:
    """Return 256 bits that do not change when a picture is scaled or encoded again.

    Each bit says whether one of 16 x 16 cells is brighter than its neighbour. Cells are exact shares of the
    picture: cells of whole pixels are quicker, but miss half of all scaled copies.
    """
    grey = cv2.resize(
        cv2.cvtColor(photo.rgb, cv2.COLOR_RGB2GRAY), (17, 16), interpolation=cv2.INTER_AREA
    ).astype(np.int16)
    return int.from_bytes(np.packbits(grey[:, 1:] > grey[:, :-1] + 1).tobytes(), "big")


def is_copy(one: Photo, other: Photo) -> bool:
    """Return whether one of two alike pictures is a copy of the other, perhaps scaled or saved again.

    Photos of two sides differ at edges and in print, and where they do not, in their noise.
    """
    if one.rgb.shape == other.rgb.shape:
        if np.array_equal(one.rgb, other.rgb):
            return True
        if one.format in _LOSSLESS and other.format in _LOSSLESS:
            return False  # a copy would have the same pixels
        if _has_own_noise(one, other):
            return False
    height, width = (min(sides) for sides in zip(one.rgb.shape[:2], other.rgb.shape[:2], strict=True))
    scale = min(1.0, COMPARED_PX / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = [
        cv2.resize(photo.rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32) for photo in (one, other)
    ]
    border = np.concatenate([small[0][0], small[0][-1], small[0][:, 0], small[0][:, -1]])
    is_shown = np.max([np.abs(rgb - np.median(border, 0)).max(2) for rgb in small], 0) > SHOWN_DIFFERENCE
    difference = np.abs(cv2.GaussianBlur(small[0] - small[1], (0, 0), COMPARED_BLUR_PX)).max(2)
    compared = difference[is_shown] if is_shown.any() else difference
    return float(np.percentile(compared, 99)) < MAX_COPY_DIFFERENCE


def _has_own_noise(one: Photo, other: Photo) -> bool:
    """Return whether two pictures of one size have as much noise as each other, but not the same."""
    middle = tuple(
        slice(max(0, (n - NOISE_PX) // 2), max(0, (n - NOISE_PX) // 2) + NOISE_PX) for n in one.rgb.shape[:2]
    )
    grey = [
        cv2.cvtColor(np.ascontiguousarray(photo.rgb[middle]), cv2.COLOR_RGB2GRAY).astype(np.float32)
        for photo in (one, other)
    ]
    gradient = _gradient_magnitude(np.asarray(cv2.GaussianBlur(grey[0], (0, 0), 2.0), np.float32))
    is_flat = (gradient <= np.median(gradient)) & (np.maximum(*grey) < 254)
    noise = [(level - cv2.GaussianBlur(level, (0, 0), 1.5))[is_flat] for level in grey]
    spread = [float(n.std()) if len(n) else 0.0 for n in noise]
    if min(spread) < MIN_NOISE or max(spread) > MAX_NOISE_RATIO * min(spread):
        return False
    return float(np.corrcoef(*noise)[0, 1]) < MAX_FOREIGN_CORRELATION


def wrong_view_issues(cutouts: Mapping[View, Cutout], size: Dimensions) -> Iterator[Issue]:
    """Yield `source.wrong_view` for an outline that matches another side of the product clearly better."""
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
        mismatch = {
            name: abs(np.log((right - left) / (bottom - top) / aspect)) for name, aspect in expected.items()
        }
        nearest = min(mismatch, key=lambda name: mismatch[name])
        if mismatch[side] > MIN_ASPECT_MISMATCH and mismatch[nearest] < MAX_ASPECT_MATCH:
            yield issue(
                "source.wrong_view",
                f"{view}: its outline matches the {nearest}, not the {side}.",
                pointer=f"/images/{view}",
                measured=f"{(right - left) / (bottom - top):.2f} wide to 1 high",
                limit=f"{expected[side]:.2f}",
            )
