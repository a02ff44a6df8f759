"""Likeness: the model compared with each photo of its product, from the camera that matches it best.

The thresholds are calibrated by `python -m benchmarks.likeness_detection` on correct models and on models
with planted defects. Each is a little above the worst value of a correct model. Figures: docs/checks.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dam_connector.domain.issue import CheckOutcome, Issue, ReportRow, issue
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.product import View
from dam_connector.domain.rules import Rules
from dam_connector.errors import InputError
from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.decode import decode
from worker.imaging.encode import encode
from worker.measuring.check_subject import CheckSubject
from worker.modeling.glb_import import read_glb
from worker.modeling.photo_comparison import ModelComparer, PhotoComparison

MAX_PIXELS = 60_000_000
EVIDENCE_PREFIX = "likeness-"  # in names of pictures, before the photo's view


@dataclass(frozen=True, slots=True)
class LikenessThreshold:
    """The value above which a defect is an issue."""

    code: IssueCode
    limit: float
    message: str
    is_percent: bool = True  # else CIEDE2000


THRESHOLDS = {
    "outline": LikenessThreshold("likeness.outline", 0.03, "The outline differs from the photo's."),
    "aspect": LikenessThreshold(
        "likeness.proportions", 0.03, "The ratio of width to height differs from the photo's."
    ),
    "colour": LikenessThreshold(
        "likeness.colour",
        13.0,
        "The colours differ from the photo's, corrected for its light.",
        is_percent=False,
    ),
    "missing": LikenessThreshold(
        "likeness.part_missing", 0.012, "The photo shows a part that the model does not have."
    ),
    "extra": LikenessThreshold(
        "likeness.part_extra", 0.012, "The model has a part that the photo does not show."
    ),
    "mirrored": LikenessThreshold("likeness.mirrored", 0.04, "It fits the photo better when mirrored."),
    "turned": LikenessThreshold(
        "likeness.turned", 0.04, "It fits the photo better when turned about its upright axis."
    ),
}


def measured_defects(c: PhotoComparison) -> dict[str, float]:
    """Return the defects that THRESHOLDS limits, by name. 0 is a perfect likeness."""
    return {
        "outline": 1 - c.outline_iou,
        "aspect": abs(c.aspect_error),
        "colour": c.colour_difference,
        "missing": c.missing_share,
        "extra": c.extra_share,
        "mirrored": max(0.0, c.mirrored_gain),
        "turned": max(0.0, c.rotated_gain),
    }


def worst_defect(comparison: Sequence[PhotoComparison]) -> float:
    """Return the largest defect relative to its threshold. Above 1 the model is judged issues."""
    return max(
        (value / THRESHOLDS[name].limit for c in comparison for name, value in measured_defects(c).items()),
        default=0.0,
    )


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Yield likeness.*; add a row and a picture for each photo."""
    try:
        likeness = ModelComparer(read_glb(subject.glb))
    except InputError:
        return  # another check reports it
    for name, data in subject.photos.items():
        view = View(name)
        if view is View.DETAIL:
            continue
        cutout = _cut_out(subject, name, data)
        comparison = likeness.compare(cutout.alpha, cutout.rgb, view) if cutout else None
        if cutout is None or comparison is None:
            subject.rows.append(
                ReportRow(
                    check=f"likeness to {name}",
                    outcome=CheckOutcome.NOT_TESTED,
                    detail="the product cannot be cut out of the photo with confidence",
                )
            )
            continue
        issues = list(_issues(comparison, name))
        outcome = CheckOutcome.FAIL if issues else CheckOutcome.PASS
        subject.rows.append(
            ReportRow(
                check=f"likeness to {name}",
                outcome=outcome,
                measured=_measured_text(comparison),
                limit=_limit_text(),
            )
        )
        picture = likeness.comparison_picture(cutout.alpha, cutout.rgb, comparison)
        if picture is not None:
            subject.evidence[f"{EVIDENCE_PREFIX}{name}"] = encode(picture, None, "webp")
        yield from issues


def _cut_out(subject: CheckSubject, name: str, data: bytes) -> Cutout | None:
    """Return the product cut out; None where the cut-out is in doubt."""
    try:
        cutout = subject.cutouts.get(name) or cut_out(decode(data, max_pixels=MAX_PIXELS))
    except InputError:
        return None
    return cutout if cutout.is_certain and not cutout.touched_sides else None


def _issues(comparison: PhotoComparison, name: str) -> Iterator[Issue]:
    for measure, value in measured_defects(comparison).items():
        threshold = THRESHOLDS[measure]
        if value > threshold.limit:
            measured, limit = (
                f"{v * 100:.1f} %" if threshold.is_percent else f"{v:.1f} CIEDE2000"
                for v in (value, threshold.limit)
            )
            yield issue(
                threshold.code, threshold.message, pointer=f"/images/{name}", measured=measured, limit=limit
            )


def _measured_text(c: PhotoComparison) -> str:
    return (
        f"outline {c.outline_iou * 100:.1f} %, proportions {c.aspect_error * 100:+.1f} %, "
        f"colour {c.colour_difference:.1f}, "
        f"seen from {round(c.camera.azimuth)}° around and {round(c.camera.elevation)}° above"
    )


def _limit_text() -> str:
    outline, aspect, colour = (THRESHOLDS[name].limit for name in ("outline", "aspect", "colour"))
    return f"{(1 - outline) * 100:.1f} %, {aspect * 100:.1f} %, {colour:g}"
