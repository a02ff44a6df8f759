"""Assign the version: its number, once per run, and the names of its files."""

from dataclasses import replace

from dam_connector.wiring import Services
from worker.work import Work


def assign_version(work: Work, services: Services) -> Work:
    """Assign the version number and name the files.

    Reads: files. Adds: version_id, number, the files' names.
    """
    deliverable = work.deliverable
    version_id, number = services.assets.assign_version(
        sku=work.product.sku,
        deliverable=deliverable.name,
        slot=work.slot,
        kind=deliverable.kind.value,
        run_id=work.run_id,
        rules_fingerprint=work.rules_fingerprint,
    )
    return replace(work, version_id=version_id, number=number).with_file_names(services)
