"""The pipelines: the steps of each kind of run, in order. Start reading the worker here.

A step is a function `(Work, Services) -> Work` in the file of its name. Running it twice does no harm. A step
that must wait raises `Park`. It reports findings as Issues. The runner stores a checkpoint after each step;
the checkpoint names the step to run next. To add a step: write one file in worker/steps/ and add one line
here (docs/adding.md). To rename or remove one, see RENAMED_STEPS.
"""

from collections.abc import Callable, Mapping

from dam_connector.domain.run import ALL_STEPS_DONE, RunKind
from dam_connector.wiring import Services
from worker.steps.adopt_finished_model import adopt_finished_model
from worker.steps.adopt_finished_picture import adopt_finished_picture
from worker.steps.adopt_model import adopt_model
from worker.steps.approve_adopted import approve_adopted
from worker.steps.assign_version import assign_version
from worker.steps.check_files import check_files
from worker.steps.collect_sources import collect_sources
from worker.steps.convert_to_usdz import convert_to_usdz
from worker.steps.fit_dimensions import fit_dimensions
from worker.steps.join_colours import join_colours
from worker.steps.label_provenance import label_provenance
from worker.steps.make_lods import make_lods
from worker.steps.make_model import make_model
from worker.steps.make_renditions import make_renditions
from worker.steps.make_sizes import make_sizes
from worker.steps.make_web_glb import make_web_glb
from worker.steps.optimise_model import optimise_model
from worker.steps.plan_other_colours import plan_other_colours
from worker.steps.plan_renditions import plan_renditions
from worker.steps.publish_to_channels import publish_to_channels
from worker.steps.push_to_dam import push_to_dam
from worker.steps.recolour_model import recolour_model
from worker.steps.render_previews import render_previews
from worker.steps.request_review import request_review
from worker.steps.seal_version import seal_version
from worker.steps.upscale_pictures import upscale_pictures
from worker.steps.write_back_to_pim import write_back_to_pim
from worker.steps.write_dam_state import write_dam_state
from worker.work import Work

Step = Callable[[Work, Services], Work]

# The last steps of every run that makes a new version.
FINISH: tuple[Step, ...] = (
    assign_version,  # assigns the version number, once per run, and names the files
    label_provenance,  # writes into the files who made them, and from what
    check_files,  # makes the report
    seal_version,  # from here on files, report and provenance are immutable
    push_to_dam,  # uploads to the DAM, unless the report blocks the version
    request_review,  # sets the version in review, or blocked
    write_dam_state,  # writes into the DAM which earlier versions are replaced
)
IMAGE: tuple[Step, ...] = (
    collect_sources,  # decodes the product's photos and keeps the usable ones; or finds its model
    make_renditions,  # cuts out or renders the product, composes and encodes the pictures
    make_sizes,  # writes smaller files, where plugin.json asks for them
    *FINISH,
)
MODEL: tuple[Step, ...] = (
    collect_sources,
    recolour_model,  # takes the shape of another product, in this one's colour
    join_colours,  # takes the approved models of all colours, as one
    adopt_model,  # takes the model that the product brings along, as GLB
    make_model,  # makes a raw GLB, by our own code or by a provider
    fit_dimensions,  # scales to the product's true size: Y up, on the origin
    optimise_model,  # keeps to the budgets and writes a GLB that passes the Khronos validator
    convert_to_usdz,  # writes a USDZ for Quick Look
    make_web_glb,  # writes a compressed GLB for web pages
    make_lods,  # writes levels of detail, where plugin.json asks for them
    render_previews,  # renders pictures of the model from the hero view and the sides
    *FINISH,
    plan_renditions,  # plans the renditions that are made from this model
)
# A finished file that is adopted; it is not labelled, and not pushed to the DAM.
TAKE_OVER: tuple[Step, ...] = (assign_version, check_files, seal_version, approve_adopted)
ADOPT_PICTURE: tuple[Step, ...] = (adopt_finished_picture, make_sizes, *TAKE_OVER)
ADOPT_MODEL: tuple[Step, ...] = (
    adopt_finished_model,
    convert_to_usdz,
    make_web_glb,
    make_lods,
    render_previews,
    *TAKE_OVER,
    plan_renditions,
)
UPSCALE: tuple[Step, ...] = (upscale_pictures, make_sizes, *FINISH)  # a picture with twice the pixels
REVIEW: tuple[Step, ...] = (  # a blocked version whose errors were waived
    push_to_dam,
    request_review,
    write_dam_state,
    plan_renditions,
)
PUBLISH: tuple[Step, ...] = (  # a person asked for a version to go live, or to be taken offline
    plan_other_colours,  # plans what follows for products of the same shape
    publish_to_channels,  # brings the channels in line with all that people asked for
    write_dam_state,
    write_back_to_pim,
)
WRITE_STATE: tuple[Step, ...] = (write_dam_state,)  # a person decided here

PIPELINES: Mapping[RunKind, tuple[Step, ...]] = {
    RunKind.IMAGE: IMAGE,
    RunKind.MODEL: MODEL,
    RunKind.ADOPT_PICTURE: ADOPT_PICTURE,
    RunKind.ADOPT_MODEL: ADOPT_MODEL,
    RunKind.UPSCALE: UPSCALE,
    RunKind.REVIEW: REVIEW,
    RunKind.PUBLISH: PUBLISH,
    RunKind.WITHDRAW: PUBLISH,
    RunKind.WRITE_STATE: WRITE_STATE,
}

# Steps that were renamed or removed: old name -> the step to run in its place. Checkpoints of parked and
# failed runs keep the old name, so an entry stays for good. Removing a step: map it to the step that follows
# it.
RENAMED_STEPS: Mapping[str, str] = {
    "record_publication": "publish_to_channels",
    "withdraw_from_channels": "publish_to_channels",
}


class StepNotFound(Exception):
    """A checkpoint names a step that the run's pipeline does not have."""


def steps_from(kind: RunKind, next_step: str) -> tuple[Step, ...]:
    """Return the steps that a run still has to go through.

    Args:
        kind: The run's kind.
        next_step: The step that its checkpoint names. "" means the first one; `ALL_STEPS_DONE` means that
            none is left.

    Raises:
        StepNotFound: No step of the pipeline has that name, and RENAMED_STEPS does not know it.
    """
    steps = PIPELINES[kind]
    if not next_step:
        return steps
    if next_step == ALL_STEPS_DONE:
        return ()
    names = [step.__name__ for step in steps]
    name = next_step if next_step in names else RENAMED_STEPS.get(next_step, next_step)
    if name not in names:
        raise StepNotFound(
            f"its checkpoint names the step {next_step!r}, which the pipeline {kind.value!r} of this release "
            "does not have: start the run again from the beginning, e.g. by regenerating the version"
        )
    return steps[names.index(name) :]
