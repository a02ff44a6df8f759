"""`dam-worker check`: check a GLB, USDZ or picture, and print the report."""

import sys
from pathlib import Path

import click

from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import CheckOutcome, Report
from dam_connector.domain.report_text import report_junit, report_markdown
from dam_connector.domain.rules import Rules
from dam_connector.domain.version import Role, VersionFile
from schemas.report import ReportOut
from worker.check_process import CHECK_PROCESS
from worker.check_request import CheckRequest
from worker.imaging.encode import MIME
from worker.tools.output import (
    EXIT_ISSUES,
    EXIT_UNUSABLE,
    INPUT_FILE,
    OUTPUT_DIR,
    json_option,
    load_rules_or_stop,
    print_result,
    read_photos_or_stop,
    read_product_or_stop,
    stop,
)

UNREADABLE = (
    "file.unreadable",
    "geometry.empty",
    "source.not_an_image",
)  # codes of files that hold nothing to check
TEXTS = {"markdown": report_markdown, "junit": report_junit}


@click.command()
@click.argument("file", type=INPUT_FILE)
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    help="A profile that the file must satisfy, e.g. khronos-mobile-ar. May be given more than once.",
)
@click.option(
    "--product",
    "product_file",
    type=INPUT_FILE,
    help="The product's record as JSON: then size, name and unit are checked too.",
)
@click.option(
    "--photo",
    "photos",
    multiple=True,
    metavar="VIEW=FILE",
    help="A photo to compare a model with, e.g. front=chair.jpg. May be given more than once.",
)
@click.option(
    "--as",
    "output_format",
    type=click.Choice(["text", "json", "markdown", "junit"]),
    default="text",
    show_default=True,
    help="The format of the report.",
)
@click.option("--pictures", type=OUTPUT_DIR, help="A folder for the report's pictures.")
@json_option
def check(
    file: Path,
    profiles: tuple[str, ...],
    product_file: Path | None,
    photos: tuple[str, ...],
    output_format: str,
    pictures: Path | None,
    as_json: bool,
) -> None:
    """Check a GLB, USDZ or picture, and print the report.

    Exit code 0: no issue is an error. 1: at least one is. 2: the file cannot be read.
    """
    as_json = as_json or output_format == "json"
    rules = load_rules_or_stop(as_json)
    _stop_on_unknown_profiles(profiles, rules, as_json)
    data = file.read_bytes()
    request = CheckRequest(
        product=read_product_or_stop(product_file, as_json) if product_file else None,
        deliverable=None,
        slot=1,
        number=1,
        files=(_version_file(file, data, as_json),),
        contents={file.name: data},
        rules=rules,
        photos=read_photos_or_stop(photos, as_json),
        profiles=profiles,
    )
    checked = CHECK_PROCESS.check(request)  # it ends with this process
    report = checked.report
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
        for name, picture in checked.pictures.items():
            (pictures / f"{name}.webp").write_bytes(picture)
    text = TEXTS.get(output_format)
    lines = [text(report, file.name)] if text else _report_lines(file, report)
    print_result(as_json, {"file": str(file), **ReportOut().dump(report)}, lines)
    if any(i.code in UNREADABLE for i in report.issues):
        sys.exit(EXIT_UNUSABLE)
    sys.exit(EXIT_ISSUES if report.blocked else 0)


def _version_file(file: Path, data: bytes, as_json: bool) -> VersionFile:
    """Describe the file as a version's. Stop when its extension is unknown."""
    extension = file.suffix[1:].lower()
    format = {"jpg": "jpeg"}.get(extension, extension)
    if format not in MIME:
        known = ", ".join(MIME)
        stop(as_json, "format", f"{file.name} is none of: {known}", "Give the file its right extension.")
    return VersionFile(
        name=file.name,
        format=format,
        role=Role.PRIMARY,
        view="",
        mime=MIME[format],
        sha256=Sha256(""),
        bytes=len(data),
    )


def _stop_on_unknown_profiles(profiles: tuple[str, ...], rules: Rules, as_json: bool) -> None:
    for unknown in (p for p in profiles if p not in rules.model_profiles):
        known = ", ".join(rules.model_profiles)
        stop(as_json, "profile", f"there is no profile {unknown!r}", f"Known: {known}.")


def _report_lines(file: Path, report: Report) -> list[str]:
    """Return the report for a terminal: result, checks, profiles and issues, worst first."""
    lines = [f"{file}: {'blocked' if report.blocked else 'good'}"]
    lines += [
        f"  {row.outcome.value:10} {row.check}{f': {row.measured}' if row.measured else ''}"
        for row in report.rows
        if not row.profile
    ]
    for profile in dict.fromkeys(row.profile for row in report.rows if row.profile):
        failed = [
            f"{row.check} {row.measured}"
            for row in report.rows
            if row.profile == profile and row.outcome is CheckOutcome.FAIL
        ]
        level = "required" if profile in report.held_to else "for information"
        faults = f": {'; '.join(failed)}" if failed else ""
        lines.append(f"  {'fail' if failed else 'pass':10} profile {profile} ({level}){faults}")
    for i in report.issues:
        lines += [
            f"  {i.severity.value}: {i.code} {i.pointer}",
            f"    {i.message}" + (f" Measured {i.measured}, limit {i.limit}." if i.measured else ""),
            f"    {i.remedy}",
        ]
    return lines
