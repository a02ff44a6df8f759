"""Profiles: each picture against each limit of each profile that its deliverable names, a row for every one."""

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

STANDS_OUT = 12  # of 255: what differs less is the ground
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
class _Seen:
    """What was measured on one picture. rgb: (h, w, 3) uint8, or None where it is transparent."""

    width: int
    height: int
    bytes: int
    rgb: U8 | None


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Issues profile.*"""
    if subject.deliverable is None:
        return
    look = cache(partial(_look, subject))  # each file of a profile is decoded once
    for profile in subject.deliverable.profiles:
        taken = accepted_formats(profile)
        files = [f for f in subject.pictures if f.format in taken]
        formats = ", ".join(f.format for f in subject.pictures)
        subject.rows.append(
            ReportRow(
                check="format",
                outcome=CheckOutcome.PASS if files else CheckOutcome.FAIL,
                profile=profile,
                measured=formats,
                limit=", ".join(taken),
            )
        )
        if not files:
            yield issue(
                "profile.format",
                f"{profile} takes none of the files.",
                measured=formats,
                limit=", ".join(taken),
            )
        for file in files:
            yield from _against(subject, profile, file, look(file))


def _against(subject: CheckSubject, profile: str, file: VersionFile, seen: _Seen | None) -> Iterator[Issue]:
    for limit in PICTURE_PROFILES[profile]:
        if limit.rule not in CODES or seen is None:
            continue
        measured, wanted, good = _judge(limit, seen)
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
                limit=wanted,
                source=limit.source,
            )
        )
        if not good:
            words = f"{profile}: {file.name}."
            yield issue(
                CODES[limit.rule],
                words,
                pointer=f"/files/{file.name}",
                measured=measured,
                limit=f"{wanted} ({limit.source})",
            )


def _look(subject: CheckSubject, file: VersionFile) -> _Seen | None:
    try:
        with Image.open(io.BytesIO(subject.read(file))) as picture:
            clear = "A" in picture.getbands() and picture.getchannel("A").getextrema()[0] != 255
            rgb = None if clear else np.asarray(picture.convert("RGB"))
            return _Seen(picture.width, picture.height, file.bytes, rgb)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None  # the check of pictures says so


def _judge(limit: PictureLimit, seen: _Seen) -> tuple[str, str, bool]:
    """What was measured, what is wanted, and whether it holds."""
    longer, value = max(seen.width, seen.height), limit.value
    if limit.rule == "background":
        rim = "transparent" if seen.rgb is None else _rim(seen.rgb, str(value))
        return rim, str(value), rim == value
    if limit.rule == "aspect":
        w, h = (int(n) for n in str(value).split(":"))
        return f"{seen.width}:{seen.height}", str(value), abs(seen.width * h - seen.height * w) <= max(w, h)
    assert isinstance(value, int | float)
    if limit.rule in ("min_fill", "max_fill"):
        fill = _fill(seen.rgb)
        good = fill is not None and (
            fill >= value - 0.01 if limit.rule == "min_fill" else fill <= value + 0.01
        )
        return "not measured" if fill is None else f"{fill:.2f}", f"{value:g}", good
    measured = {"max_bytes": seen.bytes, "max_pixels": seen.width * seen.height}.get(limit.rule, longer)
    return (
        f"{measured:,}",
        f"{value:,}",
        measured >= value if limit.rule in ("min_px", "advised_px") else measured <= value,
    )


def _rim(rgb: U8, wanted: str) -> str:
    """The rim's colour that is farthest from the one wanted; a coder's one level off is none."""
    rim = np.concatenate([rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]]).astype(int)
    off = np.abs(rim - np.array(parse_color(wanted))).max(1)
    worst = rim[off.argmax()]
    return wanted if off.max() <= 1 else "#" + "".join(f"{c:02x}" for c in worst)


def _fill(rgb: U8 | None) -> float | None:
    """The product's share of the tighter side, where it stands out from the corner's colour."""
    if rgb is None:
        return None
    ground = rgb[0, 0].astype(float)
    _, _, width, height = cv2.boundingRect(
        cv2.bitwise_not(cv2.inRange(rgb, ground - STANDS_OUT, ground + STANDS_OUT))
    )
    return float(max(height / rgb.shape[0], width / rgb.shape[1])) if width else None
