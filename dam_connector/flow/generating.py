"""Generating: a provider's task for a run, asked for once and paid for once."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog

from dam_connector.errors import BadOutput, NotFound, OutOfCredit, RateLimited, Refused, StateConflict, SubmitUnknown, Unavailable
from dam_connector.ports import Generation, Provider, Task, TaskState
from dam_connector.store.spend import NOTICE, Caps, TaskEntry, TaskStanding
from dam_connector.wiring import Services

log = structlog.get_logger()
LONGEST = timedelta(hours=1)  # of a task: some providers say "processing" for ever
NOT_BEGUN = (Refused, RateLimited, OutOfCredit, Unavailable, BadOutput, NotFound)  # of a submission: nothing will be billed


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a run asks of a provider. name: of the connection."""

    run_id: str
    name: str
    category: str
    deliverable: str
    order: Generation


def caps_of(services: Services, name: str) -> Caps:
    """The caps that plugin.json sets on a provider."""

    def usd(option: str) -> float | None:
        value = services.rules.current().provider[name].options.get(option)
        return float(value) if isinstance(value, (int, float)) else None

    return Caps(day=usd("max_usd_per_day"), month=usd("max_usd_per_month"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What was spent or reserved at a provider in a day or month, in USD, and the cap on it."""

    of: str
    spent: float
    cap: float | None

    @property
    def share(self) -> float:
        """Of the cap, 0 to 1 and above; 0 without one."""
        return self.spent / self.cap if self.cap else 0.0

    @property
    def notice(self) -> bool:
        """Whether it is time to tell somebody."""
        return self.share >= NOTICE


def budget(services: Services, name: str) -> tuple[Budget, ...]:
    """How much of a provider's caps is used."""
    spent, caps = services.spend.spent(name), caps_of(services, name)
    return Budget(of="day", spent=spent["day"], cap=caps.day), Budget(of="month", spent=spent["month"], cap=caps.month)


def started(services: Services, asked: Asked) -> str:
    """The reference of the run's task, which is submitted when it was not.

    Raises: as `Provider.submit`; OutOfCredit when a cap is reached; Refused when an answer was lost and cannot be found again, since
    asking once more might pay twice.
    """
    provider = services.provider(asked.name)
    entry = services.spend.begin(
        asked.run_id,
        asked.name,
        sku=asked.order.product.sku,
        category=asked.category,
        deliverable=asked.deliverable,
        usd=provider.estimate(asked.order),
        caps=caps_of(services, asked.name),
    )
    if entry.state in (TaskStanding.SUBMITTED, TaskStanding.SETTLED):
        return entry.ref
    if entry.state is TaskStanding.UNKNOWN:
        raise Refused(asked.name, "submit", "an answer was lost before; whether it was billed is for a person to find out")
    if not entry.fresh and not provider.capabilities.idempotent:
        return _found_again(services, asked, provider, entry, "the worker ended while it was asked")
    return _submitted(services, asked, provider, entry)


def _submitted(services: Services, asked: Asked, provider: Provider, entry: TaskEntry) -> str:
    try:
        ref = provider.submit(asked.order)
    except SubmitUnknown as error:
        return _found_again(services, asked, provider, entry, str(error))
    except NOT_BEGUN as error:
        services.spend.release(entry.id, str(error))
        raise
    services.spend.submitted(entry.id, ref)
    log.info("task_submitted", provider=asked.name, task=ref)
    for used in budget(services, asked.name):
        if used.notice:
            log.warning("budget_nearly_used", provider=asked.name, of=used.of, spent_usd=round(used.spent, 2), cap_usd=used.cap)
    return ref


def _found_again(services: Services, asked: Asked, provider: Provider, entry: TaskEntry, why: str) -> str:
    """The task that may have been begun. Raises: Refused when nobody can tell; Unavailable when the provider cannot be asked now."""
    if provider.capabilities.idempotent:
        raise Unavailable(asked.name, "submit", why)  # asked again later under the same key, it begins no second task
    if provider.capabilities.reconciles:
        ref = provider.reconcile(asked.order)
        if ref is None:
            services.spend.release(entry.id, f"{why}; the provider knows of no such task")
            raise Unavailable(asked.name, "submit", f"{why}; it was not begun")
    else:
        ref = None
    if ref is None:
        services.spend.lost(entry.id, why)
        log.warning("task_unknown", provider=asked.name, run_id=asked.run_id, why=why)
        raise Refused(asked.name, "submit", f"{why}; it may have been billed, and it is not asked for again")
    services.spend.submitted(entry.id, ref)
    return ref


def settled(services: Services, run_id: str, name: str, task: Task) -> float:
    """What the ended task cost, in USD, now in the books: what the provider says, else the estimate; nothing for a failed one that does not say."""
    entry = services.spend.find(run_id, name)
    usual = entry.estimate_usd if entry and task.state is TaskState.SUCCEEDED else 0.0
    if entry and entry.state is TaskStanding.SUBMITTED:
        with suppress(StateConflict):  # a worker that took over was faster
            if task.state is TaskState.FAILED and not task.cost_usd:
                services.spend.release(entry.id, task.error)
            else:
                services.spend.settle(entry.id, task.cost_usd)
    return usual if task.cost_usd is None else task.cost_usd


def overdue(services: Services, run_id: str, name: str) -> bool:
    """Whether a task takes so long that it will not end any more."""
    entry = services.spend.find(run_id, name)
    return entry is not None and services.clock.now() - entry.created_at > LONGEST
