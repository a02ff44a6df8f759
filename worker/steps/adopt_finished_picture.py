"""Adopt a finished picture as it is, with the preview and the further formats that a version of ours has."""

from dataclasses import replace

from dam_connector.domain.adoption import ADOPTED
from dam_connector.domain.issue import Severity, issue
from dam_connector.domain.picture_profiles import byte_budget
from dam_connector.domain.version import Role, VersionFile
from dam_connector.errors import InputError, NotFound
from dam_connector.wiring import Services
from worker.imaging.composition import Picture
from worker.imaging.decode import decode
from worker.imaging.deliverable_styles import encode_preview
from worker.imaging.encode import encode_within
from worker.work import Work

FORMATS = {"image/jpeg": "jpeg", "image/png": "png", "image/webp": "webp"}


def adopt_finished_picture(work: Work, services: Services) -> Work:
    """Take the finished picture byte for byte; make its preview and the formats that it lacks from it.

    Reads: the asset's finished file. Adds: files, facts, provenance; issue source.* where it cannot be read,
    and a warning rendition.size.

    Raises:
        NotFound: There is no finished file.
    """
    found = services.finished_files.get(work.product.sku, work.deliverable.name)
    if found is None:
        raise NotFound("store", "adopt", f"{work.product.sku} {work.deliverable.name}")
    data = services.blobs.get(found.sha256)
    format = FORMATS[found.mime]
    own = VersionFile(
        name="",
        format=format,
        role=Role.PRIMARY,
        view="",
        mime=found.mime,
        sha256=found.sha256,
        bytes=len(data),
    )
    origin = {
        "generator": ADOPTED,
        "adopted_from": f"{found.source.where}: {found.source.name}",
        "adopted_ref": found.source.ref,
    }
    work = replace(work, files=(own,), provenance={**work.provenance, **origin})
    try:
        photo = decode(data, max_pixels=services.settings.max_picture_pixels, pointer="/files")
    except InputError as error:  # nothing can be made from it: its version is blocked by this issue
        plain = replace(work.deliverable, sizes=())
        return replace(work, deliverable=plain).with_issues(error.to_issue())
    height, width = photo.rgb.shape[:2]
    picture = Picture(rgb=photo.rgb, alpha=photo.alpha, scale=1.0, box=(0, 0, width, height))
    work = _as_large_as_it_is(work.with_facts(width_px=width, height_px=height), max(width, height))
    work = work.with_file(services, encode_preview(picture), "webp", Role.PREVIEW)
    max_bytes = work.rules(services).checks.max_image_bytes
    for missing in (each for each in work.deliverable.formats if each != format):
        budget = byte_budget(work.deliverable.profiles, missing, max_bytes)
        work = work.with_file(services, encode_within(photo.rgb, photo.alpha, missing, budget), missing)
    return work


def _as_large_as_it_is(work: Work, side_px: int) -> Work:
    """Return the work with a deliverable of the picture's size, and a warning where it asked for another."""
    wanted = work.deliverable.size_px
    if side_px == wanted:
        return work
    found = issue(
        "rendition.size",
        "The adopted picture has a size of its own.",
        pointer="/files",
        measured=f"{side_px} px",
        limit=f"{wanted} px",
    )
    work = work.with_issues(replace(found, severity=Severity.WARNING))
    return replace(work, deliverable=replace(work.deliverable, size_px=side_px))
