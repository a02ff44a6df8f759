"""Join the colours: one GLB with the approved shape in all approved colours (KHR_materials_variants)."""

import json
from dataclasses import replace

from dam_connector.domain.rules import JOINED
from dam_connector.domain.shapes import PART_COLOURS, PART_VERSIONS, colour_name
from dam_connector.domain.version import Version
from dam_connector.errors import NotFound, StateConflict
from dam_connector.usecases.shared_shapes import parts_of_joined
from dam_connector.wiring import Services
from worker.gltf.container import read_json
from worker.gltf.variants import material_changes, write_variants
from worker.imaging.metadata import COMPOSITE_WITH_TRAINED_MEDIA, TRAINED_ALGORITHMIC_MEDIA
from worker.work import PHOTO_LABEL_PREFIX, Work


def join_colours(work: Work, services: Services) -> Work:
    """Join the approved models of all colours, where the deliverable is made so. Do nothing elsewhere.

    Each material of a colour is that of its approved model.

    Reads: the deliverable. Adds: raw_model, facts, provenance.

    Raises:
        StateConflict: No shape is approved any more.
        InputError: variant.impossible, a model has another shape.
    """
    if not work.deliverable.is_joined:
        return work
    parts = parts_of_joined(services, work.product.sku, work.deliverable)
    if not parts:
        raise StateConflict(f"{work.deliverable.made_from} has no approved version")
    glbs = [_glb(services, version) for version in parts.values()]
    names = _names(services, list(parts))
    data = glbs[0]
    if len(glbs) > 1:
        changes = [material_changes(data, glb, name) for glb, name in zip(glbs[1:], names[1:], strict=True)]
        data = write_variants(data, names, changes)
    origin = {
        "generator": JOINED,
        "made_from": work.deliverable.made_from,
        PART_VERSIONS: " ".join(version.id for version in parts.values()),
        PART_COLOURS: json.dumps(dict(zip(parts, names, strict=True))),
    }
    if {_source_type(glb) for glb in glbs} & {TRAINED_ALGORITHMIC_MEDIA, COMPOSITE_WITH_TRAINED_MEDIA}:
        origin[f"{PHOTO_LABEL_PREFIX}source_type"] = COMPOSITE_WITH_TRAINED_MEDIA
    work = replace(
        work, raw_model=services.blobs.put(data), provenance={**work.provenance, **origin}, sources={}
    )
    return work.with_facts(colours=", ".join(names))


def _glb(services: Services, version: Version) -> bytes:
    file = version.file("glb")
    if file is None:
        raise NotFound("store", "join_colours", f"the GLB of {version.id}")
    return services.blobs.get(file.sha256)


def _source_type(glb: bytes) -> str:
    """Return the IPTC digital source type with which a GLB is labelled; empty: it has no label."""
    asset = read_json(glb).get("asset")
    extras = asset.get("extras") if isinstance(asset, dict) else None
    return str(extras.get("source_type", "")) if isinstance(extras, dict) else ""


def _names(services: Services, skus: list[str]) -> list[str]:
    """Return the names of products' colours; those of the same name have their SKU behind it."""
    records = [services.products.get(sku) for sku in skus]
    names = [
        colour_name(record.product) if record else sku for record, sku in zip(records, skus, strict=True)
    ]
    return [
        f"{name} ({sku})" if names.count(name) > 1 else name for name, sku in zip(names, skus, strict=True)
    ]
