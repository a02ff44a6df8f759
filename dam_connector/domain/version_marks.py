"""Marks of a version for lists and cards: its gravest doubt in a few words, and a count of the others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dam_connector.domain.issue import Issue, Severity
from dam_connector.domain.issue_codes import IssueCode

# What small pictures do not show, the gravest first. Other errors and warnings are only counted.
MARK_TEXTS: Mapping[IssueCode, str] = {
    "cutout.uncertain": "uncertain cut-out",
    "cutout.empty": "no product found",
    "rendition.product_unsure": "product not recognised",
    "rendition.product_changed": "product changed",
    "rendition.product_cut": "product cut off",
    "rendition.text_changed": "lettering changed",
    "rendition.no_scene": "no scene suits",
    "rendition.scene_unsure": "scene in doubt",
    "model.look_changed": "look changed",
    "source.same_picture": "one photo as two views",
    "source.no_front": "not from the front",
    # before the guess that follows from it, since this can be corrected in the record
    "model.views_disagree": "photos or size contradict each other",
    "model.below_threshold": "shape is uncertain",
    "model.low_confidence": "shape is uncertain",
    "likeness.mirrored": "mirrored",
    "likeness.turned": "turned",
    "likeness.part_missing": "part missing",
    "likeness.part_extra": "part too many",
    "model.part_lost": "thin part lost",
    "geometry.floating": "floating parts",
    "likeness.proportions": "wrong proportions",
    "likeness.outline": "outline differs",
    "likeness.colour": "colours differ",
    "rendition.likeness": "colours differ",
    "rendition.enlarged": "enlarged",
    "model.single_view": "made from one photo",
    "model.dimensions_missing": "size is a guess",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionMarks:
    """The marks on the card of a version."""

    text: str  # the gravest doubt, e.g. `shape is a guess`; empty: none that has words
    more: int  # how many other errors and warnings the report has


def version_marks(issues: Iterable[Issue], waived: Iterable[str] = ()) -> VersionMarks:
    """Return the marks of a version.

    Args:
        issues: The issues of its report.
        waived: Issue codes that an admin accepted; they are no doubts any more.
    """
    accepted = set(waived)
    found = [i for i in issues if i.code not in accepted]
    codes = {i.code for i in found}
    leading = next((code for code in MARK_TEXTS if code in codes), None)
    text = MARK_TEXTS[leading] if leading else ""
    more = [i for i in found if i.severity is not Severity.INFO and i.code != leading]
    return VersionMarks(text=text, more=len(more))
