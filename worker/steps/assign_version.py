"""Assign the version: its number, given exactly once for this run, and the names of its files."""

from dataclasses import replace

from dam_connector.catalog.file_names import file_stem, suffix_of
from dam_connector.catalog.rules import Rules
from dam_connector.catalog.version import VersionFile
from dam_connector.wiring import Services
from worker.imaging.encode import extension
from worker.work import Work


def assign_version(work: Work, services: Services) -> Work:
    """The work with its version. Reads: files. Adds: version_id, number, the files' names."""
    d = work.deliverable
    version_id, number = services.assets.assign_version(
        sku=work.product.sku, deliverable=d.name, slot=work.slot, kind=d.kind.value, run_id=work.run_id, rules_fingerprint=work.rules_fingerprint
    )
    rules = work.rules(services)
    named = tuple(replace(f, name=_name(f, work, number, rules)) for f in work.files)
    return replace(work, version_id=version_id, number=number, files=named)


def _name(file: VersionFile, work: Work, number: int, rules: Rules) -> str:
    """The rules' name with what tells the version's files apart, and the format's extension."""
    stem = file_stem(file.format, work.product, work.deliverable, work.slot, number, rules)
    return f"{stem}{suffix_of(file)}.{extension(file.format)}"
