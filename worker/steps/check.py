"""Check what was made: every check that applies, one report, and the pictures that the report shows."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from dam_connector.catalog.run import RunKind
from dam_connector.catalog.version import Role
from dam_connector.errors import InputError
from dam_connector.wiring import Services
from worker.checks.guard import GUARD, Order
from worker.imaging.cutout import Cutout
from worker.imaging.decode import LONGEST_PX, decode
from worker.kept import keeper
from worker.work import Work


def check(work: Work, services: Services) -> Work:
    """The work with its report. Reads: files, sources, issues, facts. Adds: report, files."""
    rules = work.rules(services)
    photographed = work.deliverable.kind is RunKind.MODEL
    files = tuple(f for f in work.files if f.role is not Role.EVIDENCE)
    photos = {view: services.blobs.get(sha256) for view, sha256 in work.sources.items()} if photographed else {}
    order = Order(
        product=work.product,
        deliverable=work.deliverable,
        slot=work.slot,
        number=work.number,
        files=files,
        contents={f.name: services.blobs.get(f.sha256) for f in files if f.role is not Role.PREVIEW},
        photos=photos,
        cutouts=dict(_cut_out(work, services, photos)),
        rules=rules,
        found_before=work.issues,
        facts=work.facts,
    )
    checked = GUARD.check(order)
    work = replace(work, report=checked.report)
    for name, picture in checked.pictures.items():
        work = work.with_file(services, picture, "webp", Role.EVIDENCE, name)
    return work.with_names(services)


def _cut_out(work: Work, services: Services, photos: Mapping[str, bytes]) -> Iterator[tuple[str, Cutout]]:
    """The photos' cut-outs, mostly kept from before; those that cannot be made are left to the check to tell."""
    for view, data in photos.items():
        with suppress(InputError):
            photo = decode(data, max_pixels=services.settings.max_picture_pixels, longest_px=LONGEST_PX)
            yield view, keeper(services, work.sources[view])(photo, "")
