"""Make the renditions: the product cut out of its photo, or rendered from its model, set into a studio or a room, in each format asked for."""

from dataclasses import replace

from dam_connector.catalog.issue import issue
from dam_connector.catalog.product import INSPIRATION
from dam_connector.catalog.rules import PHOTO
from dam_connector.catalog.version import Role
from dam_connector.errors import InputError
from dam_connector.wiring import Services
from worker.imaging.decode import decode
from worker.imaging.palette import Palette, palette_of
from worker.kept import keeper
from worker.renditions import Order, make
from worker.work import Work, photo_labels


def make_renditions(work: Work, services: Services) -> Work:
    """The work with one file a format, and one an angle where it turns.

    Reads: sources, or raw_model. Adds: files, facts, provenance, issues cutout.*, source.* and rendition.*.
    Raises: InputError cutout.empty.
    """
    d = work.deliverable
    work, palette = _inspired(work, services)
    order = Order(
        deliverable=d,
        product=work.product,
        slot=work.slot,
        palette=palette,
        max_pixels=services.settings.max_picture_pixels,
        max_bytes=work.rules(services).checks.max_image_bytes,
    )
    view, source = (d.camera, work.model) if d.made_from != PHOTO else next(iter(work.sources.items()))
    made = make(services.blobs.get(source), order, view=view, cut=keeper(services, source))
    work = work.with_facts(**made.facts).with_issues(*made.issues)
    work = replace(work, provenance={**work.provenance, **photo_labels([made.labels]), "style": d.style, "seed": str(made.seed)})
    work = work.with_file(services, made.preview, "webp", Role.PREVIEW, view)
    for file in made.files:
        work = work.with_file(services, file.data, file.format, view=file.view)
    return work


def _inspired(work: Work, services: Services) -> tuple[Work, Palette | None]:
    """The palette of the inspiration image, if there is one that can be read."""
    sha256, where = work.sources.get(INSPIRATION), "/inspiration_image"
    if sha256 is None:
        return work, None
    try:
        photo = decode(services.blobs.get(sha256), max_pixels=services.settings.max_picture_pixels, pointer=where)
    except InputError as error:
        return work.with_issues(issue("source.inspiration", str(error), pointer=where, measured=error.measured, limit=error.limit)), None
    return work, palette_of(photo)
