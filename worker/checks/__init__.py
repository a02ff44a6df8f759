"""Checks: each file here is one, `check(subject, rules)` giving Issues. To add one: a file, a line in CHECKS, its codes."""

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

CHECKS: Mapping[str, tuple[Check, str]] = {  # name -> function, and the format of file that it wants
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
    """The report on a subject: issues with the admin's severities, and a row for each check, tested or not.

    skip: checks to leave out; begin: told of each check before it runs.
    """
    issues, rows = list(earlier_issues), []
    subject.look_ahead()
    for name, (check, wants) in CHECKS.items():
        if name in skip:
            rows.append(
                ReportRow(
                    check=name, outcome=CheckOutcome.NOT_TESTED, detail="this file cannot be checked so"
                )
            )
            continue
        if not subject.has(wants):
            rows.append(
                ReportRow(
                    check=name,
                    outcome=CheckOutcome.NOT_TESTED,
                    detail="no photo to hold it against"
                    if wants == "photo"
                    else "no such file in this version",
                )
            )
            continue
        on_check(name)
        found = list(check(subject, rules))
        untested = [i for i in found if i.code.endswith(".not_tested")]
        counted = apply_severities([i for i in found if i not in untested], rules.checks.severities)
        outcome = (
            CheckOutcome.NOT_TESTED
            if untested
            else CheckOutcome.FAIL
            if any(i.severity == "error" for i in counted)
            else CheckOutcome.PASS
        )
        rows.append(
            ReportRow(
                check=name,
                outcome=outcome,
                detail=", ".join(sorted({i.code for i in counted}))
                or (untested[0].message if untested else ""),
            )
        )
        issues += found
        rows += subject.rows
        subject.rows.clear()
    return Report(
        issues=apply_severities(dict.fromkeys(issues), rules.checks.severities),
        rows=tuple(rows),
        facts={**(facts or {}), **subject.measured},
        held_to=subject.held_to,
    )


__all__ = ["CHECKS", "Check", "CheckSubject", "run_checks"]
