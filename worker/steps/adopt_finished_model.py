"""Adopt a finished GLB as it is; the steps that follow make the files that a version of ours has from it."""

from dataclasses import replace

from dam_connector.domain.adoption import ADOPTED
from dam_connector.domain.shapes import SHAPE_MARK, shape_mark
from dam_connector.domain.version import Role, VersionFile
from dam_connector.errors import InputError, NotFound
from dam_connector.usecases.shared_shapes import connection_of
from dam_connector.wiring import Services
from worker.cache import cached_features, cached_model
from worker.work import Work


def adopt_finished_model(work: Work, services: Services) -> Work:
    """Take the finished GLB byte for byte.

    Reads: the asset's finished file. Adds: files, raw_model, provenance; an issue, and no raw_model, where it
    cannot be read.

    Raises:
        NotFound: There is no finished file.
    """
    found = services.finished_files.get(work.product.sku, work.deliverable.name)
    if found is None:
        raise NotFound("store", "adopt", f"{work.product.sku} {work.deliverable.name}")
    own = VersionFile(
        name="",
        format="glb",
        role=Role.PRIMARY,
        view="",
        mime=found.mime,
        sha256=found.sha256,
        bytes=len(services.blobs.get(found.sha256)),
    )
    origin = {
        "generator": ADOPTED,
        "adopted_from": f"{found.source.where}: {found.source.name}",
        "adopted_ref": found.source.ref,
    }
    if work.deliverable.colours is not None:
        connection = connection_of(services, work.product)
        origin[SHAPE_MARK] = shape_mark(work.product, work.deliverable.colours, connection)
    work = replace(work, files=(own,), provenance={**work.provenance, **origin})
    try:
        cached_model(services, found.sha256)
        cached_features(services, found.sha256)
    except InputError as error:  # nothing can be made from it: its version is blocked by this issue
        plain = replace(work.deliverable, formats=("glb",))
        return replace(work, deliverable=plain).with_issues(error.to_issue())
    return replace(work, raw_model=found.sha256)
