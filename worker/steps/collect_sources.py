"""Collect what a run starts from: the product's photos, as far as they can be used, or its model."""

from dataclasses import replace

from dam_connector.domain.product import INSPIRATION, View
from dam_connector.domain.rules import LOCAL, PHOTO
from dam_connector.domain.run import RunKind
from dam_connector.errors import InputError
from dam_connector.wiring import Services
from worker.cache import cached_photo
from worker.imaging.decode import MAX_SIDE_PX, MODEL_PHOTO_MAX_PX
from worker.work import Work

MODEL_VIEWS = (View.FRONT, View.RIGHT, View.BACK, View.LEFT, View.TOP, View.HERO)
RENDITION_VIEWS = (View.FRONT, View.HERO, View.RIGHT, View.LEFT, View.BACK, View.TOP)


def collect_sources(work: Work, services: Services) -> Work:
    """The work with the photos, or the model, that this deliverable can use.

    Reads: sources as fetched. Adds: sources as usable, or raw_model.
    Raises: InputError with the first photo's own code when none can be used, source.missing_view when there is none,
    source.missing_model.
    """
    if work.deliverable.made_from != PHOTO:
        return _with_model(work, services)
    wanted = _wanted(work)
    usable, refused = {}, []
    alone = work.deliverable.kind is RunKind.IMAGE and {*work.deliverable.generator, work.generator} <= {
        LOCAL,
        "",
    }  # our own code needs one photo
    longest_px = MAX_SIDE_PX if work.deliverable.kind is RunKind.IMAGE else MODEL_PHOTO_MAX_PX
    for view in wanted:
        sha256 = work.sources.get(view.value)
        if sha256 is None:
            continue
        try:
            cached_photo(services, sha256, f"/images/{view.value}", longest_px)
            usable[view.value] = sha256
        except InputError as error:
            refused.append(error)
        if usable and alone:
            break
    if not usable:
        names = ", ".join(v.value for v in wanted)
        raise (
            refused[0]
            if refused
            else InputError(
                "source.missing_view", f"{work.deliverable.name} needs one of: {names}.", pointer="/images"
            )
        )
    if refused:
        services.products.add_issues(work.product.sku, tuple(e.to_issue() for e in refused))
    if INSPIRATION in work.sources and work.deliverable.style == "lifestyle":
        usable[INSPIRATION] = work.sources[INSPIRATION]
    return replace(work, sources=usable)


def _with_model(work: Work, services: Services) -> Work:
    """The work with the newest version of the product's model that no report blocks."""
    version = services.assets.current(work.product.sku, work.deliverable.made_from)
    glb = version.file("glb") if version else None
    if version is None or glb is None:
        words = f"{work.deliverable.name} is rendered from {work.deliverable.made_from}, which has no version with a GLB."
        raise InputError("source.missing_model", words, pointer="/deliverables")
    made_by = {
        "made_from": f"{work.deliverable.made_from} V{version.number}",
        "generator": str(version.provenance.get("generator", "local")),
    }
    kept = {view: sha for view, sha in work.sources.items() if view == INSPIRATION}
    return replace(
        work,
        sources=kept,
        raw_model=glb.sha256,
        provenance={**work.provenance, **made_by, "source_model": glb.sha256},
    )


def _wanted(work: Work) -> tuple[View, ...]:
    if work.deliverable.views:
        return tuple(View(v) for v in work.deliverable.views)
    return RENDITION_VIEWS if work.deliverable.kind is RunKind.IMAGE else MODEL_VIEWS
