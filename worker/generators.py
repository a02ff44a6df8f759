"""What providers make for a run: ordered once, slept for, taken in. The order's carrying out is the broker's (dam_connector/usecases/broker.py)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import issue
from dam_connector.domain.product import INSPIRATION
from dam_connector.domain.prompts import build_prompt
from dam_connector.errors import BadOutput, InputError, Refused, Unsupported
from dam_connector.ports import Provider
from dam_connector.store.tasks import TaskOrigin, TaskRecord, TaskState
from dam_connector.usecases.provider_orders import ProviderOrder, read_generated_files, read_order, place_order
from dam_connector.wiring import Services
from worker.imaging.metadata import read_metadata
from worker.work import Park, Work, merge_photo_labels

TASK_SEPARATOR = "|"  # between a provider's name and its task
CREDIT_LABELS = ("task", "request_id", "model_asked", "model_actual", "prompt", "seed")
WAKE_MARGIN = timedelta(
    minutes=10
)  # a sleeping run is roused when its task ends; this is for when that was lost
REFUSALS = (
    Refused,
    Unsupported,
    BadOutput,
    InputError,
)  # the next generator goes on; out of credit is none: it waits until there is some


@dataclass(frozen=True, slots=True)
class ProviderResult:
    """What came back: files of which any will do, and the work with who made them."""

    work: Work
    files: tuple[Sha256, ...]


def first_good(
    work: Work, make: Callable[[Work, str], Work], *, is_good: Callable[[Work], bool], has_result: bool
) -> Work:
    """The work by the first generator that makes something good enough; else the last thing that any made.

    made: whether one made something before this run slept. Raises: Park while a provider works; the last refusal when none made anything.
    """
    refused: Exception | None = None
    best = work if has_result else None
    for name in remaining_generators(work):
        try:
            best = work = make(replace(best or work, task=work.task), name)
            if is_good(work):
                return work
        except REFUSALS as error:
            refused = error
        work = replace(best or work, task="")
    if best is None:
        raise refused or Refused("rules", "generate", "no generator applies to this product")
    return work


def remaining_generators(work: Work) -> Iterator[str]:
    """The generators that apply, from the one whose task is under way; a person's choice first."""
    d, views = work.deliverable, len(set(work.sources) - {INSPIRATION})
    names = [name for name in d.generator if d.can_use_generator(name, work.product.category, views)]
    names = list(dict.fromkeys([*filter(None, [work.generator]), *names]))
    under_way = work.task.partition(TASK_SEPARATOR)[0]
    yield from names[names.index(under_way) :] if under_way in names else names


def await_result(
    work: Work, services: Services, name: str, order: Callable[[Provider], ProviderOrder]
) -> ProviderResult:
    """What this provider made. Raises: Park while it works, or waits; Refused with its reason; BadOutput."""
    entry = (
        services.tasks.get(work.task.partition(TASK_SEPARATOR)[2])
        if work.task.startswith(f"{name}{TASK_SEPARATOR}")
        else None
    )
    if (
        entry is None and name not in services.rules.current().provider
    ):  # a run keeps the rules that it began with
        raise Refused(name, "generate", "plugin.json no longer names it under /connections/provider")
    provider = services.provider(name)
    if work.deliverable.kind not in provider.capabilities.kinds:
        raise Unsupported(name, "generate", f"it makes no {work.deliverable.kind.value}")
    if entry is None:
        d = work.deliverable
        wanted = order(provider)
        _refuse_if_too_expensive(
            work, name, provider.estimate(wanted.to_request(services, "", with_pictures=False))
        )
        about = TaskOrigin(
            run_id=work.run_id,
            provider=name,
            sku=work.product.sku,
            category=work.product.category,
            deliverable=d.name,
            batch_id=work.batch_id,
        )
        entry = place_order(services, about, wanted)
    if not entry.has_ended:
        until = services.clock.now() + timedelta(seconds=provider.capabilities.task_timeout_s) + WAKE_MARGIN
        raise Park(until, replace(work, task=f"{name}{TASK_SEPARATOR}{entry.id}"))
    services.tasks.acknowledge(entry)
    made = read_generated_files(entry)
    if entry.state is not TaskState.SETTLED or not made.files:
        raise Refused(name, "generate", entry.error or "nothing was made")
    return ProviderResult(
        _with_credits(work, services, entry, made.model, made.request_id, made.model_asked), made.files
    )


def _refuse_if_too_expensive(work: Work, name: str, usd: float) -> None:
    when = work.deliverable.when.get(name)
    if when and when.max_usd is not None and usd > when.max_usd and name != work.generator:
        raise Refused(
            name,
            "generate",
            f"it would cost ${usd:.2f}, more than the ${when.max_usd:g} that the rules allow",
        )


def _with_credits(
    work: Work, services: Services, entry: TaskRecord, model: str, request_id: str, asked: str
) -> Work:
    """The work with who made it from what, by which prompt, at what cost."""
    order = read_order(entry)
    made_by = {
        **merge_photo_labels(read_metadata(services.blobs.get(sha)) for sha in order.pictures.values()),
        "generator": entry.provider,
        "task": entry.ref or entry.id,
        "request_id": request_id,
        "model_asked": asked,
        "model_actual": model,
        "cost_usd": f"{(entry.cost_usd or 0) + float(work.provenance.get('cost_usd', 0)):g}",  # with what others made before in vain
        "seed": str(order.seed),
        **({"prompt": order.prompt} if order.prompt else {}),
    }
    work = without_credits(work)
    work = replace(work, provenance={**work.provenance, **made_by})
    if model and asked and model != asked:
        work = work.with_issues(
            issue(
                "provider.other_model",
                f"{entry.provider} made it with another model.",
                measured=model,
                limit=asked,
            )
        )
    return work


def without_credits(work: Work) -> Work:
    """The work without the credits of a provider whose make was not good enough; what it cost stays."""
    return replace(work, provenance={k: v for k, v in work.provenance.items() if k not in CREDIT_LABELS})


def provider_prompt(work: Work, provider: Provider) -> str:
    """What a provider is told in words: the deliverable's template with the product's facts, and what a reviewer said of the version before."""
    return (
        build_prompt(work.deliverable, work.product, work.note) if provider.capabilities.takes_prompts else ""
    )
