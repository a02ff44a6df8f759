"""Seal the version: its files, report and provenance are written, and never change again; it is filed where people find it."""

from dam_connector.wiring import Services
from worker.work import Work


def seal_version(work: Work, services: Services) -> Work:
    """The same work, written. Reads: files, report, provenance. Raises: StateConflict when other files are sealed there."""
    services.assets.seal(work.draft, work.files, work.report, dict(work.provenance))
    services.gallery.add_tags(
        work.draft, work.product, work.deliverable.name, {i.code for i in work.report.issues}
    )
    return work
