"""Make the renditions, by the first generator of the rules that can: our own code cuts the product out of its photo, or renders its model, and sets it
into a studio or a room; a provider's picture must still show the product."""

from dataclasses import replace

from dam_connector.domain.issue import issue
from dam_connector.domain.product import INSPIRATION
from dam_connector.domain.rules import LOCAL, PHOTO
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import Role
from dam_connector.errors import BadOutput, InputError
from dam_connector.ports import Provider
from dam_connector.usecases.provider_orders import ProviderOrder as Generation
from dam_connector.wiring import Services
from worker.cache import cached_cutter, cached_model, cached_photo
from worker.generators import await_result, first_good, provider_prompt, without_credits
from worker.imaging.deliverable_styles import picture_size, slot_seed
from worker.imaging.palette import Palette, extract_palette
from worker.renditions import (
    RenditionRequest,
    RenditionResult,
    fit_provider_pictures,
    make_rendition,
    open_source,
)
from worker.work import Work, merge_photo_labels

CHANGED = (
    "rendition.product_unsure",
    "rendition.product_cut",
    "rendition.product_changed",
    "rendition.text_changed",
)


def make_renditions(work: Work, services: Services) -> Work:
    """The work with one file a format, and one an angle where it turns.

    Reads: sources, or raw_model; task. Adds: files, facts, provenance, issues cutout.*, source.* and rendition.*.
    Raises: Park while a provider works; InputError cutout.empty, or the last generator's refusal.
    """

    def by(work: Work, name: str) -> Work:
        clean = (
            replace(work.without_issues("rendition."), facts={}) if work.files else work
        )  # what was said of another generator's picture
        return _make_locally(clean, services) if name == LOCAL else _make_remotely(clean, services, name)

    return first_good(work, by, is_good=_still_the_product, has_result=bool(work.files))


def _still_the_product(work: Work) -> bool:
    return not any(i.code in CHANGED for i in work.issues)


def _make_locally(work: Work, services: Services) -> Work:
    d = work.deliverable
    work, palette = _inspired(work, services)
    if d.made_from == PHOTO:
        view, sha256 = next(iter(work.sources.items()))
        made = make_rendition(
            cached_photo(services, sha256, f"/images/{view}"),
            _order(work, services, palette),
            view=view,
            cut_out=cached_cutter(services, sha256),
        )
    else:
        view, made = (
            d.camera,
            make_rendition(
                cached_model(services, work.model), _order(work, services, palette), view=d.camera
            ),
        )
    return _with_made(
        without_credits(work),
        services,
        made,
        view,
        {"generator": LOCAL, "style": d.style, "seed": str(made.seed)},
    )


def _make_remotely(work: Work, services: Services, name: str) -> Work:
    """The provider's picture; or the local one around its cut-out, where that is what it makes."""
    view, source = next((v, sha) for v, sha in work.sources.items() if v != INSPIRATION)
    came = await_result(work, services, name, lambda provider: _asked(work, provider))
    order = _order(came.work, services, None)
    pictures = [services.blobs.get(sha) for sha in came.files]
    try:
        if services.provider(name).capabilities.removes_background:
            made = make_rendition(open_source(pictures[0], order, view), order, view=view)
            return _with_made(
                came.work, services, made, view, {"style": work.deliverable.style, "generated": "cut-out"}
            )
        made = fit_provider_pictures(
            pictures,
            cached_photo(services, source, f"/images/{view}"),
            order,
            view=view,
            cut=cached_cutter(services, source),
        )
    except InputError as error:
        raise BadOutput(name, "generate", f"its picture cannot be used: {error}") from error
    return _with_made(came.work, services, made, view, {"style": work.deliverable.style})


def _asked(work: Work, provider: Provider) -> Generation:
    d = work.deliverable
    views = provider.capabilities.views or tuple(v for v in work.sources if v != INSPIRATION)
    width, height = picture_size(d.aspect, d.size_px)
    return Generation(
        product=work.product,
        pictures={view: work.sources[view] for view in views if view in work.sources},
        kind=RunKind.IMAGE,
        prompt=provider_prompt(work, provider),
        width=width,
        height=height,
        transparent=d.background == "transparent",
        seed=slot_seed(work.product.sku, d.name, work.slot),
    )


def _order(work: Work, services: Services, palette: Palette | None) -> RenditionRequest:
    settings, most = services.settings, work.rules(services).checks.max_image_bytes
    return RenditionRequest(
        deliverable=work.deliverable,
        product=work.product,
        slot=work.slot,
        palette=palette,
        max_pixels=settings.max_picture_pixels,
        max_bytes=most,
    )


def _with_made(
    work: Work, services: Services, made: RenditionResult, view: str, made_by: dict[str, str]
) -> Work:
    work = replace(work, files=()).with_facts(**made.facts).with_issues(*made.issues)
    work = replace(work, provenance={**work.provenance, **merge_photo_labels([made.labels]), **made_by})
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
        photo = cached_photo(services, sha256, where)
    except InputError as error:
        return work.with_issues(
            issue("source.inspiration", str(error), pointer=where, measured=error.measured, limit=error.limit)
        ), None
    return work, extract_palette(photo)
