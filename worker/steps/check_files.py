"""Check the files: every check that applies, one report, and the pictures that the report shows."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from dam_connector.domain.adoption import ADOPTED
from dam_connector.domain.ids import Sha256
from dam_connector.domain.product import capture_of_key, named_photos
from dam_connector.domain.rules import LOCAL
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import CONVERTED_MODEL, ORIGINAL_MODEL, Role
from dam_connector.errors import InputError
from dam_connector.wiring import Services
from worker.cache import cached_cut_out, cached_photo
from worker.check_process import CHECK_PROCESS
from worker.check_request import CheckRequest
from worker.imaging.cutout import Cutout
from worker.imaging.decode import MODEL_PHOTO_MAX_PX
from worker.work import Work


def check_files(work: Work, services: Services) -> Work:
    """Run the checks and add their report.

    Reads: files, sources, issues, facts. Adds: report, files.
    """
    files = tuple(f for f in work.files if f.role is not Role.EVIDENCE)
    photos = _reference_photos(work)
    request = CheckRequest(
        product=work.product,
        deliverable=work.deliverable,
        slot=work.slot,
        number=work.number,
        files=files,
        contents={f.name: services.blobs.get(f.sha256) for f in files if f.role is not Role.PREVIEW},
        photos={view: services.blobs.get(sha256) for view, sha256 in photos.items()},
        cutouts=dict(_cut_out_all(photos, work, services)),
        rules=work.rules(services),
        made_here=_is_made_here(work),
        original=_original(work, services),
        earlier_issues=work.issues,
        skip=("labels",) if work.provenance.get("generator") == ADOPTED else (),
        facts=work.facts,
    )
    result = CHECK_PROCESS.check(request)
    work = replace(work, report=result.report)
    for name, picture in result.pictures.items():
        work = work.with_file(services, picture, "webp", Role.EVIDENCE, name)
    return work.with_file_names(services)


def _is_made_here(work: Work) -> bool:
    return work.provenance.get("generator", LOCAL) == LOCAL


def _original(work: Work, services: Services) -> bytes:
    """Return the GLB of a model from elsewhere before our finishing; empty for a model of our own."""
    sha256 = work.provenance.get(CONVERTED_MODEL) or work.provenance.get(ORIGINAL_MODEL)
    return services.blobs.get(Sha256(sha256)) if sha256 else b""


def _reference_photos(work: Work) -> Mapping[str, Sha256]:
    """Return the photos that a model is compared with, by view."""
    if work.deliverable.kind is not RunKind.MODEL:
        return {}
    # A picture of a spin or a walk beside the front is seen from above and from near: it is no photo of one
    # side.
    is_captured = work.facts.get("family") in ("spin", "walk")
    frames = {sha for key, sha in work.sources.items() if capture_of_key(key)} if is_captured else set()
    return {v: sha256 for v, sha256 in named_photos(work.sources).items() if sha256 not in frames}


def _cut_out_all(
    photos: Mapping[str, Sha256], work: Work, services: Services
) -> Iterator[tuple[str, Cutout]]:
    """Yield the cut-out of each photo, mostly from the cache. The check reports photos without one."""
    imaging = work.rules(services).imaging
    for view, sha256 in photos.items():
        with suppress(InputError):
            photo = cached_photo(services, sha256, max_side_px=MODEL_PHOTO_MAX_PX)
            yield view, cached_cut_out(services, imaging, sha256, photo).crop_to_product()
