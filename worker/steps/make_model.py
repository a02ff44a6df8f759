"""Make the model: a raw GLB, by the first generator of the rules that can."""

from dataclasses import replace

from dam_connector.domain.issue import issue
from dam_connector.domain.product import View
from dam_connector.domain.rules import LOCAL
from dam_connector.ports import Provider
from dam_connector.usecases.provider_orders import ProviderOrder
from dam_connector.wiring import Services
from worker.cache import cached_cutter, cached_photo
from worker.generators import await_result, first_good, provider_prompt
from worker.imaging.cutout import Cutout
from worker.imaging.decode import MODEL_PHOTO_MAX_PX, Photo
from worker.imaging.photo_quality import same_picture_issues, source_issues, wrong_view_issues
from worker.modeling.build import build_model
from worker.modeling.glb_export import write_glb
from worker.work import Work, merge_photo_labels

LOCAL_FACTS = ("family", "confidence", "views")


def make_model(work: Work, services: Services) -> Work:
    """The work with a raw GLB.

    Reads: sources, task. Adds: raw_model, facts, issues, provenance. Raises: Park while a provider works,
    InputError cutout.empty, or the last generator's refusal.
    """

    def by(work: Work, name: str) -> Work:
        return _make_locally(work, services) if name == LOCAL else _make_remotely(work, services, name)

    made = first_good(work, by, is_good=_sure_enough, has_result=work.raw_model is not None)
    if _sure_enough(made):
        return made
    measured, limit = made.facts["confidence"], made.deliverable.min_confidence
    return made.with_issues(
        issue("model.below_threshold", "No other generator made this model.", measured=measured, limit=limit)
    )


def _sure_enough(work: Work) -> bool:
    return float(work.facts.get("confidence", 1) or 0) >= work.deliverable.min_confidence


def _make_remotely(work: Work, services: Services, name: str) -> Work:
    came = await_result(work, services, name, lambda provider: _order(work, provider))
    kept = came.work.without_issues(
        "model."
    ).issues  # what was said of a local model before does not hold here
    facts = {name: fact for name, fact in came.work.facts.items() if name not in LOCAL_FACTS}
    return replace(came.work, raw_model=came.files[0], issues=kept, facts=facts)


def _order(work: Work, provider: Provider) -> ProviderOrder:
    d = work.deliverable
    pictures = {
        view: work.sources[view]
        for view in provider.capabilities.views or tuple(work.sources)
        if view in work.sources
    }
    return ProviderOrder(
        product=work.product,
        pictures=pictures,
        prompt=provider_prompt(work, provider),
        max_triangles=d.max_triangles,
        texture_px=d.texture_px,
    )


def _make_locally(work: Work, services: Services) -> Work:
    photos: dict[str, Photo] = {}
    cutouts: dict[View, Cutout] = {}
    for view, sha256 in work.sources.items():
        where = f"/images/{view}"
        photos[view] = photo = cached_photo(services, sha256, where, MODEL_PHOTO_MAX_PX)
        cutouts[View(view)] = cutout = cached_cutter(services, sha256)(photo, where)
        work = work.with_issues(*source_issues(photo, cutout, view))
    work = work.with_issues(
        *same_picture_issues(photos), *wrong_view_issues(cutouts, work.product.dimensions)
    )
    product, d = work.product, work.deliverable
    words = f"{product.name} {product.category} {product.material}"
    built = build_model(
        cutouts, product.dimensions, words, max_triangles=d.max_triangles, texture_px=d.texture_px
    )
    work = work.with_issues(*built.issues).with_facts(
        family=built.family,
        confidence=built.confidence,
        views=", ".join(built.actual_views.get(view, view) for view in cutouts),
    )
    raw = services.blobs.put(write_glb(built.model, product.sku))
    made_by = {**merge_photo_labels(p.metadata for p in photos.values()), "generator": LOCAL}
    sources = {
        str(built.actual_views.get(View(view), view)): sha256 for view, sha256 in work.sources.items()
    }  # the checks look at what photos show
    return replace(work, sources=sources, raw_model=raw, provenance={**work.provenance, **made_by})
