"""Assign the version: its number, given exactly once for this run, and the names of its files."""

from dataclasses import replace

from dam_connector.wiring import Services
from worker.work import Work


def assign_version(work: Work, services: Services) -> Work:
    """The work with its version. Reads: files. Adds: version_id, number, the files' names."""
    d = work.deliverable
    version_id, number = services.assets.assign_version(
        sku=work.product.sku,
        deliverable=d.name,
        slot=work.slot,
        kind=d.kind.value,
        run_id=work.run_id,
        rules_fingerprint=work.rules_fingerprint,
    )
    return replace(work, version_id=version_id, number=number).with_file_names(services)
