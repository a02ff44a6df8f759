"""Name patterns: each file has the name that plugin.json and the profiles prescribe, and it can be parsed."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePath

from dam_connector.domain import name_pattern_syntax
from dam_connector.domain.file_names import expected_fields, file_stem, file_suffix, product_values
from dam_connector.domain.issue import CheckOutcome, Issue, ReportRow, Severity, issue
from dam_connector.domain.model_profiles import ModelProfile
from dam_connector.domain.rules import Rules
from dam_connector.domain.transliteration import ascii_words
from dam_connector.domain.version import Role, VersionFile
from worker.measuring.check_subject import CheckSubject

LOWER_CASE_NAME = re.compile(r"[a-z][a-z0-9_-]*")  # the Khronos asset creation guidelines' rule
LOWER_PATTERN = "{sku:lower}_{name:slug}_v{version}_{format:lower}"


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Yield `naming.pattern` and `naming.profile`, with the name that the file should have."""
    yield from _check_rules(subject, rules)
    for name, profile in rules.model_profiles.items():
        if profile.naming or profile.lower_case:
            for file in subject.files:
                if file.format == "glb":
                    yield from _check_profile(subject, name, profile, file)


def _check_rules(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    product, deliverable = subject.product, subject.deliverable
    if product is None or deliverable is None:
        pattern = rules.naming.default
        for file in subject.files:
            if name_pattern_syntax.parse_name(pattern, PurePath(file.name).stem) is None:
                found = issue(
                    "naming.pattern",
                    f"{file.name} does not follow {pattern}.",
                    pointer=f"/files/{file.name}",
                    measured=file.name,
                    limit=pattern,
                )
                # The file may belong to no product of these rules.
                yield replace(found, severity=Severity.INFO)
        return
    pattern = rules.naming.pattern_for(deliverable.name)
    for file in subject.files:
        if file.role in (Role.PREVIEW, Role.EVIDENCE):
            continue
        stem = PurePath(file.name).stem.removesuffix(file_suffix(file))
        wanted = file_stem(file.format, product, deliverable, subject.slot, subject.number, rules)
        if stem != wanted or name_pattern_syntax.parse_name(pattern, stem) != expected_fields(
            file.format, product, deliverable, subject.slot, subject.number, rules
        ):
            yield issue(
                "naming.pattern",
                f"Its name should be {wanted}{file_suffix(file)}.",
                pointer=f"/files/{file.name}",
                measured=stem,
                limit=pattern,
            )


def _check_profile(
    subject: CheckSubject, name: str, profile: ModelProfile, file: VersionFile
) -> Iterator[Issue]:
    """Add a row for the profile's naming rule; yield an issue where the profile is required."""
    stem = PurePath(file.name).stem
    good = (
        name_pattern_syntax.parse_name(profile.naming, stem) is not None
        if profile.naming
        else LOWER_CASE_NAME.fullmatch(stem) is not None
    )
    rule = profile.naming or "a to z, 0 to 9, _ and -, beginning with a letter"
    subject.rows.append(
        ReportRow(
            check="name",
            outcome=CheckOutcome.PASS if good else CheckOutcome.FAIL,
            profile=name,
            measured=stem,
            limit=rule,
            source=profile.limits[0].source if profile.limits else "plugin.json",
        )
    )
    if not good and name in subject.required_profiles:
        wanted = _suggested_name(subject, profile.naming or LOWER_PATTERN, stem)
        yield issue(
            "naming.profile",
            f"{name} requires the name {wanted}.",
            pointer=f"/profiles/{name}/naming",
            measured=stem,
            limit=rule,
        )


def _suggested_name(subject: CheckSubject, pattern: str, stem: str) -> str:
    """Return the name that the file should have; for an unknown product, a valid one near to its own."""
    if subject.product is None:
        return "-".join(ascii_words(stem)).lower() or "model"
    values: dict[str, str | int] = {
        **product_values(subject.product),
        "version": subject.number,
        "format": "glb",
        "deliverable": subject.deliverable.name if subject.deliverable else "model",
        "slot": subject.slot,
    }
    return name_pattern_syntax.build_name(pattern, values)
