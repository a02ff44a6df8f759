"""Make the model: a raw GLB, by the first generator of plugin.json that succeeds."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.product import Capture, Product, View, captured_pictures, named_photos
from dam_connector.domain.rules import BROUGHT, JOINED, LOCAL, RECOLOURED, ImagingRules
from dam_connector.domain.touch_up import correction_issue, correction_text
from dam_connector.domain.version import ORIGINAL_MODEL
from dam_connector.errors import InputError
from dam_connector.ports import Provider
from dam_connector.usecases.provider_orders import ProviderOrder
from dam_connector.wiring import Services
from worker.cache import cached_cut_out, cached_photo, cached_source_issues
from worker.capture.build import build_from_spin
from worker.capture.build_walk import build_from_walk
from worker.capture.frames import read_frames, read_walk
from worker.capture.photo_placing import can_place, require_library
from worker.generators import await_result, first_good, photos_for_provider, provider_prompt
from worker.imaging.black_and_white import is_black_and_white
from worker.imaging.cutout import Cutout
from worker.imaging.decode import MODEL_PHOTO_MAX_PX, Photo, decode
from worker.imaging.metadata import read_metadata
from worker.imaging.photo_quality import least_confidence, wrong_view_issues
from worker.modeling.build import ModelBuild, build_model
from worker.modeling.glb_export import write_glb
from worker.work import Work, merge_photo_labels

# Why pictures may be of the other kind: a walk has such frames, and a turntable such photos.
OTHER_KIND: Mapping[Capture, tuple[IssueCode, ...]] = {
    Capture.SPIN: ("capture.not_a_spin", "capture.frame_size"),
    Capture.WALK: ("capture.not_placed", "capture.no_ground", "capture.no_outline"),
}
MASK_LOOK_PX = 256  # longer side at which pictures are looked at for masks
MAX_NAMED_MASKS = 6
AS_OTHER_KIND = {Capture.SPIN: "As photos of a walk", Capture.WALK: "As frames of a turntable"}
CAPTURED = {Capture.SPIN: "frames of the spin", Capture.WALK: "photos of the walk"}
FRAME_NAMES = {Capture.SPIN: "frame of the spin", Capture.WALK: "photo of the walk"}
COUNT_FACTS = {Capture.SPIN: "spin_frames", Capture.WALK: "walk_photos"}
UNUSED_CODES: Mapping[Capture, IssueCode] = {
    Capture.SPIN: "model.spin_unused",
    Capture.WALK: "model.walk_unused",
}
LOCAL_FACTS = ("family", "confidence", "views", *COUNT_FACTS.values())  # facts that only our own code adds


def make_model(work: Work, services: Services) -> Work:
    """Make a raw GLB by the generators of plugin.json, in order, until one is good enough.

    Do nothing where the product brought one along, or shares that of another.

    Reads: sources, task. Adds: raw_model, facts, issues, provenance.

    Raises:
        Park: A provider is at work.
        InputError: cutout.empty, from our own code, when no other generator made a model.
        Refused: The last generator refused.
    """

    if work.provenance.get("generator") in (BROUGHT, RECOLOURED, JOINED):
        return work

    def make(work: Work, name: str) -> Work:
        return _make_locally(work, services) if name == LOCAL else _make_remotely(work, services, name)

    work = first_good(work, make, is_good=_is_confident, has_result=work.raw_model is not None)
    services.products.drop_issues(work.product.sku, lambda found: found.code == "model.forecast")
    if _is_confident(work):
        return work
    capture = next((kind for kind, count in COUNT_FACTS.items() if count in work.facts), None)
    return work.with_issues(
        issue(
            "model.below_threshold",
            "No other generator made this model.",
            pointer=f"/{capture.field_name}" if capture else "",
            measured=work.facts["confidence"],
            limit=work.deliverable.min_confidence,
        )
    )


def _is_confident(work: Work) -> bool:
    """Return whether the model reaches the deliverable's min_confidence; a provider's always does."""
    return float(work.facts.get("confidence", 1) or 0) >= work.deliverable.min_confidence


def _make_remotely(work: Work, services: Services, name: str) -> Work:
    """Return the work with a provider's GLB, without the issues and facts of a local model before it."""
    result = await_result(work, services, name, lambda provider: _provider_order(work, services, provider))
    return replace(
        result.work,
        raw_model=result.files[0],
        issues=result.work.without_issues("model.").issues,
        facts={name: fact for name, fact in result.work.facts.items() if name not in LOCAL_FACTS},
        provenance={**result.work.provenance, ORIGINAL_MODEL: result.files[0]},
    )


def _provider_order(work: Work, services: Services, provider: Provider) -> ProviderOrder:
    return ProviderOrder(
        product=work.product,
        pictures=photos_for_provider(work, services, provider),
        prompt=provider_prompt(work, provider),
        max_triangles=work.deliverable.max_triangles,
        texture_px=work.deliverable.texture_px,
    )


def _make_locally(work: Work, services: Services) -> Work:
    """Return the work with a GLB that our own code built: from the spin, the walk, or the named photos."""
    unused: list[Issue] = []
    for kind in Capture:
        if not captured_pictures(work.sources, kind):
            continue
        try:
            return _with_unused(_make_from_capture(work, services, kind), unused, f"the {CAPTURED[kind]}")
        except InputError as error:
            if not named_photos(work.sources):
                raise
            unused.append(
                issue(
                    UNUSED_CODES[kind],
                    str(error),
                    pointer=f"/{kind.field_name}",
                    measured=error.measured,
                    limit=error.limit,
                )
            )
    return _with_unused(_make_from_photos(work, services), unused, _photo_names(work))


def _with_unused(work: Work, unused: Iterable[Issue], made_from: str) -> Work:
    """Return the work with the issues of captures that could not be used, and of their substitutes."""
    return work.with_issues(
        *(replace(i, message=f"{i.message} The model was made from: {made_from}.") for i in unused)
    )


def _make_from_capture(work: Work, services: Services, kind: Capture) -> Work:
    """Return the work with a GLB from a spin or a walk.

    Where no turntable explains a spin, its frames are taken for photos of a walk; and the other way round,
    since people give the frames of a turntable as a walk.

    Raises:
        InputError: The pictures cannot be used, or no cameras explain them.
    """
    is_walk = kind is Capture.WALK
    _refuse_masks(work, services, kind)
    try:
        return _make_from_pictures(work, services, kind, is_walk=is_walk)
    except InputError as error:
        if error.issue_code not in OTHER_KIND[kind] or not (is_walk or can_place()):
            raise
        try:
            return _make_from_pictures(work, services, kind, is_walk=not is_walk)
        except InputError as as_other:
            raise InputError(
                error.issue_code,
                f"{error} {AS_OTHER_KIND[kind]}: {as_other}",
                pointer=error.pointer,
                measured=error.measured,
                limit=error.limit,
            ) from as_other


def _refuse_masks(work: Work, services: Services, kind: Capture) -> None:
    """Refuse a spin or a walk with masks among its pictures: each would count as one more frame.

    Raises:
        InputError: Up to half of the pictures are nothing but black and white.
    """
    found, hashes = [], list(captured_pictures(work.sources, kind).values())
    for number, sha256 in enumerate(hashes, 1):
        photo = decode(
            services.blobs.get(sha256),
            max_pixels=services.settings.max_picture_pixels,
            pointer=f"/{kind.field_name}/{number - 1}",
            max_side_px=MASK_LOOK_PX,
            min_side_px=1,
        )
        found += [number] if is_black_and_white(photo.rgb) else []
    if not 0 < 2 * len(found) <= len(hashes):
        return
    named = ", ".join(map(str, found[:MAX_NAMED_MASKS])) + (", ..." if found[MAX_NAMED_MASKS:] else "")
    raise InputError(
        "capture.not_a_spin" if kind is Capture.SPIN else "capture.no_outline",
        f"{len(found)} of {len(hashes)} pictures are black and white, as masks are, counted from 1: {named}.",
        pointer=f"/{kind.field_name}/{found[0] - 1}",
        measured=f"{len(found)} masks",
        limit="0",
    )


def _make_from_pictures(work: Work, services: Services, kind: Capture, *, is_walk: bool) -> Work:
    """Return the work with a GLB that our own code built from the pictures of a spin or a walk.

    Raises:
        InputError: The pictures cannot be used, or no cameras explain them.
    """
    if is_walk:
        require_library()  # before a minute of cutting out
    hashes, imaging = captured_pictures(work.sources, kind), work.rules(services).imaging
    labels: list[Mapping[str, str]] = []

    def read(key: str) -> bytes:
        data = services.blobs.get(hashes[key])
        labels.append(read_metadata(data))
        return data

    corrections: list[Issue] = []

    def cut_out(key: str, photo: Photo) -> Cutout:
        found = cached_cut_out(services, imaging, hashes[key], photo, f"/{kind.field_name}/{key}")
        corrections.extend(_corrections(services, hashes[key], key, found, imaging))
        return found

    pictures = (tuple(hashes), read, cut_out, services.settings.max_picture_pixels)
    words, deliverable = _description(work.product), work.deliverable
    budgets = {"max_triangles": deliverable.max_triangles, "texture_px": deliverable.texture_px}
    size = work.product.dimensions
    if is_walk:
        built = build_from_walk(read_walk(*pictures), size, words, **budgets).built
    else:
        built = build_from_spin(read_frames(*pictures), size, words, **budgets)
    count = {COUNT_FACTS[kind]: len(hashes)}
    work = work.with_issues(*_of_capture(built.issues, kind), *corrections).with_facts(
        family=built.family, confidence=built.confidence, **count
    )
    return _with_model(work, services, built, labels)


def _photo_names(work: Work) -> str:
    """Return the photos beside the captures, e.g. `front photo, back photo` or `first frame of the spin`."""
    frames = _frame_names(work)
    return ", ".join(frames.get(view) or f"{view} photo" for view in named_photos(work.sources))


def _frame_names(work: Work) -> dict[str, str]:
    """Return the names of the photos that are only the first picture of a capture, by view."""
    firsts = {work.sources.get(kind.key(1)): f"first {FRAME_NAMES[kind]}" for kind in Capture}
    recorded = {str(image.view) for image in work.product.images}
    photos = named_photos(work.sources).items()
    return {view: firsts[sha] for view, sha in photos if sha in firsts and view not in recorded}


def _of_capture(issues: Iterable[Issue], kind: Capture) -> Iterator[Issue]:
    """Yield issues of a model; a low confidence points at its capture, where it is no probability."""
    for found in issues:
        is_confidence = found.code == "model.low_confidence" and not found.pointer
        yield replace(found, pointer=f"/{kind.field_name}") if is_confidence else found


def _corrections(
    services: Services, sha256: Sha256, view: str, cutout: Cutout, imaging: ImagingRules
) -> Iterator[Issue]:
    """Yield `cutout.corrected` where a person corrected the mask of a photo."""
    if text := correction_text(services.touch_ups.of_photo(sha256)):
        before = cutout.confidence if cutout.lifted is None else cutout.lifted
        limit = least_confidence(cutout.net, imaging)
        yield correction_issue(text, view, before, limit, is_seen=cutout.lifted is not None)


def _make_from_photos(work: Work, services: Services) -> Work:
    """Return the work with a GLB that our own code built from the named photos."""
    frames = _frame_names(work)
    work = replace(work, sources=named_photos(work.sources))
    photos: dict[str, Photo] = {}
    imaging = work.rules(services).imaging
    cutouts: dict[View, Cutout] = {}
    for view, sha256 in work.sources.items():
        where = f"/images/{view}"
        photos[view] = photo = cached_photo(services, sha256, where, MODEL_PHOTO_MAX_PX)
        cutouts[View(view)] = cutout = cached_cut_out(services, imaging, sha256, photo, where)
        work = work.with_issues(*cached_source_issues(services, sha256, photo, cutout, view, imaging))
        work = work.with_issues(*_corrections(services, sha256, view, cutout, imaging))
    product, deliverable = work.product, work.deliverable
    work = work.with_issues(*wrong_view_issues(cutouts, product.dimensions))
    built = build_model(
        cutouts,
        product.dimensions,
        _description(product),
        max_triangles=deliverable.max_triangles,
        texture_px=deliverable.texture_px,
    )
    work = work.with_issues(*built.issues).with_facts(
        family=built.family,
        confidence=built.confidence,
        views=", ".join(frames.get(view) or built.actual_views.get(view, view) for view in cutouts),
    )
    # by the view that each photo really shows: the checks compare the model with it
    sources = {str(built.actual_views.get(View(v), v)): sha256 for v, sha256 in work.sources.items()}
    labels = [photo.metadata for photo in photos.values()]
    return _with_model(replace(work, sources=sources), services, built, labels)


def _description(product: Product) -> str:
    """Return the words that say what a product is, and of which material."""
    return f"{product.name} {product.category} {product.material}"


def _with_model(
    work: Work, services: Services, built: ModelBuild, photo_labels: Iterable[Mapping[str, str]]
) -> Work:
    credits = {**merge_photo_labels(photo_labels), "generator": LOCAL}
    return replace(
        work,
        raw_model=services.blobs.put(write_glb(built.model, work.product.sku)),
        provenance={**work.provenance, **credits},
    )
