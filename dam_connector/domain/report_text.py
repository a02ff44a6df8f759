"""A report as text: Markdown for people, JUnit XML for build servers."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence

from dam_connector.domain.checklist import answers
from dam_connector.domain.issue import Issue, Outcome, Report, Row

OUTCOMES = {Outcome.PASS: "pass", Outcome.FAIL: "**fail**", Outcome.NOT_TESTED: "not tested"}


def markdown(report: Report, title: str) -> str:
    """The report as Markdown: the verdict, the checklist, the findings, the checks, the matrix of profiles."""
    lines = [f"# {title}", "", "Blocked: it has errors." if report.blocked else "Nothing blocks it.", ""]
    found = answers(report)
    if found:
        lines += [
            *_table(
                ("question", "answer", "evidence"), [(a.question, _yes(a.outcome), a.evidence) for a in found]
            ),
            "",
        ]
    if report.issues:
        rows = [
            (i.severity.value, f"`{i.code}`", i.pointer, i.message, _measured(i), i.remedy)
            for i in report.issues
        ]
        lines += [
            "## Findings",
            "",
            *_table(("severity", "code", "where", "what", "measured", "remedy"), rows),
            "",
        ]
    checks = [(r.check, OUTCOMES[r.outcome], r.measured or r.detail) for r in report.rows if not r.profile]
    lines += ["## Checks", "", *_table(("check", "outcome", ""), checks), ""]
    profiles = matrix(report.rows)
    if profiles:
        lines += ["## Profiles", "", "Bold ones are those that must be satisfied.", ""]
        names = list(dict.fromkeys(r.profile for r in report.rows if r.profile))
        heads = ("", *(f"**{n}**" if n in report.held_to else n for n in names))
        lines += [
            *_table(heads, [(check, *(_cell(row.get(n)) for n in names)) for check, row in profiles.items()]),
            "",
        ]
    return "\n".join(lines)


def matrix(rows: Sequence[Row]) -> dict[str, dict[str, Row]]:
    """What profiles limit, by what is limited and by profile."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        if row.profile:
            found.setdefault(row.check, {})[row.profile] = row
    return found


def junit(report: Report, title: str) -> str:
    """The report as JUnit XML: a test case a check, and a limit of the profiles that must be satisfied; errors fail, warnings are told."""
    root = ET.Element("testsuites", name=title)
    suites = {"checks": [r for r in report.rows if not r.profile]} | {
        p: [r for r in report.rows if r.profile == p] for p in report.held_to
    }
    for name, rows in suites.items():
        suite = ET.SubElement(root, "testsuite", name=name, tests=str(len(rows)))
        counts = [_case(suite, name, row, list(_belonging(report, row))) for row in rows]
        suite.set("failures", str(counts.count(Outcome.FAIL)))
        suite.set("skipped", str(counts.count(Outcome.NOT_TESTED)))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, name: str, row: Row, found: list[Issue]) -> Outcome:
    case = ET.SubElement(suite, "testcase", classname=name, name=row.check)
    errors = [i for i in found if i.severity == "error"]
    words = _clean(
        "\n".join(
            f"{i.severity.value}: {i.code} {i.pointer}\n{i.message} {_measured(i)}\n{i.remedy}" for i in found
        )
    )
    if row.outcome is Outcome.NOT_TESTED:
        ET.SubElement(case, "skipped", message=_clean(row.detail))
        return row.outcome
    if errors or (row.outcome is Outcome.FAIL and not found and not row.profile):
        failure = ET.SubElement(case, "failure", message=_clean(errors[0].message if errors else row.detail))
        failure.text = words
        return Outcome.FAIL
    if words:
        ET.SubElement(case, "system-out").text = words
    return Outcome.PASS


def _belonging(report: Report, row: Row) -> Iterator[Issue]:
    """The issues that made a row what it is."""
    codes = set(row.detail.split(", "))
    for found in report.issues:
        of_profile = found.pointer.startswith(f"/profiles/{row.profile}/")
        if (
            (of_profile and found.message.split(": ", 1)[-1].startswith(row.check.removesuffix(" (advice)")))
            if row.profile
            else found.code in codes
        ):
            yield found


def _clean(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(c for c in text if c in "\t\n" or ord(c) >= 32)[:8000]


def _measured(found: Issue) -> str:
    return f"{found.measured}{f', limit {found.limit}' if found.limit else ''}" if found.measured else ""


def _yes(outcome: Outcome) -> str:
    return {Outcome.PASS: "yes", Outcome.FAIL: "**no**", Outcome.NOT_TESTED: "open"}[outcome]


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    return f"{OUTCOMES[row.outcome]} {row.measured}".strip() + (
        f" ({row.limit})" if row.outcome is Outcome.FAIL else ""
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    yield from (f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in rows)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
