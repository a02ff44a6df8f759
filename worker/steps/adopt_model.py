"""Adopt the model that the product brings along, e.g. from a studio: as GLB, in place of one that is made."""

from dataclasses import replace

from dam_connector.domain.brought_model import BROUGHT_MODEL
from dam_connector.domain.issue import issue
from dam_connector.domain.rules import BROUGHT
from dam_connector.domain.version import CONVERTED_MODEL, ORIGINAL_MODEL
from dam_connector.wiring import Services
from worker.adoption.conversion import convert_model
from worker.gltf.container import read_json
from worker.work import PHOTO_LABEL_PREFIX, Work


def adopt_model(work: Work, services: Services) -> Work:
    """Take the brought model as the raw GLB. Do nothing where there is none.

    Reads: sources. Adds: raw_model, sources without the model, facts, provenance; issue model.converted for
    what its GLB does not hold.

    Raises:
        InputError: source.not_a_model, file.*, geometry.empty.
        Busy: Too many models are converted at once.
    """
    original = work.sources.get(BROUGHT_MODEL)
    if original is None:
        return work
    brought = convert_model(services.blobs.get(original))
    if brought.losses:
        lost = ", ".join(brought.losses)
        message = f"The GLB does not hold: {lost}."
        work = work.with_issues(issue("model.converted", message, measured=lost, limit=brought.format))
    glb = services.blobs.put(brought.glb)
    origin = {"generator": BROUGHT, ORIGINAL_MODEL: str(original), **_labels(brought.glb)}
    if glb != original:
        origin[CONVERTED_MODEL] = str(glb)
    work = replace(
        work,
        raw_model=glb,
        sources={view: sha256 for view, sha256 in work.sources.items() if view != BROUGHT_MODEL},
        provenance={**work.provenance, **origin},
    )
    return work.with_facts(brought_as=brought.format)


def _labels(glb: bytes) -> dict[str, str]:
    """Return the mark of a trained model that the file carries; nothing where it carries none."""
    asset = read_json(glb).get("asset")
    extras = asset.get("extras") if isinstance(asset, dict) else None
    found = extras.get("source_type") if isinstance(extras, dict) else None
    return {f"{PHOTO_LABEL_PREFIX}source_type": found} if isinstance(found, str) else {}
