"""Recolour the model: the shape that the product shares with those of other colours, in its own colour."""

from dataclasses import replace

from dam_connector.domain.product import SWATCH, is_colour_code
from dam_connector.domain.rules import RECOLOURED
from dam_connector.domain.shapes import SHAPE, SHAPE_SHA256, SHAPE_VERSION
from dam_connector.wiring import Services
from worker.cache import cached_cut_out, cached_photo
from worker.gltf.container import read_json
from worker.imaging.decode import MODEL_PHOTO_MAX_PX
from worker.modeling.colour_variants import WantedColour, recolour
from worker.modeling.wanted_colour import MIN_SWATCH_PX, of_code, of_cutout, of_swatch
from worker.work import PHOTO_LABEL_PREFIX, Work


def recolour_model(work: Work, services: Services) -> Work:
    """Take the approved shape in the product's colour as the GLB. Do nothing where it shares none.

    The mesh and its UVs are those of the shape, byte by byte.

    Reads: sources, version ids in provenance. Adds: raw_model, sources without the shape and the swatch,
    facts, provenance; issue variant.colour.

    Raises:
        InputError: variant.impossible, source.*, cutout.empty.
    """
    shape = work.sources.get(SHAPE)
    if shape is None:
        return work
    assert work.deliverable.colours is not None
    glb = services.blobs.get(shape)
    data, made = recolour(glb, _wanted(work, services), work.deliverable.colours.max_de2000)
    extras = read_json(glb).get("asset", {}).get("extras", {})
    origin = {"generator": RECOLOURED, SHAPE_SHA256: str(shape)}
    if source_type := extras.get("source_type"):  # the mark of a trained model is never lost
        origin[f"{PHOTO_LABEL_PREFIX}source_type"] = str(source_type)
    work = replace(
        work,
        raw_model=services.blobs.put(data),
        sources={key: sha256 for key, sha256 in work.sources.items() if key not in (SHAPE, SWATCH)},
        provenance={**work.provenance, **origin},
    )
    work = work.with_facts(
        shape=work.provenance[SHAPE_VERSION],
        colour_wanted=made.wanted,
        colour_measured=made.measured,
        colour_de2000=made.de2000,
    )
    return work.with_issues(*made.issues())


def _wanted(work: Work, services: Services) -> WantedColour:
    """Return the product's colour by its code, its swatch, or its first photo."""
    name, sha256 = work.product.color, work.sources.get(SWATCH)
    if sha256 is not None:
        photo = cached_photo(services, sha256, "/swatch", MODEL_PHOTO_MAX_PX, MIN_SWATCH_PX)
        return of_swatch(name, photo.rgb)
    views = [view for view in work.sources if view != SHAPE]
    if not views and is_colour_code(work.product.swatch):
        return of_code(name, work.product.swatch)
    where = f"/images/{views[0]}"
    photo = cached_photo(services, work.sources[views[0]], where, MODEL_PHOTO_MAX_PX)
    cutout = cached_cut_out(services, work.rules(services).imaging, work.sources[views[0]], photo, where)
    return of_cutout(name, photo.rgb, cutout.alpha)
