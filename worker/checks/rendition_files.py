"""Rendition files: each can be read, has the size of its deliverable, and keeps to the limit of bytes."""

import io
from collections import Counter
from collections.abc import Iterator

from PIL import Image

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.rules import Rules
from worker.measuring.check_subject import CheckSubject


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Yield rendition.* and source.not_an_image."""
    made: Counter[str] = Counter()
    for file in subject.pictures:
        where = f"/files/{file.name}"
        try:
            with Image.open(io.BytesIO(subject.read(file))) as picture:
                width, height = picture.size
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            yield issue("source.not_an_image", f"{file.name} cannot be read.", pointer=where)
            continue
        made[file.format] += file.bytes
        if file.bytes > rules.checks.max_image_bytes:
            yield issue(
                "rendition.bytes",
                f"{file.name} is too large.",
                pointer=where,
                measured=f"{file.bytes / 1e6:.2f} MB",
                limit=f"{rules.checks.max_image_bytes / 1e6:.2f} MB",
            )
        if subject.deliverable and max(width, height) != subject.deliverable.size_px:
            yield issue(
                "rendition.size",
                f"{file.name} is {width} x {height}.",
                pointer=where,
                measured=f"{max(width, height)} px",
                limit=f"{subject.deliverable.size_px} px",
            )
    subject.facts.update({f"{format}_bytes": size for format, size in made.items()})
