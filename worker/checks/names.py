"""Names: each file is called as the rules say, and its name reads back to what it was made from."""

from collections.abc import Iterator
from pathlib import PurePath

from dam_connector.catalog import naming
from dam_connector.catalog.file_names import expected_fields, file_stem, suffix_of
from dam_connector.catalog.issue import Issue, issue
from dam_connector.catalog.rules import Rules
from dam_connector.catalog.version import Role
from worker.checks.subject import Subject


def check(subject: Subject, rules: Rules) -> Iterator[Issue]:
    """Issues naming.pattern, with the name that the file should have."""
    product, deliverable = subject.product, subject.deliverable
    if product is None or deliverable is None:
        pattern = rules.naming.default
        for file in subject.files:
            if naming.parse(pattern, PurePath(file.name).stem) is None:
                yield issue(
                    "naming.pattern", f"{file.name} does not follow {pattern}.", pointer=f"/files/{file.name}", measured=file.name, limit=pattern
                )
        return
    pattern = rules.naming.pattern_for(deliverable.name)
    for file in subject.files:
        if file.role is Role.PREVIEW:
            continue
        stem = PurePath(file.name).stem.removesuffix(suffix_of(file))
        wanted = file_stem(file.format, product, deliverable, subject.slot, subject.number, rules)
        if stem != wanted or naming.parse(pattern, stem) != expected_fields(file.format, product, deliverable, subject.slot, subject.number, rules):
            yield issue(
                "naming.pattern", f"It should be called {wanted}{suffix_of(file)}.", pointer=f"/files/{file.name}", measured=stem, limit=pattern
            )
