"""Issue and Report: findings, never exceptions. The codes themselves stand in issue_codes.py."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dam_connector.domain.issue_codes import CODES


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One finding: what (code, message), where (pointer), how much (measured, limit)."""

    code: str
    severity: Severity
    message: str
    pointer: str = ""
    measured: str = ""
    limit: str = ""

    @property
    def remedy(self) -> str:
        return CODES[self.code].remedy


def issue(code: str, message: str, *, pointer: str = "", measured: object = "", limit: object = "") -> Issue:
    """An Issue of a known code with the code's own severity.

    Raises: KeyError when the code is not in the catalog.
    """
    spec = CODES[code]
    return Issue(
        code=code,
        severity=Severity(spec.severity),
        message=message,
        pointer=pointer,
        measured=str(measured),
        limit=str(limit),
    )


def with_severities(issues: Iterable[Issue], severities: Mapping[str, str]) -> tuple[Issue, ...]:
    """The issues with an admin's severities by code; "off" drops them; worst first."""
    kept = []
    for found in issues:
        wanted = severities.get(found.code, found.severity)
        if wanted != "off":
            kept.append(
                Issue(
                    code=found.code,
                    severity=Severity(wanted),
                    message=found.message,
                    pointer=found.pointer,
                    measured=found.measured,
                    limit=found.limit,
                )
            )
    return tuple(sorted(kept, key=lambda i: (_ORDER[i.severity], i.code, i.pointer)))


class Outcome(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    NOT_TESTED = "not_tested"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one check said, or one limit of a profile: passed, failed or not tested, with what was measured, the limit and its source."""

    check: str
    outcome: Outcome
    detail: str = ""
    profile: str = ""
    measured: str = ""
    limit: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """An operator's word that an issue code is accepted on one version. until: when that ends; None: never."""

    code: str
    by: str
    reason: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All findings for a version, and what was looked at. held_to: the profiles that it must satisfy."""

    issues: tuple[Issue, ...] = ()
    rows: tuple[Row, ...] = ()
    facts: Mapping[str, str | int | float | bool | None] | None = None
    waivers: tuple[Waiver, ...] = ()
    held_to: tuple[str, ...] = ()

    def errors(self, at: datetime | None = None) -> tuple[Issue, ...]:
        """The error-level issues nobody waived; `at` a moment, waivers that ended before it do not count."""
        waived = {w.code for w in self.waivers if at is None or w.until is None or w.until > at}
        return tuple(i for i in self.issues if i.severity is Severity.ERROR and i.code not in waived)

    @property
    def blocked(self) -> bool:
        return bool(self.errors())
