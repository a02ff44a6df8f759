"""Seal the version: its files, report and provenance are stored and never change again."""

from dam_connector.wiring import Services
from worker.work import Work


def seal_version(work: Work, services: Services) -> Work:
    """Store the version's content and the tags by which the gallery finds it.

    Reads: files, report, provenance. Adds: nothing.

    Raises:
        StateConflict: Other files were sealed for this version.
    """
    version_id = work.assigned_version_id
    with services.transaction():
        services.assets.seal(version_id, work.files, work.report, dict(work.provenance))
        services.gallery.add_tags(
            version_id, work.product, work.deliverable.name, {i.code for i in work.report.issues}
        )
    return work
