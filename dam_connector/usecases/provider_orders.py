"""Orders that runs place with providers, and the budgets for them. The broker carries the orders out."""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from dam_connector.adapters.common.context import number_option
from dam_connector.domain.codec import from_plain, to_plain
from dam_connector.domain.ids import Sha256
from dam_connector.domain.product import Product
from dam_connector.domain.rules import CAP_OPTIONS, MAX_CAP_USD, Connection
from dam_connector.domain.run import RunKind
from dam_connector.errors import ConfigError
from dam_connector.ports import GenerationRequest
from dam_connector.store.spend import NOTICE_SHARE, SpendCaps
from dam_connector.store.tasks import TaskOrigin, TaskRecord
from dam_connector.wiring import Services

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderOrder:
    """A `GenerationRequest` as it is stored with its task. The other fields are explained there."""

    product: Product
    # Source images by view, as addresses of blobs.
    pictures: Mapping[str, Sha256]
    kind: RunKind = RunKind.MODEL
    prompt: str = ""
    max_triangles: int = 30_000
    texture_px: int = 2048
    width: int = 1024
    height: int = 1024
    transparent: bool = False
    seed: int = 0

    def to_request(self, services: Services, key: str, *, with_pictures: bool = True) -> GenerationRequest:
        """Return the order as a request to a provider.

        Args:
            key: the id of the task, the same for every try.
            with_pictures: whether to load the source images; an estimate needs none.

        Raises:
            NotFound: a source image is no longer stored.
        """
        facts = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "pictures"}
        return GenerationRequest(
            key=key,
            pictures={v: services.blobs.get(sha) for v, sha in self.pictures.items()}
            if with_pictures
            else {},
            **facts,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedFiles:
    """The stored result of a settled task."""

    # Addresses of the generated files.
    files: tuple[Sha256, ...] = ()
    # The provider's name of the model that generated them.
    model: str = ""
    # The id that the provider's support asks for.
    request_id: str = ""
    # The model that was requested.
    model_asked: str = ""


def place_order(services: Services, origin: TaskOrigin, order: ProviderOrder) -> TaskRecord:
    """Return a run's task at a provider; create it, waiting for the broker, if there is none.

    Args:
        about: the run and the provider.

    Raises:
        ConfigError: there is no such provider.
    """
    usd = services.provider(origin.provider).estimate(order.to_request(services, "", with_pictures=False))
    return services.tasks.find_or_add(origin, to_plain(order), usd)


def read_order(task: TaskRecord) -> ProviderOrder:
    """Return the order of a task."""
    return from_plain(ProviderOrder, task.order)


def read_generated_files(task: TaskRecord) -> GeneratedFiles:
    """Return the files that a settled task generated."""
    return from_plain(GeneratedFiles, task.result)


def provider_connection(services: Services, name: str) -> Connection:
    """Return a provider's connection in plugin.json.

    Raises:
        ConfigError: there is no such provider any more.
    """
    found = services.rules.current().provider.get(name)
    if found is None:
        raise ConfigError(f"there is no provider {name!r} under /connections/provider in plugin.json")
    return found


def spend_caps(services: Services, name: str) -> SpendCaps:
    """Return the spending caps of a provider in plugin.json.

    Raises:
        ConfigError: there is no such provider any more, or a cap cannot be read: nothing may be spent then.
    """
    options = provider_connection(services, name).options
    caps = {
        period: number_option(options, option, 0, 0, MAX_CAP_USD) if option in options else None
        for period, option in CAP_OPTIONS.items()
    }
    return SpendCaps(**caps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A provider's spending in a period, and its cap."""

    # `day`, `month` or `batch`.
    period: str
    # Spent and reserved, in USD.
    spent: float
    # In USD; None: there is no cap.
    cap: float | None

    @property
    def share(self) -> float:
        """Return the spent share of the cap, 1 for all of it; 0 without a cap."""
        return self.spent / self.cap if self.cap else 0.0

    @property
    def is_nearly_used(self) -> bool:
        """Return whether people should be warned."""
        return self.share >= NOTICE_SHARE


def budgets(services: Services, name: str, batch_id: str = "") -> tuple[Budget, ...]:
    """Return a provider's budgets of this day and month, and of a batch if one is named.

    Raises:
        ConfigError: there is no such provider any more.
    """
    caps = spend_caps(services, name)
    return tuple(
        Budget(period=period, spent=spent, cap=getattr(caps, period))
        for period, spent in services.spend.spent(name, batch_id).items()
    )


def warn_of_budget(services: Services, task: TaskRecord) -> None:
    """Warn once in each period that most of a provider's cap is used.

    The warning is written to the log and to the history of the product that used the budget.
    """
    if spend_caps(services, task.provider) == SpendCaps():
        return
    today = services.clock.now().date().isoformat()
    for budget in budgets(services, task.provider, task.batch_id):
        period_id = {"day": today, "month": today[:7]}.get(budget.period, task.batch_id)
        note = f"notice:{task.provider}:{budget.period}"
        if budget.is_nearly_used and services.notes.get(note) != period_id:
            services.notes.set(note, period_id)
            amount = f"${budget.spent:.2f} of ${budget.cap:g} for this {budget.period} are used"
            services.history.add("budget", sku=task.sku, detail=f"{task.provider}: {amount}")
            log.warning(
                "budget_nearly_used",
                provider=task.provider,
                of=budget.period,
                spent_usd=round(budget.spent, 2),
                cap_usd=budget.cap,
            )


def poll_task_now(services: Services, name: str, ref: str) -> str:
    """Make a task due for polling, since a webhook of its provider reported it; return a summary for people.

    Args:
        name: the provider's name in plugin.json.
        ref: the provider's reference of the task.
    """
    is_ours = services.tasks.poll_now(name, ref)
    return f"{name}: the task is polled now" if is_ours else f"{name}: not one of our tasks"
