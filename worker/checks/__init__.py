"""Checks: one a file, each a function `check(subject, rules)` that yields issues.

To add a check: write a file, add a line to CHECKS, and its codes to the issue codes (docs/adding.md).
"""

from collections.abc import Callable, Collection, Iterator, Mapping

from dam_connector.domain.issue import CheckOutcome, Issue, Report, ReportRow, apply_severities
from dam_connector.domain.rules import Rules
from worker.checks import (
    conformance,
    dimensions,
    embedded_metadata,
    file_limits,
    geometry,
    likeness,
    lods,
    model_limits,
    name_patterns,
    picture_limits,
    rendition_files,
    usdz,
    uvs,
    web_glb,
)
from worker.measuring.check_subject import CheckSubject

Check = Callable[[CheckSubject, Rules], Iterator[Issue]]

# Name in reports -> function, and the kind of file that it needs (`CheckSubject.has`).
CHECKS: Mapping[str, tuple[Check, str]] = {
    "geometry": (geometry.check, "glb"),
    "dimensions": (dimensions.check, "glb"),
    "uvs": (uvs.check, "glb"),
    "conformance": (conformance.check, "glb"),
    "file limits": (file_limits.check, "glb"),
    "model profiles": (model_limits.check, "glb"),
    "likeness": (likeness.check, "photo"),
    "usdz": (usdz.check, "usdz"),
    "web": (web_glb.check, "web"),
    "levels of detail": (lods.check, "lod"),
    "pictures": (rendition_files.check, "picture"),
    "picture profiles": (picture_limits.check, "picture"),
    "labels": (embedded_metadata.check, "any"),
    "names": (name_patterns.check, "any"),
}


def run_checks(
    subject: CheckSubject,
    rules: Rules,
    *,
    earlier_issues: tuple[Issue, ...] = (),
    facts: Mapping[str, str | int | float | bool | None] | None = None,
    skip: Collection[str] = (),
    on_check: Callable[[str], None] = lambda name: None,
) -> Report:
    """Run all checks that apply.

    Args:
        subject: The files.
        rules: The rules, with the admin's limits and severities.
        earlier_issues: Issues that were found before; the report has them too.
        facts: Facts that were found before.
        skip: Names of checks to leave out.
        on_check: Called with the name of each check before it runs.

    Returns:
        The report: issues with the admin's severities, and a row for each check, tested or not.
    """
    issues, rows = list(earlier_issues), list[ReportRow]()
    subject.start_slow_measurements()
    for name, (check, file_kind) in CHECKS.items():
        reason = _reason_not_to_test(name, file_kind, subject, skip)
        if reason:
            rows.append(ReportRow(check=name, outcome=CheckOutcome.NOT_TESTED, detail=reason))
            continue
        on_check(name)
        found = list(check(subject, rules))
        rows += [_row(name, found, rules), *subject.rows]
        subject.rows.clear()
        issues += found
    return Report(
        issues=apply_severities(dict.fromkeys(issues), rules.checks.severities),
        rows=tuple(rows),
        facts={**(facts or {}), **subject.facts},
        held_to=subject.required_profiles,
    )


def _reason_not_to_test(name: str, file_kind: str, subject: CheckSubject, skip: Collection[str]) -> str:
    """Return why a check does not run; empty when it does."""
    if name in skip:
        return "the check cannot read this file"
    if subject.has(file_kind):
        return ""
    return "no photo to compare it with" if file_kind == "photo" else "no such file in this version"


def _row(name: str, found: list[Issue], rules: Rules) -> ReportRow:
    """Return a check's row: not tested, failed by an error, or passed."""
    untested = [i for i in found if i.code.endswith(".not_tested")]
    counted = apply_severities([i for i in found if i not in untested], rules.checks.severities)
    outcome = CheckOutcome.PASS
    if untested:
        outcome = CheckOutcome.NOT_TESTED
    elif any(i.severity == "error" for i in counted):
        outcome = CheckOutcome.FAIL
    codes = ", ".join(sorted({i.code for i in counted}))
    return ReportRow(check=name, outcome=outcome, detail=codes or (untested[0].message if untested else ""))


__all__ = ["CHECKS", "Check", "CheckSubject", "run_checks"]
