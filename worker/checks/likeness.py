"""Likeness: the model held against each photo of its product, from the camera that shows it best.

Thresholds are calibrated by `python -m benchmarks.likeness_detection` on models that are right and models with planted defects; each stands a little above
the worst that a right model had. Figures: docs/checks.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dam_connector.domain.issue import CheckOutcome, Issue, ReportRow, issue
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.product import View
from dam_connector.domain.rules import Rules
from dam_connector.errors import InputError
from worker.imaging.cutout import MIN_CONFIDENCE, Cutout, cut_out
from worker.imaging.decode import decode
from worker.imaging.encode import encode
from worker.measuring.check_subject import CheckSubject
from worker.modeling.glb_import import read_glb
from worker.modeling.photo_comparison import ModelComparer, PhotoComparison

MAX_PIXELS = 60_000_000
EVIDENCE = "likeness-"  # before the photo's view, in names of pictures


@dataclass(frozen=True, slots=True)
class Threshold:
    """From where on a measure is an issue. words: what to say; percent: how to tell the value."""

    code: IssueCode
    limit: float
    words: str
    percent: bool = True


THRESHOLDS = {
    "outline": Threshold("likeness.outline", 0.03, "The outline is not the photo's."),
    "aspect": Threshold("likeness.proportions", 0.03, "Width to height is not as in the photo."),
    "colour": Threshold(
        "likeness.colour", 13.0, "The colours are not the photo's, its light allowed for.", percent=False
    ),
    "missing": Threshold("likeness.part_missing", 0.012, "The photo shows a part that the model has not."),
    "extra": Threshold("likeness.part_extra", 0.012, "The model has a part that the photo does not show."),
    "mirrored": Threshold("likeness.mirrored", 0.04, "It fits the photo better when mirrored."),
    "turned": Threshold(
        "likeness.turned", 0.04, "It fits the photo better when turned about its upright axis."
    ),
}


def measured(c: PhotoComparison) -> dict[str, float]:
    """What is held against THRESHOLDS: 0 is a perfect likeness."""
    return {
        "outline": 1 - c.outline_iou,
        "aspect": abs(c.aspect_error),
        "colour": c.colour_difference,
        "missing": c.missing_share,
        "extra": c.extra_share,
        "mirrored": max(0.0, c.mirrored_gain),
        "turned": max(0.0, c.rotated_gain),
    }


def score(found: Sequence[PhotoComparison]) -> float:
    """The worst measure over its threshold: above 1 the model is called wrong."""
    return max(
        (value / THRESHOLDS[name].limit for c in found for name, value in measured(c).items()), default=0.0
    )


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Issues likeness.*; a row and a picture for each photo."""
    try:
        likeness = ModelComparer(read_glb(subject.glb))
    except InputError:
        return  # the checks of the file say so
    for name, data in subject.photos.items():
        view = View(name)
        if view is View.DETAIL:
            continue
        cutout = _cut(subject, name, data)
        found = likeness.compare(cutout.alpha, cutout.rgb, view) if cutout else None
        if cutout is None or found is None:
            subject.rows.append(
                ReportRow(
                    check=f"likeness to {name}",
                    outcome=CheckOutcome.NOT_TESTED,
                    detail="the product cannot be cut out of the photo with confidence",
                )
            )
            continue
        wrong = list(_wrong(found, name))
        outcome = CheckOutcome.FAIL if wrong else CheckOutcome.PASS
        subject.rows.append(
            ReportRow(check=f"likeness to {name}", outcome=outcome, measured=_told(found), limit=_limits())
        )
        picture = likeness.comparison_picture(cutout.alpha, cutout.rgb, found)
        if picture is not None:
            subject.pictures_made[f"{EVIDENCE}{name}"] = encode(picture, None, "webp")
        yield from wrong


def _cut(subject: CheckSubject, name: str, data: bytes) -> Cutout | None:
    """The product cut out; None where that is not sure."""
    try:
        cutout = subject.cutouts.get(name) or cut_out(decode(data, max_pixels=MAX_PIXELS))
    except InputError:
        return None
    return None if cutout.confidence < MIN_CONFIDENCE or cutout.touched_sides else cutout


def _wrong(found: PhotoComparison, name: str) -> Iterator[Issue]:
    for measure, value in measured(found).items():
        threshold = THRESHOLDS[measure]
        if value > threshold.limit:
            told, limit = (
                f"{v * 100:.1f} %" if threshold.percent else f"{v:.1f} CIEDE2000"
                for v in (value, threshold.limit)
            )
            yield issue(
                threshold.code, threshold.words, pointer=f"/images/{name}", measured=told, limit=limit
            )


def _told(c: PhotoComparison) -> str:
    return f"outline {c.outline_iou * 100:.1f} %, proportions {c.aspect_error * 100:+.1f} %, colour {c.colour_difference:.1f}, from {c.camera.azimuth:.0f} and {c.camera.elevation:.0f} degrees"


def _limits() -> str:
    return f"{(1 - THRESHOLDS['outline'].limit) * 100:.1f} %, {THRESHOLDS['aspect'].limit * 100:.1f} %, {THRESHOLDS['colour'].limit:g}"
