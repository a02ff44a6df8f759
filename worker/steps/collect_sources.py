"""Collect the sources of a run: the product's usable photos, or its model."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from dam_connector.domain.brought_model import BROUGHT_MODEL
from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.product import INSPIRATION, capture_of_key, named_photos
from dam_connector.domain.rules import LOCAL, PHOTO
from dam_connector.domain.run import RunKind
from dam_connector.domain.shapes import SHAPE, SHAPE_MARK, SHAPE_VERSION, colour_inputs, shape_mark
from dam_connector.domain.used_photos import is_other_side, lacking_deliverable, missing_view, views_of
from dam_connector.domain.version import Version
from dam_connector.errors import InputError, StateConflict
from dam_connector.usecases.shared_shapes import approved_shape, connection_of
from dam_connector.wiring import Services
from worker.cache import cached_fingerprint, cached_photo
from worker.imaging.decode import MAX_SIDE_PX, MODEL_PHOTO_MAX_PX
from worker.imaging.photo_quality import same_picture_issues
from worker.work import Work


def collect_sources(work: Work, services: Services) -> Work:
    """Keep the photos, the spin and the walk that this deliverable can use, or find its model or its shape.

    Reads: sources as fetched. Adds: sources as usable, or raw_model; provenance, issues source.no_front and
    source.same_picture.

    Raises:
        InputError: The first photo's own code when no photo can be used, source.missing_view when there is
            none, source.missing_model.
        StateConflict: The shape that the product shares is not approved any more.
    """
    if work.deliverable.is_joined:
        return work  # join_colours finds its models
    found = _found_sources(work, services)
    name = work.deliverable.name
    services.products.drop_issues(work.product.sku, lambda each: lacking_deliverable(each) == name)
    return found


def _found_sources(work: Work, services: Services) -> Work:
    """Return the work with its sources; raises as `collect_sources` does."""
    if work.deliverable.made_from != PHOTO:
        return _with_model(work, services)
    if work.deliverable.colours is not None:
        connection = connection_of(services, work.product)
        mark = shape_mark(work.product, work.deliverable.colours, connection)
        work = replace(work, provenance={**work.provenance, SHAPE_MARK: mark})
    shape = None if work.generator else _shared_shape(work, services)
    if shape is not None:
        return _with_shape(work, services, shape)
    usable, errors = _usable_photos(work, services)
    if work.deliverable.kind is RunKind.MODEL:
        usable |= {k: sha for k, sha in work.sources.items() if capture_of_key(k)}  # make_model judges them
    if _brings_model(work):
        usable[BROUGHT_MODEL] = work.sources[BROUGHT_MODEL]
    if not usable:
        raise errors[0] if errors else InputError.of_issue(missing_view(work.deliverable))
    if errors:
        services.products.add_issues(work.product.sku, tuple(e.to_issue() for e in errors))
    work = work.with_issues(*_other_side_issues(work, usable), *_same_picture_issues(work, services))
    if INSPIRATION in work.sources and work.deliverable.style == "lifestyle":
        usable[INSPIRATION] = work.sources[INSPIRATION]
    return replace(work, sources=usable)


def _other_side_issues(work: Work, usable: Mapping[str, Sha256]) -> Iterator[Issue]:
    """Yield source.no_front when the photos show another side of the product than the wanted one alone."""
    if BROUGHT_MODEL in usable or any(map(capture_of_key, usable)):
        return  # the model is made from something else
    if is_other_side(work.deliverable, usable):
        view, wanted = next(iter(usable)), views_of(work.deliverable)[0].value
        why = f"the photo of the {wanted} cannot be used"
        if wanted not in work.sources:
            why = f"the product has no photo of the {wanted}"
        message = f"{work.deliverable.name} is made from the photo of the {view}: {why}."
        yield issue("source.no_front", message, pointer=f"/images/{view}")


def _same_picture_issues(work: Work, services: Services) -> Iterator[Issue]:
    """Yield source.same_picture for one picture that was given as two views, whether or not they are used."""
    photos, fingerprints = named_photos(work.sources), {}
    for view, sha256 in photos.items():
        with suppress(InputError):  # it is reported where it is used
            fingerprints[view] = cached_fingerprint(services, sha256)
    yield from same_picture_issues(
        fingerprints, lambda view: cached_photo(services, photos[view], max_side_px=MODEL_PHOTO_MAX_PX)
    )


def _shared_shape(work: Work, services: Services) -> Version | None:
    """Return the approved model of another product whose shape this one shares, or None if it shares none.

    Raises:
        StateConflict: It shares one that is not approved, e.g. since its approval was undone.
    """
    if work.deliverable.colours is None or BROUGHT_MODEL in work.sources:
        return None
    name = work.deliverable.name
    key = services.shapes.key_of(name, work.product.sku)
    owner = services.shapes.owner(name, key) if key else ""
    if owner in ("", work.product.sku):
        return None
    shape = approved_shape(services, owner, name, key)
    if shape is None:
        raise StateConflict(f"the shape of {owner} is not approved")
    return shape


def _with_shape(work: Work, services: Services, shape: Version) -> Work:
    """Add the shape that is recoloured, and the pictures that tell the colour."""
    photos, errors = _usable_photos(work, services)
    colour = colour_inputs(work.product, work.deliverable, work.sources, photos)
    glb = shape.file("glb")
    if not colour or glb is None:
        message = f"{work.deliverable.name} is recoloured from {shape.asset.sku}, by a swatch or a photo."
        raise errors[0] if errors else InputError("source.missing_view", message, pointer="/swatch")
    return replace(
        work,
        sources={SHAPE: glb.sha256, **{key: sha256 for key, sha256 in colour.items() if sha256}},
        provenance={
            **work.provenance,
            SHAPE_VERSION: shape.id,
            "made_from": f"{shape.asset.sku} {work.deliverable.name} V{shape.number}",
        },
    )


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
    for view in views_of(work.deliverable):
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
