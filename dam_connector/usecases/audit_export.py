"""The audit log as CSV or JSON lines."""

import json
from collections.abc import Iterator
from dataclasses import fields

from dam_connector.store.audit import AuditEntry
from dam_connector.wiring import Services
from schemas.sheet_template import csv_text

AUDIT_FORMATS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}  # media types
_COLUMNS = tuple(field.name for field in fields(AuditEntry))


def audit_lines(services: Services, file_format: str) -> Iterator[str]:
    """Yield the lines of the audit log, newest first.

    Args:
        services: the services.
        file_format: `csv`, in which formulas are made harmless, or `jsonl`.
    """
    if file_format == "csv":
        yield csv_text([_COLUMNS])
    for entry in services.audit.all():
        values = {name: getattr(entry, name) for name in _COLUMNS} | {"at": entry.at.isoformat()}
        yield csv_text([tuple(values.values())]) if file_format == "csv" else json.dumps(values) + "\n"
