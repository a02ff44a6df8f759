"""The USDZ package: stored, not compressed, aligned to 64 bytes, a USD layer first. Source: the USDZ specification 1.3."""

import io
import zipfile
from collections.abc import Iterator

from dam_connector.catalog.issue import Issue, issue
from dam_connector.catalog.rules import Rules
from worker.checks.subject import Subject

ALIGNMENT = 64
_HEADER = 30  # bytes of a ZIP local header before the name


def check(subject: Subject, rules: Rules) -> Iterator[Issue]:
    """Issues usdz.layout."""
    for file in subject.files:
        if file.format != "usdz":
            continue
        data, where = subject.read(file), f"/files/{file.name}"
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as package:
                members = package.infolist()
        except (zipfile.BadZipFile, OSError, ValueError):
            yield issue("usdz.layout", "It is no ZIP archive.", pointer=where)
            continue
        subject.measured["usdz_bytes"] = len(data)
        if not members or not members[0].filename.endswith((".usdc", ".usda", ".usd")):
            yield issue("usdz.layout", "The first file is no USD layer.", pointer=where)
        for member in members:
            extra = int.from_bytes(data[member.header_offset + 28 : member.header_offset + 30], "little")
            start = member.header_offset + _HEADER + len(member.filename.encode()) + extra
            if member.compress_type != zipfile.ZIP_STORED or start % ALIGNMENT:
                yield issue("usdz.layout", f"{member.filename} is compressed or not aligned.", pointer=where, measured=start % ALIGNMENT, limit=0)
