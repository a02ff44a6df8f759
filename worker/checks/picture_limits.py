"""Picture limits: each picture against each limit of the profiles that its deliverable requires."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dam_connector.domain.issue import CheckOutcome, Issue, ReportRow, issue
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.picture_profiles import PICTURE_PROFILES, PictureLimit, accepted_formats
from dam_connector.domain.rules import Rules
from dam_connector.domain.version import VersionFile
from worker.imaging.linear_light import parse_color
from worker.measuring.check_subject import CheckSubject

U8 = NDArray[np.uint8]

PRODUCT_LEVELS = 12  # of 255: a pixel that differs less from the corner's colour is background
CODES: Mapping[str, IssueCode] = {
    "min_px": "profile.too_small",
    "advised_px": "profile.below_advice",
    "max_px": "profile.too_large",
    "max_pixels": "profile.too_large",
    "max_bytes": "profile.bytes",
    "background": "profile.background",
    "min_fill": "profile.fill",
    "max_fill": "profile.fill",
    "aspect": "profile.aspect",
}


@dataclass(frozen=True, slots=True)
class _MeasuredPicture:
    """The measurements of one picture."""

    width: int  # pixels
    height: int
    bytes: int
    rgb: U8 | None  # (h, w, 3); None where it is transparent


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Yield profile.*; add a row for each limit."""
    if subject.deliverable is None:
        return
    measure = cache(partial(_measure, subject))  # each file is decoded once, whatever the number of profiles
    for profile in subject.deliverable.profiles:
        accepted = accepted_formats(profile)
        files = [f for f in subject.pictures if f.format in accepted]
        formats = ", ".join(f.format for f in subject.pictures)
        subject.rows.append(
            ReportRow(
                check="format",
                outcome=CheckOutcome.PASS if files else CheckOutcome.FAIL,
                profile=profile,
                measured=formats,
                limit=", ".join(accepted),
            )
        )
        if not files:
            yield issue(
                "profile.format",
                f"{profile} accepts none of the files' formats.",
                measured=formats,
                limit=", ".join(accepted),
            )
        for file in files:
            yield from _check_picture(subject, profile, file, measure(file))


def _check_picture(
    subject: CheckSubject, profile: str, file: VersionFile, picture: _MeasuredPicture | None
) -> Iterator[Issue]:
    for limit in PICTURE_PROFILES[profile]:
        if limit.rule not in CODES or picture is None:
            continue
        measured, required, good = _judge_limit(limit, picture)
        name, outcome = (
            f"{limit.rule.replace('_', ' ')} ({file.format})",
            CheckOutcome.PASS if good else CheckOutcome.FAIL,
        )
        subject.rows.append(
            ReportRow(
                check=name,
                outcome=outcome,
                profile=profile,
                measured=measured,
                limit=required,
                source=limit.source,
            )
        )
        if not good:
            message = f"{profile}: {file.name}."
            yield issue(
                CODES[limit.rule],
                message,
                pointer=f"/files/{file.name}",
                measured=measured,
                limit=f"{required} ({limit.source})",
            )


def _measure(subject: CheckSubject, file: VersionFile) -> _MeasuredPicture | None:
    try:
        with Image.open(io.BytesIO(subject.read(file))) as picture:
            clear = "A" in picture.getbands() and picture.getchannel("A").getextrema()[0] != 255
            rgb = None if clear else np.asarray(picture.convert("RGB"))
            return _MeasuredPicture(picture.width, picture.height, file.bytes, rgb)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None  # the check `pictures` reports it


def _judge_limit(limit: PictureLimit, picture: _MeasuredPicture) -> tuple[str, str, bool]:
    """Return the measured value, the limit as text, and whether the limit is kept."""
    longer, value = max(picture.width, picture.height), limit.value
    if limit.rule == "background":
        border = "transparent" if picture.rgb is None else _border_colour(picture.rgb, str(value))
        return border, str(value), border == value
    if limit.rule == "aspect":
        w, h = (int(n) for n in str(value).split(":"))
        return (
            f"{picture.width}:{picture.height}",
            str(value),
            abs(picture.width * h - picture.height * w) <= max(w, h),
        )
    assert isinstance(value, int | float)
    if limit.rule in ("min_fill", "max_fill"):
        fill = _fill_share(picture.rgb)
        good = fill is not None and (
            fill >= value - 0.01 if limit.rule == "min_fill" else fill <= value + 0.01
        )
        return "not measured" if fill is None else f"{fill:.2f}", f"{value:g}", good
    measured = {"max_bytes": picture.bytes, "max_pixels": picture.width * picture.height}.get(
        limit.rule, longer
    )
    return (
        f"{measured:,}",
        f"{value:,}",
        measured >= value if limit.rule in ("min_px", "advised_px") else measured <= value,
    )


def _border_colour(rgb: U8, required: str) -> str:
    """Return the border's colour that differs most from the required one; one level is a codec's rounding."""
    border = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]]).astype(int)
    off = np.abs(border - np.array(parse_color(required))).max(1)
    worst = border[off.argmax()]
    return required if off.max() <= 1 else "#" + "".join(f"{c:02x}" for c in worst)


def _fill_share(rgb: U8 | None) -> float | None:
    """Return the product's share of the tighter side; None where every pixel has the corner's colour."""
    if rgb is None:
        return None
    background = rgb[0, 0].astype(float)
    _, _, width, height = cv2.boundingRect(
        cv2.bitwise_not(cv2.inRange(rgb, background - PRODUCT_LEVELS, background + PRODUCT_LEVELS))
    )
    return float(max(height / rgb.shape[0], width / rgb.shape[1])) if width else None
