"""Make the model: a raw GLB, by the first generator of the rules that can."""

from dataclasses import replace
from datetime import timedelta

from dam_connector.catalog.product import View
from dam_connector.errors import BadOutput, OutOfCredit, Refused, Unsupported
from dam_connector.ports import TaskState
from dam_connector.wiring import Services
from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.decode import Photo, decode
from worker.imaging.labels import read_labels
from worker.imaging.quality import same_picture_issues, source_issues, wrong_view_issues
from worker.modeling.build import build_model
from worker.modeling.glb import write_glb
from worker.work import Park, Work, photo_labels

POLL_S = 4.0
LOCAL = "local"


def make_model(work: Work, services: Services) -> Work:
    """The work with a raw GLB.

    Reads: sources, task. Adds: raw_model, facts, issues, provenance. Raises: Park while a provider works,
    InputError cutout.empty, or the last generator's refusal.
    """
    refusals = []
    for name in work.deliverable.generator:
        if name == LOCAL:
            return _make_locally(work, services)
        try:
            return _make_remotely(work, services, name)
        except (Refused, Unsupported, BadOutput, OutOfCredit) as error:
            refusals.append(error)
            work = replace(work, task="")
    raise refusals[-1]


def _make_remotely(work: Work, services: Services, name: str) -> Work:
    provider = services.provider(name)
    pictures = {view: services.blobs.get(sha256) for view, sha256 in work.sources.items()}
    task = work.task or provider.submit(work.run_id, work.product, pictures)
    work = replace(work, task=task)
    state = provider.poll(task)
    if state is TaskState.FAILED:
        raise Refused(name, "generate", f"task {task} failed")
    if state is not TaskState.SUCCEEDED:
        raise Park(services.clock.now() + timedelta(seconds=POLL_S), work)
    made_by = {**photo_labels(read_labels(data) for data in pictures.values()), "generator": name, "task": task}
    return replace(work, raw_model=services.blobs.put(provider.fetch(task)), provenance={**work.provenance, **made_by})


def _make_locally(work: Work, services: Services) -> Work:
    photos: dict[str, Photo] = {}
    cutouts: dict[View, Cutout] = {}
    for view, sha256 in work.sources.items():
        where = f"/images/{view}"
        photos[view] = photo = decode(services.blobs.get(sha256), max_pixels=services.settings.max_picture_pixels, pointer=where)
        cutouts[View(view)] = cutout = cut_out(photo, where)
        work = work.with_issues(*source_issues(photo, cutout, view))
    work = work.with_issues(*same_picture_issues(photos), *wrong_view_issues(cutouts, work.product.dimensions))
    d = work.deliverable
    built = build_model(cutouts, work.product.dimensions, work.product.material, max_triangles=d.max_triangles, texture_px=d.texture_px)
    work = work.with_issues(*built.issues).with_facts(family=built.family, confidence=built.confidence, views=", ".join(cutouts))
    raw = write_glb(built.model, work.product.sku)
    return replace(
        work, raw_model=services.blobs.put(raw), provenance={**work.provenance, **photo_labels(p.labels for p in photos.values()), "generator": LOCAL}
    )
