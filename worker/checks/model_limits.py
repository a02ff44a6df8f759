"""Profiles of models: the GLB against every limit of every known profile, a row each: the report's matrix. Those that the deliverable names find issues."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from dam_connector.domain.issue import CheckOutcome, Issue, ReportRow, Severity, issue
from dam_connector.domain.issue_codes import known_code
from dam_connector.domain.model_profiles import MEASURES, LimitLevel, ModelLimit
from dam_connector.domain.rules import Rules
from worker.measuring.check_subject import CheckSubject
from worker.measuring.glb_measures import Measured, measures

NEAR = 1e-9  # relative: what a float loses on its way


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Issues limit.*"""
    found = measures(subject)
    for name, profile in rules.model_profiles.items():
        for limit in profile.limits:
            value = found.get(limit.measure)
            outcome, worst = judge(limit, value)
            subject.rows.append(_row(name, limit, outcome, worst))
            if outcome is CheckOutcome.FAIL and name in subject.held_to:
                made = issue(
                    known_code(f"limit.{limit.measure}"),
                    f"{name}{' advises' if limit.level is LimitLevel.SHOULD else ''}: {MEASURES[limit.measure].title} {_bound(limit)}.",
                    pointer=f"/profiles/{name}/{limit.measure}",
                    measured=_told(worst, limit.measure),
                    limit=f"{_bound(limit)} ({limit.source})",
                )
                yield replace(made, severity=Severity.WARNING) if limit.level is LimitLevel.SHOULD else made


def judge(limit: ModelLimit, value: Measured) -> tuple[CheckOutcome, float | None]:
    """Whether a value is within a limit, and which of a pair decided it."""
    if value is None:
        return CheckOutcome.NOT_TESTED, None
    low, high = value if isinstance(value, tuple) else (value, value)
    if limit.at_most is not None and high > limit.at_most + NEAR * abs(limit.at_most):
        return CheckOutcome.FAIL, high
    if limit.at_least is not None and low < limit.at_least - NEAR * abs(limit.at_least):
        return CheckOutcome.FAIL, low
    return CheckOutcome.PASS, high if limit.at_most is not None else low


def _row(name: str, limit: ModelLimit, outcome: CheckOutcome, worst: float | None) -> ReportRow:
    title = MEASURES[limit.measure].title
    return ReportRow(
        check=f"{title} (advice)" if limit.level is LimitLevel.SHOULD else title,
        outcome=outcome,
        profile=name,
        measured=_told(worst, limit.measure),
        limit=_bound(limit),
        source=limit.source,
    )


def _bound(limit: ModelLimit) -> str:
    bounds: Mapping[str, float | None] = {"at least": limit.at_least, "at most": limit.at_most}
    return ", ".join(
        f"{word} {_told(bound, limit.measure)}" for word, bound in bounds.items() if bound is not None
    )


def _told(value: float | None, measure: str) -> str:
    """A number with its unit; bytes in MB."""
    if value is None:
        return ""
    if measure == "file_bytes":
        return f"{value / 1e6:.2f} MB"
    unit, value = MEASURES[measure].unit, 0.0 if abs(value) < 1e-4 else value
    return (
        f"{value:,.0f}{f' {unit}' if unit else ''}"
        if float(value).is_integer()
        else f"{value:,.4g}{f' {unit}' if unit else ''}"
    )
