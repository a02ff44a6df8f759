"""Check what was made: every check that applies, one report, and the pictures that the report shows."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from dam_connector.domain.ids import Sha256
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import Role
from dam_connector.errors import InputError
from dam_connector.wiring import Services
from worker.cache import cached_cutter, cached_photo
from worker.check_process import CHECK_PROCESS, CheckRequest
from worker.imaging.cutout import Cutout
from worker.imaging.decode import MODEL_PHOTO_MAX_PX
from worker.work import Work


def check_files(work: Work, services: Services) -> Work:
    """The work with its report. Reads: files, sources, issues, facts. Adds: report, files."""
    rules = work.rules(services)
    files = tuple(f for f in work.files if f.role is not Role.EVIDENCE)
    photos = {view: services.blobs.get(sha256) for view, sha256 in _photographed(work).items()}
    order = CheckRequest(
        product=work.product,
        deliverable=work.deliverable,
        slot=work.slot,
        number=work.number,
        files=files,
        contents={f.name: services.blobs.get(f.sha256) for f in files if f.role is not Role.PREVIEW},
        photos=photos,
        cutouts=dict(_cut_out(work, services)),
        rules=rules,
        found_before=work.issues,
        facts=work.facts,
    )
    checked = CHECK_PROCESS.check(order)
    work = replace(work, report=checked.report)
    for name, picture in checked.pictures.items():
        work = work.with_file(services, picture, "webp", Role.EVIDENCE, name)
    return work.with_file_names(services)


def _photographed(work: Work) -> Mapping[str, Sha256]:
    """The photos that a model is held against, by view."""
    return work.sources if work.deliverable.kind is RunKind.MODEL else {}


def _cut_out(work: Work, services: Services) -> Iterator[tuple[str, Cutout]]:
    """The photos' cut-outs, mostly kept from before; those that cannot be made are left to the check to tell."""
    for view, sha256 in _photographed(work).items():
        with suppress(InputError):
            yield (
                view,
                cached_cutter(services, sha256)(
                    cached_photo(services, sha256, longest_px=MODEL_PHOTO_MAX_PX), ""
                ).crop_to_product(),
            )
