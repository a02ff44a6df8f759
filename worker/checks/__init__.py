"""Checks: one a file, each a function `check(subject, rules)` that yields issues.

To add a check: write a file, add a line to CHECKS, and its codes to the issue codes (docs/adding.md).
"""

import traceback
from collections.abc import Callable, Collection, Iterator, Mapping

import structlog

from dam_connector.domain.issue import CheckOutcome, Issue, Report, ReportRow, apply_severities, issue
from dam_connector.domain.rules import Rules
from worker.checks import (
    conformance,
    dimensions,
    embedded_metadata,
    file_limits,
    geometry,
    likeness,
    lods,
    look,
    model_limits,
    name_patterns,
    picture_limits,
    rendition_files,
    usdz,
    uvs,
    videos,
    web_glb,
)
from worker.measuring.check_subject import CheckSubject

log = structlog.get_logger()
MAX_TRACEBACK_CHARACTERS = 8000
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
    "look": (look.check, "original"),
    "usdz": (usdz.check, "usdz"),
    "web": (web_glb.check, "web"),
    "levels of detail": (lods.check, "lod"),
    "pictures": (rendition_files.check, "picture"),
    "picture profiles": (picture_limits.check, "picture"),
    "videos": (videos.check, "mp4"),
    "labels": (embedded_metadata.check, "any"),
    "names": (name_patterns.check, "any"),
}


def _log_failure(name: str, traceback: str) -> None:
    log.error("check_failed", check=name, traceback=traceback)


def run_checks(
    subject: CheckSubject,
    rules: Rules,
    *,
    earlier_issues: tuple[Issue, ...] = (),
    facts: Mapping[str, str | int | float | bool | None] | None = None,
    skip: Collection[str] = (),
    done: Collection[str] = (),
    earlier_rows: tuple[ReportRow, ...] = (),
    on_done: Callable[[str, Report], None] = lambda name, found: None,
    on_check: Callable[[str], None] = lambda name: None,
    on_failure: Callable[[str, str], None] = _log_failure,
) -> Report:
    """Run all checks that apply.

    Args:
        subject: The files.
        rules: The rules, with the admin's limits and severities.
        earlier_issues: Issues that were found before; the report has them too.
        facts: Facts that were found before.
        skip: Names of checks to leave out.
        done: Names of checks that were made before; their issues and rows are among the earlier ones.
        earlier_rows: Rows that were made before; the report has them too.
        on_done: Called with the name of each check that was made, and what it found.
        on_check: Called with the name of each check before it runs.
        on_failure: Called with the name of a check that raised an exception, and the traceback.

    Returns:
        The report: issues with the admin's severities, and a row for each check, tested or not.
    """
    issues, rows = list(earlier_issues), list(earlier_rows)
    subject.start_slow_measurements()
    for name, (check, file_kind) in CHECKS.items():
        if name in done:
            continue
        reason = _reason_not_to_test(name, file_kind, subject, skip)
        if reason:
            rows.append(ReportRow(check=name, outcome=CheckOutcome.NOT_TESTED, detail=reason))
            continue
        on_check(name)
        found = _run_check(name, check, subject, rules, on_failure)
        made = (_row(name, found, rules), *subject.rows)
        on_done(name, Report(issues=tuple(found), rows=made, facts=dict(subject.facts)))
        rows += made
        subject.rows.clear()
        issues += found
    return Report(
        issues=apply_severities(dict.fromkeys(issues), rules.checks.severities),
        rows=tuple(rows),
        facts={**(facts or {}), **subject.facts},
        held_to=subject.required_profiles,
    )


def _run_check(
    name: str,
    check: Check,
    subject: CheckSubject,
    rules: Rules,
    on_failure: Callable[[str, str], None],
) -> list[Issue]:
    """Return the issues that a check finds; an exception is a bug of ours, and an issue that says so."""
    try:
        return list(check(subject, rules))
    except MemoryError:  # the limit of the check process, which the file exceeds
        raise
    except Exception as error:  # noqa: BLE001 - one check never stops the others
        on_failure(name, "".join(traceback.format_exception(error))[-MAX_TRACEBACK_CHARACTERS:])
        message = "This check could not be run because of a fault in the connector. The log has the details."
        return [issue("file.check_failed", message, measured=f"{name}: {type(error).__name__}")]


def _reason_not_to_test(name: str, file_kind: str, subject: CheckSubject, skip: Collection[str]) -> str:
    """Return why a check does not run; empty when it does."""
    if name in skip:
        return "the check cannot be made on this file"
    if subject.has(file_kind):
        return ""
    if file_kind == "original":
        return "the model was made here"
    return "no photo to compare it with" if file_kind == "photo" else "no such file in this version"


def _row(name: str, found: list[Issue], rules: Rules) -> ReportRow:
    """Return a check's row: not tested, failed by an error, or passed."""
    untested = [i for i in found if i.code.endswith((".not_tested", ".check_failed"))]
    counted = apply_severities([i for i in found if i not in untested], rules.checks.severities)
    outcome = CheckOutcome.PASS
    if untested:
        outcome = CheckOutcome.NOT_TESTED
    elif any(i.severity == "error" for i in counted):
        outcome = CheckOutcome.FAIL
    codes = ", ".join(sorted({i.code for i in counted}))
    return ReportRow(check=name, outcome=outcome, detail=codes or (untested[0].message if untested else ""))


__all__ = ["CHECKS", "Check", "CheckSubject", "run_checks"]
