"""Collect the product's photos and find out which of them can be used."""

from dataclasses import replace

from dam_connector.catalog.issue import Issue, issue
from dam_connector.catalog.product import View
from dam_connector.catalog.run import RunKind
from dam_connector.errors import InputError
from dam_connector.wiring import Services
from worker.imaging.decode import decode
from worker.work import Work

MODEL_VIEWS = (View.FRONT, View.RIGHT, View.BACK, View.LEFT, View.TOP, View.HERO)
RENDITION_VIEWS = (View.FRONT, View.HERO, View.RIGHT, View.LEFT, View.BACK, View.TOP)


def collect_sources(work: Work, services: Services) -> Work:
    """The work with the photos that this deliverable can use.

    Reads: sources as fetched. Adds: sources as usable.
    Raises: InputError with the first photo's own code when none can be used, source.missing_view when there is none.
    """
    wanted = _wanted(work)
    usable, refused = {}, []
    for view in wanted:
        sha256 = work.sources.get(view.value)
        if sha256 is None:
            continue
        try:
            decode(services.blobs.get(sha256), max_pixels=services.settings.max_picture_pixels, pointer=f"/images/{view.value}")
            usable[view.value] = sha256
        except InputError as error:
            refused.append(error)
        if usable and work.deliverable.kind is RunKind.IMAGE:
            break
    if not usable:
        names = ", ".join(v.value for v in wanted)
        raise refused[0] if refused else InputError("source.missing_view", f"{work.deliverable.name} needs one of: {names}.", pointer="/images")
    if refused:
        services.products.add_issues(work.product.sku, tuple(_as_issue(e) for e in refused))
    return replace(work, sources=usable)


def _wanted(work: Work) -> tuple[View, ...]:
    if work.deliverable.views:
        return tuple(View(v) for v in work.deliverable.views)
    return RENDITION_VIEWS if work.deliverable.kind is RunKind.IMAGE else MODEL_VIEWS


def _as_issue(error: InputError) -> Issue:
    return issue(error.issue_code, str(error), pointer=error.pointer, measured=error.measured, limit=error.limit)
