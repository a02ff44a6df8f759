"""Model limits: the GLB against each limit of each known profile, one row a limit.

Only the profiles that the deliverable requires yield issues; the others are for information.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from dam_connector.domain.issue import CheckOutcome, Issue, ReportRow, Severity, issue
from dam_connector.domain.issue_codes import known_code
from dam_connector.domain.model_profiles import MEASURES, LimitLevel, ModelLimit
from dam_connector.domain.rules import Rules
from worker.measuring.check_subject import CheckSubject
from worker.measuring.glb_measures import MeasuredValue, glb_measurements

ROUNDING = 1e-9  # relative: rounding errors of floats are no violation


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Yield limit.* for required profiles; add a row for each limit."""
    found = glb_measurements(subject)
    for name, profile in rules.model_profiles.items():
        for limit in profile.limits:
            value = found.get(limit.measure)
            outcome, worst = judge_limit(limit, value)
            subject.rows.append(_row(name, limit, outcome, worst))
            if outcome is CheckOutcome.FAIL and name in subject.required_profiles:
                made = issue(
                    known_code(f"limit.{limit.measure}"),
                    f"{name}{' advises' if limit.level is LimitLevel.SHOULD else ''}: "
                    f"{MEASURES[limit.measure].title} {_bound_text(limit)}.",
                    pointer=f"/profiles/{name}/{limit.measure}",
                    measured=_value_text(worst, limit.measure),
                    limit=f"{_bound_text(limit)} ({limit.source})",
                )
                yield replace(made, severity=Severity.WARNING) if limit.level is LimitLevel.SHOULD else made


def judge_limit(limit: ModelLimit, value: MeasuredValue) -> tuple[CheckOutcome, float | None]:
    """Return whether a value is within a limit, and the value of a pair that decided it."""
    if value is None:
        return CheckOutcome.NOT_TESTED, None
    low, high = value if isinstance(value, tuple) else (value, value)
    if limit.at_most is not None and high > limit.at_most + ROUNDING * abs(limit.at_most):
        return CheckOutcome.FAIL, high
    if limit.at_least is not None and low < limit.at_least - ROUNDING * abs(limit.at_least):
        return CheckOutcome.FAIL, low
    return CheckOutcome.PASS, high if limit.at_most is not None else low


def _row(name: str, limit: ModelLimit, outcome: CheckOutcome, worst: float | None) -> ReportRow:
    title = MEASURES[limit.measure].title
    return ReportRow(
        check=f"{title} (advice)" if limit.level is LimitLevel.SHOULD else title,
        outcome=outcome,
        profile=name,
        measured=_value_text(worst, limit.measure),
        limit=_bound_text(limit),
        source=limit.source,
    )


def _bound_text(limit: ModelLimit) -> str:
    bounds: Mapping[str, float | None] = {"at least": limit.at_least, "at most": limit.at_most}
    return ", ".join(
        f"{word} {_value_text(bound, limit.measure)}" for word, bound in bounds.items() if bound is not None
    )


def _value_text(value: float | None, measure: str) -> str:
    """Return a number with its unit, e.g. `512 px`; bytes in MB."""
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
