"""Issues and reports: findings about products and versions. A finding is data, never an exception.

The codes are in `issue_codes`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from dam_connector.domain.issue_codes import CODES, IssueCode


class Severity(StrEnum):
    """How much an issue matters: an error blocks a version, a warning asks a person to look."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


# Prefixes of issue codes whose findings are causes of the others', e.g. a photo given as two views.
_CAUSES = ("product.", "source.", "cutout.", "capture.", "model.")
_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One finding about a product, a picture or a model."""

    code: IssueCode
    severity: Severity
    message: str  # what was found, for people
    pointer: str = ""  # where, e.g. `/images/front` or `/meshes/0`
    measured: str = ""  # the measured value with its unit
    limit: str = ""  # the limit that it is compared with

    @property
    def meaning(self) -> str:
        """Return the meaning of the code, from the catalog."""
        return CODES[self.code].meaning

    @property
    def remedy(self) -> str:
        """Return the remedy, that of admins included."""
        return self.remedy_for(is_admin=True)

    def remedy_for(self, *, is_admin: bool) -> str:
        """Return the remedy for a person: steps that need plugin.json or the machine are for admins alone."""
        spec = CODES[self.code]
        return f"{spec.remedy} {spec.admin}".strip() if is_admin else spec.remedy


def issue(
    code: IssueCode, message: str, *, pointer: str = "", measured: object = "", limit: object = ""
) -> Issue:
    """Create an issue with the severity that the catalog gives its code.

    Raises:
        KeyError: The catalog has no such code.
    """
    return Issue(
        code=code,
        severity=Severity(CODES[code].severity),
        message=message,
        pointer=pointer,
        measured=str(measured),
        limit=str(limit),
    )


def apply_severities(issues: Iterable[Issue], severities: Mapping[IssueCode, str]) -> tuple[Issue, ...]:
    """Return the issues with the severities that an admin set: the most severe first, causes before effects.

    Args:
        issues: The issues, with the severities of the catalog.
        severities: Severity by issue code, from plugin.json; "off" drops the issue.
    """
    result = []
    for found in issues:
        severity = severities.get(found.code, found.severity)
        if severity != "off":
            result.append(replace(found, severity=Severity(severity)))
    return tuple(sorted(result, key=_place))


def _place(found: Issue) -> tuple[int, int, str, str]:
    """Return the sorting key of an issue in its report."""
    cause = next((n for n, prefix in enumerate(_CAUSES) if found.code.startswith(prefix)), len(_CAUSES))
    return _ORDER[found.severity], cause, found.code, found.pointer


class CheckOutcome(StrEnum):
    """How a check or a limit of a profile ended."""

    PASS = "pass"
    FAIL = "fail"
    NOT_TESTED = "not_tested"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """The outcome of one check, or of one limit of a profile."""

    check: str  # name of the check, or title of the measure that is limited
    outcome: CheckOutcome
    detail: str = ""  # the issue codes found, or why it was not tested
    profile: str = ""  # the profile whose limit this is; empty for a check
    measured: str = ""
    limit: str = ""
    source: str = ""  # where the limit comes from


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """An operator's statement that an issue code is accepted on one version."""

    code: str
    by: str
    reason: str
    until: datetime | None = None  # when the waiver ends; None: never


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All findings for a version, and what was checked."""

    issues: tuple[Issue, ...] = ()
    rows: tuple[ReportRow, ...] = ()
    facts: Mapping[str, str | int | float | bool | None] | None = None  # measured values by name
    waivers: tuple[Waiver, ...] = ()
    held_to: tuple[str, ...] = ()  # the profiles that the version must satisfy

    def errors(self, at: datetime | None = None) -> tuple[Issue, ...]:
        """Return the issues of severity error that are not waived.

        Args:
            at: Ignore waivers that ended before this time; None: no waiver has ended.
        """
        waived = {w.code for w in self.waivers if at is None or w.until is None or w.until > at}
        return tuple(i for i in self.issues if i.severity is Severity.ERROR and i.code not in waived)

    @property
    def blocked(self) -> bool:
        """Return True if there are errors that are not waived."""
        return bool(self.errors())
