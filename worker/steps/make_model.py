"""Make the model: a raw GLB, by the first generator of the rules that can."""

from dataclasses import replace
from datetime import timedelta

from dam_connector.catalog.issue import issue
from dam_connector.catalog.product import View
from dam_connector.catalog.rules import LOCAL
from dam_connector.errors import BadOutput, InputError, Refused, Unsupported
from dam_connector.flow.generating import Asked, overdue, settled, started
from dam_connector.ports import Generation, TaskState
from dam_connector.wiring import Services
from worker.imaging.cutout import Cutout
from worker.imaging.decode import LONGEST_PX, Photo, decode
from worker.imaging.labels import read_labels
from worker.imaging.quality import same_picture_issues, source_issues, wrong_view_issues
from worker.kept import keeper
from worker.modeling.build import build_model
from worker.modeling.glb import write_glb
from worker.work import Park, Work, photo_labels

POLL_S = 4.0
LOCAL_FACTS = ("family", "confidence", "views")
TASK_MARK = "|"  # between a provider's name and its task


def make_model(work: Work, services: Services) -> Work:
    """The work with a raw GLB.

    Reads: sources, task. Adds: raw_model, facts, issues, provenance. Raises: Park while a provider works,
    InputError cutout.empty, or the last generator's refusal.
    """
    refusals: list[Exception] = []
    for name in _still_to_try(work):
        try:
            if name != LOCAL:
                return _make_remotely(work, services, name)
            work = _make_locally(work, services)
            if _sure_enough(work):
                return work
        except (Refused, Unsupported, BadOutput, InputError) as error:  # out of credit is none: it waits until there is some
            refusals.append(error)
            work = replace(work, task="")
    if work.raw_model is None:
        raise refusals[-1]
    measured, limit = work.facts["confidence"], work.deliverable.min_confidence
    return work.with_issues(issue("model.below_threshold", "No other generator made this model.", measured=measured, limit=limit))


def _still_to_try(work: Work) -> tuple[str, ...]:
    """The generators from the one whose task is under way."""
    names = work.deliverable.generator
    under_way = work.task.partition(TASK_MARK)[0]
    return names[names.index(under_way) :] if under_way in names else names


def _sure_enough(work: Work) -> bool:
    return float(work.facts["confidence"] or 0) >= work.deliverable.min_confidence


def _make_remotely(work: Work, services: Services, name: str) -> Work:
    provider, d = services.provider(name), work.deliverable
    views = [view for view in provider.capabilities.views if view in work.sources]
    pictures = {view: services.blobs.get(work.sources[view]) for view in views}
    order = Generation(key=work.run_id, product=work.product, pictures=pictures, max_triangles=d.max_triangles, texture_px=d.texture_px)
    ref = work.task.partition(TASK_MARK)[2]
    if not ref:
        ref = started(services, Asked(run_id=work.run_id, name=name, category=work.product.category, deliverable=d.name, order=order))
    work = replace(work, task=f"{name}{TASK_MARK}{ref}")
    task = provider.poll(ref)
    if task.state not in (TaskState.SUCCEEDED, TaskState.FAILED):
        if overdue(services, work.run_id, name):
            raise Refused(name, "generate", f"task {ref} did not end in time")
        raise Park(services.clock.now() + timedelta(seconds=POLL_S), work)
    cost = settled(services, work.run_id, name, task)
    if task.state is TaskState.FAILED:
        raise Refused(name, "generate", f"task {ref} failed: {task.error or 'no reason is given'}")
    made_by = {**photo_labels(read_labels(data) for data in pictures.values()), "generator": name, "task": ref, "request_id": ref}
    made_by |= {"model_asked": provider.model, "model_actual": task.model, "cost_usd": f"{cost:g}"}
    own = tuple(i for i in work.issues if not i.code.startswith("model."))  # what was said of a local model before does not hold here
    facts = {name: fact for name, fact in work.facts.items() if name not in LOCAL_FACTS}
    if task.model and provider.model and task.model != provider.model:
        own += (issue("provider.other_model", f"{name} made it with another model.", measured=task.model, limit=provider.model),)
    raw = services.blobs.put(provider.fetch(ref))
    return replace(work, raw_model=raw, provenance={**work.provenance, **made_by}, issues=own, facts=facts)


def _make_locally(work: Work, services: Services) -> Work:
    photos: dict[str, Photo] = {}
    cutouts: dict[View, Cutout] = {}
    for view, sha256 in work.sources.items():
        where = f"/images/{view}"
        data, limit = services.blobs.get(sha256), services.settings.max_picture_pixels
        photos[view] = photo = decode(data, max_pixels=limit, pointer=where, longest_px=LONGEST_PX)
        cutouts[View(view)] = cutout = keeper(services, sha256)(photo, where)
        work = work.with_issues(*source_issues(photo, cutout, view))
    work = work.with_issues(*same_picture_issues(photos), *wrong_view_issues(cutouts, work.product.dimensions))
    product, d = work.product, work.deliverable
    words = f"{product.name} {product.category} {product.material}"
    built = build_model(cutouts, product.dimensions, words, max_triangles=d.max_triangles, texture_px=d.texture_px)
    work = work.with_issues(*built.issues).with_facts(family=built.family, confidence=built.confidence, views=", ".join(cutouts))
    raw = services.blobs.put(write_glb(built.model, product.sku))
    made_by = {**photo_labels(p.labels for p in photos.values()), "generator": LOCAL}
    return replace(work, raw_model=raw, provenance={**work.provenance, **made_by})
