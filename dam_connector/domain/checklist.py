"""The review checklist of a model: each question is answered from the report, except the last one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dam_connector.domain.issue import CheckOutcome, Issue, Report, ReportRow
from dam_connector.domain.model_profiles import MEASURES
from dam_connector.domain.report_words import check_text, finding_measure, place_text

LIKENESS = "likeness to "  # begins the check's name in rows that compare the model with one photo
SIZE_OFF = MEASURES["product_off_pct"].title
SIZE_PROFILES = ("khronos-mobile-ar", "khronos-desktop")  # they answer whether the file suits mobile and web
SIZE_MEASURES = tuple(
    MEASURES[m].title for m in ("file_bytes", "triangles", "texture_width_px", "texture_height_px")
)
# Issue codes that speak against a question. One that ends with a dot covers all codes that begin with it.
_PROPORTIONS = (
    "geometry.dimensions",
    "geometry.unit",
    "geometry.axis",
    "likeness.proportions",
    "model.part_lost",
)
_LOOK = ("likeness.colour", "file.not_pbr", "file.texture_missing", "uv.missing", "geometry.normals")
_FORMAT = ("conformance.error", "file.unreadable", "file.stream", "usdz.", "web.differs")
# Issue codes of a model that is in doubt as a whole: no measure of its likeness makes a "yes" then.
_DOUBTS = (
    "model.low_confidence",
    "model.below_threshold",
    "model.views_disagree",
    "model.spin_unused",
    "model.walk_unused",
)
_CAPTURES = {"spin_frames": "frames of the spin", "walk_photos": "photos of the walk"}  # by fact


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistAnswer:
    """One question of the checklist with its answer."""

    question: str
    outcome: CheckOutcome  # pass: yes; fail: no; not_tested: there is no evidence
    evidence: str  # what the answer is based on


def checklist_answers(report: Report) -> tuple[ChecklistAnswer, ...]:
    """Return the answers that a model's report gives; none for a report on pictures."""
    if "colour_wanted" in (report.facts or {}):
        return (_colour_answer(report),)
    if not any(r.check == "geometry" and r.outcome is not CheckOutcome.NOT_TESTED for r in report.rows):
        return ()
    likeness = [r for r in report.rows if r.check.startswith(LIKENESS)]
    doubts = _issues(report, *_DOUBTS)
    unseen = _nothing_compared(report)
    formats = [r for r in report.rows if r.check in ("conformance", "usdz", "web")]
    sizes = [r for r in report.rows if r.profile in SIZE_PROFILES and r.check in SIZE_MEASURES]
    return (
        _answer(
            "Does the model match the product image?", likeness, _issues(report, "likeness."), doubts, unseen
        ),
        _answer(
            "Are the proportions close to the real product?",
            _size_rows(report) or [_only_measure(r, "proportions") for r in likeness],
            _issues(report, *_PROPORTIONS),
            [*doubts, *_issues(report, "model.dimensions_missing")],
            unseen,
        ),
        _answer(
            "Do material and colour look correct?",
            [_only_measure(r, "colour") for r in likeness],
            _issues(report, *_LOOK),
            doubts,
            unseen,
        ),
        _answer("Is the file format correct?", formats, _issues(report, *_FORMAT)),
        _answer("Is the file size suitable for web and mobile?", sizes, []),
        ChecklistAnswer(
            question="Does it need another version?",
            outcome=CheckOutcome.NOT_TESTED,
            evidence="The reviewer decides this.",
        ),
    )


def _colour_answer(report: Report) -> ChecklistAnswer:
    """Return the one question about a model whose shape was approved in another colour."""
    facts, wrong = report.facts or {}, _issues(report, "variant.colour")
    return ChecklistAnswer(
        question="Is this the colour of its swatch or photo?",
        outcome=CheckOutcome.FAIL if wrong else CheckOutcome.PASS,
        evidence=f"CIEDE2000 {facts.get('colour_de2000')}: it is {facts.get('colour_measured')}, and its "
        f"swatch or photo {facts.get('colour_wanted')}. The shape was approved in another colour.",
    )


def _issues(report: Report, *codes: str) -> list[Issue]:
    """Return the issues with these codes; a code that ends with a dot is a prefix."""
    return [
        i
        for i in report.issues
        if any(i.code.startswith(c) if c.endswith(".") else i.code == c for c in codes)
    ]


def _size_rows(report: Report) -> list[ReportRow]:
    """Return the row that compares the model's size with the record's, where it is evidence.

    Our own code gives each model the size of the record, so its size agrees whatever its proportions are.
    """
    is_ours = "family" in (report.facts or {})
    rows = [r for r in report.rows if r.check == SIZE_OFF][:1]
    return [r for r in rows if r.outcome is CheckOutcome.FAIL or not is_ours]


def _nothing_compared(report: Report) -> str:
    """Return that nothing was compared with the model, for an answer without evidence."""
    facts = report.facts or {}
    made_from = [f"the {facts[key]} {text}" for key, text in _CAPTURES.items() if facts.get(key)]
    if not made_from:
        return "Nothing to compare with."
    return f"Nothing was compared: no check lays the model over {made_from[0]}. Compare it with them."


def _answer(
    question: str,
    rows: list[ReportRow],
    issues: list[Issue],
    doubts: list[Issue] | None = None,
    unseen: str = "Nothing to compare with.",
) -> ChecklistAnswer:
    """Answer a question of the checklist.

    Args:
        question: The question.
        rows: The measures.
        issues: Findings that speak against it: the answer is no, as with a failed row.
        doubts: Findings that make a good measure no proof: the answer is open then, and a person looks.
        unseen: The evidence where nothing was tested.
    """
    tested = [r for r in rows if r.outcome is not CheckOutcome.NOT_TESTED]
    if issues:
        return ChecklistAnswer(
            question=question,
            outcome=CheckOutcome.FAIL,
            evidence="; ".join(dict.fromkeys(_issue_text(i) for i in issues)),
        )
    failed = [r for r in tested if r.outcome is CheckOutcome.FAIL]
    if not tested or (doubts and not failed):
        reasons = dict.fromkeys(_doubt_text(i) for i in doubts or ())
        seen = "; ".join(_row_texts(tested)) if tested else unseen.rstrip(".")
        evidence = ". ".join([*reasons, seen])
        return ChecklistAnswer(
            question=question,
            outcome=CheckOutcome.NOT_TESTED,
            evidence=f"Look at it yourself: {evidence}." if reasons else unseen,
        )
    return ChecklistAnswer(
        question=question,
        outcome=CheckOutcome.FAIL if failed else CheckOutcome.PASS,
        evidence="; ".join(dict.fromkeys(_row_texts(failed or tested))),
    )


def _only_measure(row: ReportRow, measure: str) -> ReportRow:
    """Reduce a likeness row to one of its measures, as passed: if this measure fails, an issue says so."""
    part = next((part for part in row.measured.split(", ") if part.startswith(measure)), "")
    tested = row.outcome is not CheckOutcome.NOT_TESTED
    return replace(row, measured=part, outcome=CheckOutcome.PASS if tested else row.outcome)


def _doubt_text(found: Issue) -> str:
    """Return a doubt with its measure, e.g. `The shape is uncertain (Model probably good: 10 %)`."""
    meaning = found.meaning.partition(". ")[0].rstrip(".")
    measure = finding_measure(found).rstrip(".")
    return f"{meaning} ({measure})" if measure else meaning


def _issue_text(found: Issue) -> str:
    place = f"{place_text(found.pointer)}: " if found.pointer else ""
    return place + found.message.rstrip(".") + (f" ({found.measured})" if found.measured else "")


def _row_texts(rows: list[ReportRow]) -> Iterator[str]:
    for row in rows:
        named = row.profile in SIZE_PROFILES and row.outcome is CheckOutcome.FAIL
        where = f"{row.profile}: " if named else ""
        yield f"{where}{check_text(row.check)}{f': {row.measured}' if row.measured else ''}"
