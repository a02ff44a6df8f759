"""The pipeline: read this first. What happens to a run, step by step, top to bottom.

A step is a function `(Work, Services) -> Work` in the file of its name. It can be run twice without harm, raises `Park`
to sleep, and reports findings as Issues. The runner commits a checkpoint after each one. To add a step: one file in
worker/steps/, one line here (docs/adding.md).
"""

from collections.abc import Callable, Mapping

from dam_connector.domain.run import RunKind
from dam_connector.wiring import Services
from worker.steps.assign_version import assign_version
from worker.steps.check import check
from worker.steps.collect_sources import collect_sources
from worker.steps.convert_usdz import convert_usdz
from worker.steps.enlarge import enlarge
from worker.steps.finish_model import finish_model
from worker.steps.fit_dimensions import fit_dimensions
from worker.steps.label_provenance import label_provenance
from worker.steps.make_lods import make_lods
from worker.steps.make_model import make_model
from worker.steps.make_renditions import make_renditions
from worker.steps.pack_web import pack_web
from worker.steps.plan_renditions import plan_renditions
from worker.steps.publish_to_channels import publish_to_channels
from worker.steps.push import push
from worker.steps.record_publication import record_publication
from worker.steps.render_previews import render_previews
from worker.steps.request_review import request_review
from worker.steps.seal_version import seal_version
from worker.steps.tell_dam import tell_dam
from worker.steps.tell_pim import tell_pim
from worker.steps.withdraw_from_channels import withdraw_from_channels
from worker.work import Work

Step = Callable[[Work, Services], Work]

IMAGE: tuple[Step, ...] = (
    collect_sources,  # the product's photos, decoded and found usable; or its model
    make_renditions,  # cut out or rendered, composed, encoded
    assign_version,  # the version's number, given once, and the files' names
    label_provenance,  # who made it from what, inside the files
    check,  # the report
    seal_version,  # files, report and provenance are immutable from here on
    push,  # into the DAM, unless the report blocks it
    request_review,  # in review, or blocked
    tell_dam,  # that it replaces an earlier one
)
MODEL: tuple[Step, ...] = (
    collect_sources,
    make_model,  # by our own code or a provider: a raw GLB
    fit_dimensions,  # the product's true size, Y up, standing on the origin
    finish_model,  # budgets, normals, a file the validator has no remark on
    convert_usdz,  # the same for Quick Look
    pack_web,  # the same, small, for web pages
    make_lods,  # the same with fewer triangles, where asked for
    render_previews,  # pictures of it: hero and the sides
    assign_version,
    label_provenance,
    check,
    seal_version,
    push,
    request_review,
    tell_dam,
    plan_renditions,  # pictures that are rendered from this model
)
UPSCALE: tuple[Step, ...] = (  # a picture with twice the pixels
    enlarge,
    assign_version,
    label_provenance,
    check,
    seal_version,
    push,
    request_review,
    tell_dam,
)
REVIEW: tuple[Step, ...] = (
    push,
    request_review,
    tell_dam,
    plan_renditions,
)  # a blocked version whose errors were waived
PUBLISH: tuple[Step, ...] = (
    publish_to_channels,
    record_publication,
    tell_dam,
    tell_pim,
)  # an approved version goes live, for the first time or again
WITHDRAW: tuple[Step, ...] = (withdraw_from_channels, tell_dam, tell_pim)  # a live version is taken off
TELL: tuple[Step, ...] = (tell_dam,)  # a decision was made here

PIPELINES: Mapping[RunKind, tuple[Step, ...]] = {
    RunKind.IMAGE: IMAGE,
    RunKind.MODEL: MODEL,
    RunKind.UPSCALE: UPSCALE,
    RunKind.REVIEW: REVIEW,
    RunKind.PUBLISH: PUBLISH,
    RunKind.WITHDRAW: WITHDRAW,
    RunKind.TELL: TELL,
}
