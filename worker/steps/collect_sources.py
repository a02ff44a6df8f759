"""Collect the sources of a run: the product's usable photos, or its model."""

from dataclasses import replace

from dam_connector.domain.brought_model import BROUGHT_MODEL
from dam_connector.domain.ids import Sha256
from dam_connector.domain.product import INSPIRATION, View
from dam_connector.domain.rules import LOCAL, PHOTO
from dam_connector.domain.run import RunKind
from dam_connector.errors import InputError
from dam_connector.wiring import Services
from worker.cache import cached_photo
from worker.imaging.decode import MAX_SIDE_PX, MODEL_PHOTO_MAX_PX
from worker.work import Work

# In order of preference: our own code makes a rendition from the first usable view.
MODEL_VIEWS = (View.FRONT, View.RIGHT, View.BACK, View.LEFT, View.TOP, View.HERO)
RENDITION_VIEWS = (View.FRONT, View.HERO, View.RIGHT, View.LEFT, View.BACK, View.TOP)


def collect_sources(work: Work, services: Services) -> Work:
    """Keep the photos that this deliverable can use, or find its model.

    Reads: sources as fetched. Adds: sources as usable, or raw_model.

    Raises:
        InputError: The first photo's own code when no photo can be used, source.missing_view when there is
            none, source.missing_model.
    """
    if work.deliverable.made_from != PHOTO:
        return _with_model(work, services)
    usable, errors = _usable_photos(work, services)
    if _brings_model(work):
        usable[BROUGHT_MODEL] = work.sources[BROUGHT_MODEL]
    if not usable:
        views = ", ".join(v.value for v in _views(work))
        message = f"{work.deliverable.name} needs one of: {views}."
        raise errors[0] if errors else InputError("source.missing_view", message, pointer="/images")
    if errors:
        services.products.add_issues(work.product.sku, tuple(e.to_issue() for e in errors))
    if INSPIRATION in work.sources and work.deliverable.style == "lifestyle":
        usable[INSPIRATION] = work.sources[INSPIRATION]
    return replace(work, sources=usable)


def _brings_model(work: Work) -> bool:
    """Return whether a model is to be made from the one that the product brings along.

    It is not where a person chose a generator.
    """
    is_model = work.deliverable.kind is RunKind.MODEL
    return is_model and BROUGHT_MODEL in work.sources and not work.generator


def _usable_photos(work: Work, services: Services) -> tuple[dict[str, Sha256], list[InputError]]:
    """Return the usable photos by view, and the errors of the others."""
    usable: dict[str, Sha256] = {}
    errors: list[InputError] = []
    is_picture = work.deliverable.kind is RunKind.IMAGE
    generators = {*work.deliverable.generator, work.generator}
    needs_one = is_picture and generators <= {LOCAL, ""}  # our own code makes a rendition from one photo
    max_side_px = MAX_SIDE_PX if is_picture else MODEL_PHOTO_MAX_PX
    for view in _views(work):
        sha256 = work.sources.get(view.value)
        if sha256 is None:
            continue
        try:
            cached_photo(services, sha256, f"/images/{view.value}", max_side_px)
            usable[view.value] = sha256
        except InputError as error:
            errors.append(error)
        if usable and needs_one:
            break
    return usable, errors


def _with_model(work: Work, services: Services) -> Work:
    """Add the newest version of the product's model that no report blocks."""
    name = work.deliverable.made_from
    version = services.assets.current(work.product.sku, name)
    glb = version.file("glb") if version else None
    if version is None or glb is None:
        message = f"{work.deliverable.name} is rendered from {name}, which has no version with a GLB."
        raise InputError("source.missing_model", message, pointer="/deliverables")
    origin = {
        "made_from": f"{name} V{version.number}",
        "generator": str(version.provenance.get("generator", "local")),
        "source_model": glb.sha256,
    }
    return replace(
        work,
        sources={view: sha256 for view, sha256 in work.sources.items() if view == INSPIRATION},
        raw_model=glb.sha256,
        provenance={**work.provenance, **origin},
    )


def _views(work: Work) -> tuple[View, ...]:
    """Return the views that this deliverable can be made from, the preferred first."""
    if work.deliverable.views:
        return tuple(View(v) for v in work.deliverable.views)
    return RENDITION_VIEWS if work.deliverable.kind is RunKind.IMAGE else MODEL_VIEWS
