"""The request to the check process, its result, and the parts of a report that are made so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dam_connector.domain.issue import CheckOutcome, Issue, Report, ReportRow, apply_severities, issue
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.product import Product
from dam_connector.domain.rules import Deliverable, Rules
from dam_connector.domain.version import VersionFile

if TYPE_CHECKING:
    from worker.imaging.cutout import Cutout

Facts = Mapping[str, str | int | float | bool | None]


@dataclass(frozen=True, kw_only=True)
class CheckRequest:
    """The files to check, with all that the checks compare them with."""

    product: Product | None  # None for a file that is checked by hand
    deliverable: Deliverable | None
    slot: int
    number: int  # the version's
    files: tuple[VersionFile, ...]
    contents: Mapping[str, bytes]  # the files' bytes, by name
    rules: Rules
    photos: Mapping[str, bytes] = field(default_factory=dict)  # encoded, by view
    cutouts: Mapping[str, "Cutout"] = field(default_factory=dict)  # of those photos that were cut out before
    profiles: tuple[str, ...] = ()  # that a file checked by hand must satisfy
    made_here: bool | None = None  # whether our own code made the model; None: as the file says
    original: bytes = b""  # the GLB as its maker sent it, before our finishing
    earlier_issues: tuple[Issue, ...] = ()  # found before the checks; the report has them too
    facts: Facts = field(default_factory=dict)  # found before
    skip: tuple[str, ...] = ()  # names of checks to leave out
    done: tuple[str, ...] = ()  # names of checks whose issues and rows are among the earlier ones
    earlier_rows: tuple[ReportRow, ...] = ()

    def after(
        self, parts: Mapping[str, "CheckResult"], broken: Mapping[str, "BrokenCheck"]
    ) -> "CheckRequest":
        """Return the request for what is left to check.

        Args:
            parts: The results of the checks that were made, by name.
            broken: The checks that the files broke, by name.
        """
        reports = [part.report for part in parts.values()]
        return replace(
            self,
            skip=(*self.skip, *broken),
            done=tuple(name for name in parts if name not in broken),
            earlier_issues=(*self.earlier_issues, *(i for report in reports for i in report.issues)),
            earlier_rows=tuple(row for report in reports for row in report.rows),
            facts={**self.facts, **{k: v for report in reports for k, v in (report.facts or {}).items()}},
        )


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """A report and its pictures."""

    report: Report
    pictures: Mapping[str, bytes]  # WebP, by name


@dataclass(frozen=True, slots=True)
class BrokenCheck:
    """The reason why a check was given up."""

    code: IssueCode
    reason: str


def result_without_checks(request: CheckRequest, broken: Mapping[str, BrokenCheck]) -> CheckResult:
    """Return the result for files that broke too many checks: what was found before, and why it ended."""
    rows = tuple(
        ReportRow(check=check or "reading", outcome=CheckOutcome.NOT_TESTED, detail=found.reason)
        for check, found in broken.items()
    )
    issues = apply_severities(dict.fromkeys(request.earlier_issues), request.rules.checks.severities)
    report = Report(issues=issues, rows=(*request.earlier_rows, *rows), facts=request.facts)
    return CheckResult(report=add_broken_issues(report, broken), pictures={})


def add_broken_issues(report: Report, broken: Mapping[str, BrokenCheck]) -> Report:
    """Return the report with an issue for each check that the files broke."""
    issues = tuple(
        issue(found.code, f"Checking it failed: {found.reason}.", measured=check or "reading")
        for check, found in broken.items()
    )
    return replace(report, issues=(*issues, *report.issues))


def report_of_our_fault(request: CheckRequest, error: Exception) -> Report:
    """Return the report when a bug of ours let no check run."""
    message = "The checks could not be run because of a fault in the connector. The log has the details."
    found = issue("file.check_failed", message, measured=f"reading: {type(error).__name__}")
    row = ReportRow(check="reading", outcome=CheckOutcome.NOT_TESTED, detail=message)
    return Report(issues=(found, *request.earlier_issues), rows=(row,), facts=request.facts)
