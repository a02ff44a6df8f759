"""Generators of a run: our own code and providers, tried in the order of plugin.json.

A run orders from a provider once, is parked, and takes the result when the task has ended. The broker
(dam_connector/usecases/broker) carries the order out.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from dam_connector.domain.generator_choice import choose_generators
from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import issue
from dam_connector.domain.product import named_photos
from dam_connector.domain.prompts import build_prompt
from dam_connector.domain.rules import LOCAL
from dam_connector.errors import AdapterError, BadOutput, InputError, Refused, Unsupported
from dam_connector.ports import Provider
from dam_connector.store.tasks import TaskOrigin, TaskRecord, TaskState
from dam_connector.usecases.provider_orders import (
    GeneratedFiles,
    ProviderOrder,
    place_order,
    read_generated_files,
    read_order,
)
from dam_connector.wiring import Services
from worker.imaging.metadata import read_metadata
from worker.imaging.provider_limits import within_pixels
from worker.work import Park, Work, merge_photo_labels

TASK_SEPARATOR = "|"  # in Work.task, between a provider's name and the id of its task
# Entries of provenance that credit a provider.
CREDIT_LABELS = ("task", "request_id", "model_asked", "model_actual", "prompt", "seed")
WAKE_MARGIN = timedelta(minutes=10)  # a parked run is woken when its task ends; later it looks by itself
# Errors after which the next generator is tried. Lack of credit is none of them: the run waits until there is
# some.
REFUSALS = (Refused, Unsupported, BadOutput, InputError)


@dataclass(frozen=True, slots=True)
class ProviderResult:
    """The files that a provider made for a run."""

    work: Work  # with the provider's credits in its provenance
    files: tuple[Sha256, ...]  # alternatives: any of them will do


def first_good(
    work: Work, make: Callable[[Work, str], Work], *, is_good: Callable[[Work], bool], has_result: bool
) -> Work:
    """Return the work of the first generator whose result is good; else the last result of any.

    Args:
        work: The run's work.
        make: Makes the work by one generator, by name.
        is_good: Judges the work that it made.
        has_result: Whether a generator made something before the run was parked.

    Raises:
        Park: A provider is at work.
        Refused, Unsupported, BadOutput, InputError: No generator made anything; this is the last one's
        reason, or that the forecast of our own model is lower than the rules ask for.
    """
    refusal: Exception | None = None
    last = work if has_result else None
    for name in remaining_generators(work):
        try:
            last = work = make(replace(last or work, task=work.task), name)
            if is_good(work):
                return work
        except REFUSALS as error:
            refusal = error
        work = replace(last or work, task="")
    if last is None:
        raise _nothing_made(work, refusal)
    return work


def _nothing_made(work: Work, refusal: Exception | None) -> Exception:
    """Return the reason why no generator made anything.

    Args:
        work: The run's work.
        refusal: The last generator's reason; None: none applied.
    """
    choice = choose_generators(work.deliverable, work.product, work.sources)
    if choice.left_out and work.generator != LOCAL:
        if isinstance(refusal, AdapterError):
            return type(refusal)(refusal.vendor, refusal.operation, f"{refusal.reason}. {choice.refusal}")
        if refusal is None:
            return InputError(
                "model.forecast",
                choice.refusal,
                pointer="/images",
                measured=f"{choice.left_out.probability:.2f}",
                limit=f"{choice.min_forecast:g}",
            )
    return refusal or Refused("rules", "generate", "no generator applies to this product")


def remaining_generators(work: Work) -> Iterator[str]:
    """Yield the generators that apply to the product, a person's choice first.

    Those before the one whose task is under way are left out.
    """
    chosen = choose_generators(work.deliverable, work.product, work.sources).names
    names = list(dict.fromkeys([*filter(None, [work.generator]), *chosen]))
    under_way = work.task.partition(TASK_SEPARATOR)[0]
    yield from names[names.index(under_way) :] if under_way in names else names


def await_result(
    work: Work, services: Services, name: str, build_order: Callable[[Provider], ProviderOrder]
) -> ProviderResult:
    """Return the files that a provider made. The first call places the order; the broker carries it out.

    Args:
        work: The run's work.
        services: The services.
        name: The provider's name in plugin.json.
        build_order: Builds the order, if there is none yet.

    Raises:
        Park: The provider is at work, or the order waits for its turn.
        Refused: The provider refused, failed, or would cost more than the rules allow.
        Unsupported: The provider does not make this kind.
    """
    task = _placed_task(work, services, name)
    # A run keeps the rules that it began with; its provider may have been taken out of the current ones.
    if task is None and name not in services.rules.current().provider:
        raise Refused(name, "generate", "plugin.json no longer names it under /connections/provider")
    provider = services.provider(name)
    if work.deliverable.kind not in provider.capabilities.kinds:
        raise Unsupported(name, "generate", f"it makes no {work.deliverable.kind.value}")
    if task is None:
        order = build_order(provider)
        usd = provider.estimate(order.to_request(services, "", with_pictures=False))
        _refuse_if_too_expensive(work, name, usd)
        task = place_order(services, _task_origin(work, name), order)
    if not task.has_ended:
        longest = timedelta(seconds=provider.capabilities.task_timeout_s)
        until = services.clock.now() + longest + WAKE_MARGIN
        raise Park(until, replace(work, task=f"{name}{TASK_SEPARATOR}{task.id}"))
    services.tasks.acknowledge(task)
    generated = read_generated_files(task)
    if task.state is not TaskState.SETTLED or not generated.files:
        raise Refused(name, "generate", task.error or "nothing was made")
    return ProviderResult(_with_credits(work, services, task, generated), generated.files)


def photos_for_provider(work: Work, services: Services, provider: Provider) -> dict[str, Sha256]:
    """Return the photos that a provider uses, by view, reduced to the pixels that it takes."""
    views = provider.capabilities.views or tuple(named_photos(work.sources))
    photos = {view: work.sources[view] for view in views if view in work.sources}
    limit, blobs = provider.capabilities.max_picture_pixels, services.blobs
    if not limit:
        return photos
    max_pixels = services.settings.max_picture_pixels
    return {
        view: blobs.put(within_pixels(blobs.get(sha256), limit, max_pixels=max_pixels))
        for view, sha256 in photos.items()
    }


def _placed_task(work: Work, services: Services, name: str) -> TaskRecord | None:
    """Return the task that the run waits for, when it is this provider's."""
    provider, _, task_id = work.task.partition(TASK_SEPARATOR)
    return services.tasks.get(task_id) if task_id and provider == name else None


def _task_origin(work: Work, name: str) -> TaskOrigin:
    return TaskOrigin(
        run_id=work.run_id,
        provider=name,
        sku=work.product.sku,
        category=work.product.category,
        deliverable=work.deliverable.name,
        batch_id=work.batch_id,
    )


def _refuse_if_too_expensive(work: Work, name: str, usd: float) -> None:
    """Raise Refused when the rules' max_usd is exceeded, unless a person chose this generator."""
    when = work.deliverable.when.get(name)
    if when and when.max_usd is not None and usd > when.max_usd and name != work.generator:
        raise Refused(
            name,
            "generate",
            f"it would cost ${usd:.2f}, more than the ${when.max_usd:g} that the rules allow",
        )


def _with_credits(work: Work, services: Services, task: TaskRecord, generated: GeneratedFiles) -> Work:
    """Return the work with provenance: who made it, from which photos, by which prompt, at what cost."""
    order = read_order(task)
    earlier_usd = float(work.provenance.get("cost_usd", 0))  # of providers whose results were not good
    credits = {
        **merge_photo_labels(read_metadata(services.blobs.get(sha)) for sha in order.pictures.values()),
        "generator": task.provider,
        "task": task.ref or task.id,
        "request_id": generated.request_id,
        "model_asked": generated.model_asked,
        "model_actual": generated.model,
        "cost_usd": f"{(task.cost_usd or 0) + earlier_usd:g}",
        "seed": str(order.seed),
        **({"prompt": order.prompt} if order.prompt else {}),
    }
    work = without_credits(work)
    work = replace(work, provenance={**work.provenance, **credits})
    if generated.model and generated.model_asked and generated.model != generated.model_asked:
        work = work.with_issues(
            issue(
                "provider.other_model",
                f"{task.provider} made it with another model.",
                measured=generated.model,
                limit=generated.model_asked,
            )
        )
    return work


def without_credits(work: Work) -> Work:
    """Return the work without a provider's credits: its result was not good. Its cost stays."""
    return replace(work, provenance={k: v for k, v in work.provenance.items() if k not in CREDIT_LABELS})


def provider_prompt(work: Work, provider: Provider) -> str:
    """Return the prompt for a provider: the deliverable's template, the product's facts, a reviewer's note.

    It is empty for a provider that takes no prompt.
    """
    if not provider.capabilities.takes_prompts:
        return ""
    return build_prompt(work.deliverable, work.product, work.note)
