"""Make the renditions, by the first generator of plugin.json that succeeds.

Our own code cuts the product out of its photo, or renders its model, and sets it into a studio or a room. A
provider's picture must still show the product.
"""

from dataclasses import replace
from functools import partial

from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import issue
from dam_connector.domain.product import INSPIRATION, named_photos
from dam_connector.domain.rules import LOCAL, PHOTO, ImagingRules
from dam_connector.domain.run import RunKind
from dam_connector.domain.scene_words import read_scene_words
from dam_connector.domain.touch_up import correction_issue, correction_text
from dam_connector.domain.version import CUTOUT_MASK, CUTOUT_PHOTO, Role
from dam_connector.domain.wishes import read_wishes, with_wishes
from dam_connector.errors import BadOutput, InputError
from dam_connector.net_file import NO_NET
from dam_connector.ports import Provider
from dam_connector.usecases.provider_orders import ProviderOrder
from dam_connector.wiring import Services
from worker.cache import cached_cut_out, cached_model, cached_photo, cached_source_issues
from worker.generators import (
    ProviderResult,
    await_result,
    first_good,
    photos_for_provider,
    provider_prompt,
    without_credits,
)
from worker.imaging.deliverable_styles import picture_size, slot_seed
from worker.imaging.palette import Palette, extract_palette
from worker.imaging.photo_quality import least_confidence
from worker.renditions import (
    RenditionRequest,
    RenditionResult,
    fit_provider_pictures,
    make_rendition,
    open_source,
)
from worker.work import Work, merge_photo_labels

CHANGED_PRODUCT_CODES = (
    "rendition.product_unsure",
    "rendition.product_cut",
    "rendition.product_changed",
    "rendition.text_changed",
)


def make_renditions(work: Work, services: Services) -> Work:
    """Make one file for each format, and for each angle of a spin.

    Reads: sources, or raw_model; task. Adds: files, facts, provenance, issues cutout.*, source.* and
    rendition.*.

    Raises:
        Park: A provider is at work.
        InputError: cutout.empty, from our own code, when no other generator made a picture.
        Refused: The last generator refused.
    """

    def make(work: Work, name: str) -> Work:
        if work.files:  # another generator's picture was not good enough
            work = replace(work.without_issues("rendition."), facts={})
        return _make_locally(work, services) if name == LOCAL else _make_remotely(work, services, name)

    return first_good(work, make, is_good=_shows_the_product, has_result=bool(work.files))


def _shows_the_product(work: Work) -> bool:
    return not any(i.code in CHANGED_PRODUCT_CODES for i in work.issues)


def _make_locally(work: Work, services: Services) -> Work:
    """Return the work with renditions that our own code made from a photo or from the model."""
    deliverable = work.deliverable
    work, palette = _inspiration_palette(work, services)
    request = _rendition_request(work, services, palette)
    if deliverable.made_from == PHOTO:
        view, sha256 = next(iter(work.sources.items()))
        photo = cached_photo(services, sha256, f"/images/{view}")
        result = make_rendition(
            photo,
            request,
            view=view,
            cut_out=partial(cached_cut_out, services, request.imaging, sha256),
            find_issues=partial(cached_source_issues, services, sha256),
        )
        if touch_ups := services.touch_ups.of_photo(sha256):
            work = replace(work, provenance={**work.provenance, "touch_up": touch_ups[-1].id})
            result = _with_correction(result, correction_text(touch_ups), view, request.imaging)
    else:
        view = deliverable.camera
        result = make_rendition(cached_model(services, work.model_sha256), request, view=view)
    credits = {"generator": LOCAL, "style": deliverable.style, "seed": str(result.seed)}
    return _with_result(without_credits(work), services, result, view, credits)


def _with_correction(result: RenditionResult, text: str, view: str, imaging: ImagingRules) -> RenditionResult:
    """Return a rendition whose report says who corrected the mask of its photo; unchanged if nobody did."""
    if not text:
        return result
    before, net = float(result.facts["cutout_confidence"]), str(result.facts["cutout_net"])
    limit = least_confidence("" if net == NO_NET else net, imaging)
    found = correction_issue(text, view, before, limit, is_seen=result.is_doubt_lifted)
    return replace(result, facts={**result.facts, "mask_corrected": text}, issues=(*result.issues, found))


def _make_remotely(work: Work, services: Services, name: str) -> Work:
    """Return the work with a provider's picture; or, if the provider only cuts out, with our rendition of it.

    Raises:
        BadOutput: The provider's picture cannot be used.
    """
    provided = await_result(work, services, name, lambda provider: _provider_order(work, services, provider))
    try:
        if services.provider(name).capabilities.removes_background:
            return _render_provider_cutout(provided, services)
        return _fit_best_picture(provided, services)
    except InputError as error:
        raise BadOutput(name, "generate", f"its picture cannot be used: {error}") from error


def _render_provider_cutout(provided: ProviderResult, services: Services) -> Work:
    work = provided.work
    view, _ = _first_photo(work)
    request = _rendition_request(work, services, None)
    source = open_source(services.blobs.get(provided.files[0]), request, view)
    result = replace(make_rendition(source, request, view=view), cutout=None)  # the provider's own
    credits = {"style": work.deliverable.style, "generated": "cut-out"}
    return _with_result(work, services, result, view, credits)


def _fit_best_picture(provided: ProviderResult, services: Services) -> Work:
    work = provided.work
    view, sha256 = _first_photo(work)
    result = fit_provider_pictures(
        [services.blobs.get(picture) for picture in provided.files],
        cached_photo(services, sha256, f"/images/{view}"),
        _rendition_request(work, services, None),
        view=view,
        cut_out=partial(cached_cut_out, services, work.rules(services).imaging, sha256),
    )
    return _with_result(work, services, result, view, {"style": work.deliverable.style})


def _first_photo(work: Work) -> tuple[str, Sha256]:
    """Return view and hash of the photo that the rendition is made from."""
    return next(iter(named_photos(work.sources).items()))


def _provider_order(work: Work, services: Services, provider: Provider) -> ProviderOrder:
    deliverable = work.deliverable
    width, height = picture_size(deliverable.aspect, deliverable.size_px)
    return ProviderOrder(
        product=work.product,
        pictures=photos_for_provider(work, services, provider),
        kind=RunKind.IMAGE,
        prompt=provider_prompt(work, provider),
        width=width,
        height=height,
        transparent=deliverable.background == "transparent",
        seed=slot_seed(work.product.sku, deliverable.name, work.slot),
    )


def _rendition_request(work: Work, services: Services, palette: Palette | None) -> RenditionRequest:
    wishes = read_wishes(work.note)
    return RenditionRequest(
        deliverable=with_wishes(work.deliverable, wishes),
        product=work.product,
        slot=work.slot,
        room=_other_room(work, services) if wishes.other_room else 0,
        wish=read_scene_words(work.note) or read_scene_words(work.product.request.prompt),
        palette=palette,
        max_pixels=services.settings.max_picture_pixels,
        max_bytes=work.rules(services).checks.max_image_bytes,
        imaging=work.rules(services).imaging,
    )


def _other_room(work: Work, services: Services) -> int:
    """Return how many sets after that of its slot a new one is, beyond those of the other slots."""
    deliverable = work.deliverable
    mine = (deliverable.name, work.slot)
    listed = services.assets.of_product(work.product.sku)
    made = sum((v.asset.deliverable, v.asset.slot) == mine for v in listed)
    return made * deliverable.count


def _with_result(
    work: Work, services: Services, result: RenditionResult, view: str, credits: dict[str, str]
) -> Work:
    """Return the work with the files, facts, issues and provenance of a rendition."""
    work = replace(work, files=()).with_facts(**result.facts).with_issues(*result.issues)
    work = replace(work, provenance={**work.provenance, **merge_photo_labels([result.labels]), **credits})
    work = work.with_file(services, result.preview, "webp", Role.PREVIEW, view)
    for file in result.files:
        work = work.with_file(services, file.data, file.format, view=file.view)
    if result.cutout is not None:  # for the review page
        photo, mask = f"{CUTOUT_PHOTO}{view}", f"{CUTOUT_MASK}{view}"
        work = work.with_file(services, result.cutout.photo, "webp", Role.EVIDENCE, photo)
        work = work.with_file(services, result.cutout.mask, "png", Role.EVIDENCE, mask)
    return work


def _inspiration_palette(work: Work, services: Services) -> tuple[Work, Palette | None]:
    """Return the palette of the inspiration image; None, and an issue, where it cannot be read."""
    sha256, where = work.sources.get(INSPIRATION), "/inspiration_image"
    if sha256 is None:
        return work, None
    try:
        photo = cached_photo(services, sha256, where)
    except InputError as error:
        found = issue(
            "source.inspiration", str(error), pointer=where, measured=error.measured, limit=error.limit
        )
        return work.with_issues(found), None
    return work, extract_palette(photo)
