"""The pipeline: read this first. What happens to a run, step by step, top to bottom.

A step is a function `(Work, Services) -> Work` in the file of its name. It can be run twice without harm, raises `Park`
to sleep, and reports findings as Issues. The runner commits a checkpoint after each one. To add a step: one file in
worker/steps/, one line here (docs/adding.md).
"""

from collections.abc import Callable, Mapping

from dam_connector.domain.run import RunKind
from dam_connector.wiring import Services
from worker.steps.assign_version import assign_version
from worker.steps.check_files import check_files
from worker.steps.collect_sources import collect_sources
from worker.steps.convert_to_usdz import convert_to_usdz
from worker.steps.fit_dimensions import fit_dimensions
from worker.steps.label_provenance import label_provenance
from worker.steps.make_lods import make_lods
from worker.steps.make_model import make_model
from worker.steps.make_renditions import make_renditions
from worker.steps.make_web_glb import make_web_glb
from worker.steps.optimise_model import optimise_model
from worker.steps.plan_renditions import plan_renditions
from worker.steps.publish_to_channels import publish_to_channels
from worker.steps.push_to_dam import push_to_dam
from worker.steps.record_publication import record_publication
from worker.steps.render_previews import render_previews
from worker.steps.request_review import request_review
from worker.steps.seal_version import seal_version
from worker.steps.upscale_pictures import upscale_pictures
from worker.steps.withdraw_from_channels import withdraw_from_channels
from worker.steps.write_back_to_pim import write_back_to_pim
from worker.steps.write_dam_state import write_dam_state
from worker.work import Work

Step = Callable[[Work, Services], Work]

IMAGE: tuple[Step, ...] = (
    collect_sources,  # the product's photos, decoded and found usable; or its model
    make_renditions,  # cut out or rendered, composed, encoded
    assign_version,  # the version's number, given once, and the files' names
    label_provenance,  # who made it from what, inside the files
    check_files,  # the report
    seal_version,  # files, report and provenance are immutable from here on
    push_to_dam,  # into the DAM, unless the report blocks it
    request_review,  # in review, or blocked
    write_dam_state,  # that it replaces an earlier one
)
MODEL: tuple[Step, ...] = (
    collect_sources,
    make_model,  # by our own code or a provider: a raw GLB
    fit_dimensions,  # the product's true size, Y up, standing on the origin
    optimise_model,  # budgets, normals, a file the validator has no remark on
    convert_to_usdz,  # the same for Quick Look
    make_web_glb,  # the same, small, for web pages
    make_lods,  # the same with fewer triangles, where asked for
    render_previews,  # pictures of it: hero and the sides
    assign_version,
    label_provenance,
    check_files,
    seal_version,
    push_to_dam,
    request_review,
    write_dam_state,
    plan_renditions,  # pictures that are rendered from this model
)
UPSCALE: tuple[Step, ...] = (  # a picture with twice the pixels
    upscale_pictures,
    assign_version,
    label_provenance,
    check_files,
    seal_version,
    push_to_dam,
    request_review,
    write_dam_state,
)
REVIEW: tuple[Step, ...] = (
    push_to_dam,
    request_review,
    write_dam_state,
    plan_renditions,
)  # a blocked version whose errors were waived
PUBLISH: tuple[Step, ...] = (
    publish_to_channels,
    record_publication,
    write_dam_state,
    write_back_to_pim,
)  # an approved version goes live, for the first time or again
WITHDRAW: tuple[Step, ...] = (
    withdraw_from_channels,
    write_dam_state,
    write_back_to_pim,
)  # a live version is taken off
TELL: tuple[Step, ...] = (write_dam_state,)  # a decision was made here

PIPELINES: Mapping[RunKind, tuple[Step, ...]] = {
    RunKind.IMAGE: IMAGE,
    RunKind.MODEL: MODEL,
    RunKind.UPSCALE: UPSCALE,
    RunKind.REVIEW: REVIEW,
    RunKind.PUBLISH: PUBLISH,
    RunKind.WITHDRAW: WITHDRAW,
    RunKind.WRITE_STATE: TELL,
}
