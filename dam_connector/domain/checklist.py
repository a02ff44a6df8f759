"""The review checklist of a model, each question answered by what the report holds; the last one stays the reviewer's."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dam_connector.domain.issue import Issue, Outcome, Report, Row
from dam_connector.domain.model_profiles import MEASURES

LIKENESS = "likeness to "
SIZE_OFF = MEASURES["product_off_pct"].title
SIZE_PROFILES = ("khronos-mobile-ar", "khronos-desktop")
SIZE_MEASURES = tuple(
    MEASURES[m].title for m in ("file_bytes", "triangles", "texture_width_px", "texture_height_px")
)
_PROPORTIONS = ("geometry.dimensions", "geometry.unit", "geometry.axis", "likeness.proportions")
_LOOK = ("likeness.colour", "file.not_pbr", "file.texture_missing", "uv.missing", "geometry.normals")
_FORMAT = ("conformance.error", "file.unreadable", "file.stream", "usdz.", "web.differs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A question, whether the evidence says yes (pass), no (fail) or nothing, and the evidence."""

    question: str
    outcome: Outcome
    evidence: str


def answers(report: Report) -> tuple[Answer, ...]:
    """The answers that a model's report gives; nothing for a report on pictures."""
    if not any(r.check == "geometry" and r.outcome is not Outcome.NOT_TESTED for r in report.rows):
        return ()
    likeness = [r for r in report.rows if r.check.startswith(LIKENESS)]
    size_off = [r for r in report.rows if r.check == SIZE_OFF][:1]
    formats = [r for r in report.rows if r.check in ("conformance", "usdz", "web")]
    sizes = [r for r in report.rows if r.profile in SIZE_PROFILES and r.check in SIZE_MEASURES]
    return (
        _answer("Does the model match the product image?", likeness, _found(report, "likeness.")),
        _answer(
            "Are the proportions close to the real product?",
            size_off or [_only(r, "proportions") for r in likeness],
            _found(report, *_PROPORTIONS),
        ),
        _answer(
            "Do material and colour look correct?",
            [_only(r, "colour") for r in likeness],
            _found(report, *_LOOK),
        ),
        _answer("Is the file format correct?", formats, _found(report, *_FORMAT)),
        _answer("Is the file size suitable for web and mobile?", sizes, []),
        Answer(
            question="Does it need another version?",
            outcome=Outcome.NOT_TESTED,
            evidence="This is yours to say.",
        ),
    )


def _found(report: Report, *codes: str) -> list[Issue]:
    return [
        i
        for i in report.issues
        if any(i.code.startswith(c) if c.endswith(".") else i.code == c for c in codes)
    ]


def _answer(question: str, rows: list[Row], against: list[Issue]) -> Answer:
    """No, where a finding or a failed row speaks against it; yes, where something was looked at and nothing does."""
    tested = [r for r in rows if r.outcome is not Outcome.NOT_TESTED]
    if against:
        return Answer(
            question=question,
            outcome=Outcome.FAIL,
            evidence="; ".join(dict.fromkeys(_words(i) for i in against)),
        )
    if not tested:
        return Answer(question=question, outcome=Outcome.NOT_TESTED, evidence="Nothing to compare with.")
    failed = [r for r in tested if r.outcome is Outcome.FAIL]
    told = failed or tested
    return Answer(
        question=question,
        outcome=Outcome.FAIL if failed else Outcome.PASS,
        evidence="; ".join(dict.fromkeys(_told(told))),
    )


def _only(row: Row, measure: str) -> Row:
    """A row of likeness with one of its measures; whether that one fails, findings say."""
    told = next((part for part in row.measured.split(", ") if part.startswith(measure)), "")
    return replace(
        row, measured=told, outcome=row.outcome if row.outcome is Outcome.NOT_TESTED else Outcome.PASS
    )


def _words(found: Issue) -> str:
    return found.message.rstrip(".") + (f" ({found.measured})" if found.measured else "")


def _told(rows: list[Row]) -> Iterator[str]:
    for row in rows:
        where = f"{row.profile}: " if row.profile in SIZE_PROFILES and row.outcome is Outcome.FAIL else ""
        yield f"{where}{row.check}{f': {row.measured}' if row.measured else ''}"
