"""Reports as text: Markdown for people, JUnit XML for build servers."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence

from dam_connector.domain.checklist import checklist_answers
from dam_connector.domain.issue import CheckOutcome, Issue, Report, ReportRow

OUTCOMES = {CheckOutcome.PASS: "pass", CheckOutcome.FAIL: "**fail**", CheckOutcome.NOT_TESTED: "not tested"}
_ANSWERS = {CheckOutcome.PASS: "yes", CheckOutcome.FAIL: "**no**", CheckOutcome.NOT_TESTED: "open"}


def report_markdown(report: Report, title: str) -> str:
    """Return the report as Markdown: result, checklist, findings, checks, and a table of the profiles."""
    result = "Blocked: it has errors." if report.blocked else "Not blocked: it has no errors."
    lines = [f"# {title}", "", result, ""]
    if answers := checklist_answers(report):
        rows = [(a.question, _ANSWERS[a.outcome], a.evidence) for a in answers]
        lines += [*_table(("question", "answer", "evidence"), rows), ""]
    if report.issues:
        findings = [
            (i.severity.value, f"`{i.code}`", i.pointer, i.message, _measured(i), i.remedy)
            for i in report.issues
        ]
        heads = ("severity", "code", "where", "finding", "measured", "remedy")
        lines += ["## Findings", "", *_table(heads, findings), ""]
    checks = [(r.check, OUTCOMES[r.outcome], r.measured or r.detail) for r in report.rows if not r.profile]
    lines += ["## Checks", "", *_table(("check", "outcome", ""), checks), ""]
    return "\n".join([*lines, *_profile_lines(report)])


def _profile_lines(report: Report) -> list[str]:
    by_check = profile_matrix(report.rows)
    if not by_check:
        return []
    names = list(dict.fromkeys(r.profile for r in report.rows if r.profile))
    heads = ("", *(f"**{n}**" if n in report.held_to else n for n in names))
    rows = [(check, *(_cell(row.get(n)) for n in names)) for check, row in by_check.items()]
    return ["## Profiles", "", "The version must satisfy the profiles in bold.", "", *_table(heads, rows), ""]


def profile_matrix(rows: Sequence[ReportRow]) -> dict[str, dict[str, ReportRow]]:
    """Return the rows about profiles by measure, then by profile."""
    by_check: dict[str, dict[str, ReportRow]] = {}
    for row in rows:
        if row.profile:
            by_check.setdefault(row.check, {})[row.profile] = row
    return by_check


def report_junit(report: Report, title: str) -> str:
    """Return the report as JUnit XML.

    Each check is a test case, and so is each limit of a profile that the version must satisfy. Errors are
    failures; warnings are written to system-out.
    """
    root = ET.Element("testsuites", name=title)
    suites = {"checks": [r for r in report.rows if not r.profile]} | {
        p: [r for r in report.rows if r.profile == p] for p in report.held_to
    }
    for name, rows in suites.items():
        suite = ET.SubElement(root, "testsuite", name=name, tests=str(len(rows)))
        outcomes = [_add_case(suite, name, row, list(_issues_of_row(report, row))) for row in rows]
        suite.set("failures", str(outcomes.count(CheckOutcome.FAIL)))
        suite.set("skipped", str(outcomes.count(CheckOutcome.NOT_TESTED)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _add_case(suite: ET.Element, name: str, row: ReportRow, issues: list[Issue]) -> CheckOutcome:
    case = ET.SubElement(suite, "testcase", classname=name, name=row.check)
    errors = [i for i in issues if i.severity == "error"]
    text = _without_controls(
        "\n".join(
            f"{i.severity.value}: {i.code} {i.pointer}\n{i.message} {_measured(i)}\n{i.remedy}"
            for i in issues
        )
    )
    if row.outcome is CheckOutcome.NOT_TESTED:
        ET.SubElement(case, "skipped", message=_without_controls(row.detail))
        return row.outcome
    if errors or (row.outcome is CheckOutcome.FAIL and not issues and not row.profile):
        message = errors[0].message if errors else row.detail
        ET.SubElement(case, "failure", message=_without_controls(message)).text = text
        return CheckOutcome.FAIL
    if text:
        ET.SubElement(case, "system-out").text = text
    return CheckOutcome.PASS


def _issues_of_row(report: Report, row: ReportRow) -> Iterator[Issue]:
    """Yield the issues that gave a row its outcome."""
    codes = set(row.detail.split(", "))
    measure = row.check.removesuffix(" (advice)")
    for found in report.issues:
        if row.profile:
            of_profile = found.pointer.startswith(f"/profiles/{row.profile}/")
            belongs = of_profile and found.message.split(": ", 1)[-1].startswith(measure)
        else:
            belongs = found.code in codes
        if belongs:
            yield found


def _without_controls(text: str) -> str:
    """Remove the control characters that XML cannot hold, and shorten the text to 8000 characters."""
    return "".join(c for c in text if c in "\t\n" or ord(c) >= 32)[:8000]


def _measured(found: Issue) -> str:
    return f"{found.measured}{f', limit {found.limit}' if found.limit else ''}" if found.measured else ""


def _cell(row: ReportRow | None) -> str:
    if row is None:
        return ""
    limit = f" ({row.limit})" if row.outcome is CheckOutcome.FAIL else ""
    return f"{OUTCOMES[row.outcome]} {row.measured}".strip() + limit


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    yield from (f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in rows)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
