"""Generating: what a run orders from a provider, and what that may cost. flow/brokering.py carries the orders out; no worker waits for one."""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from dam_connector.domain.codec import from_plain, to_plain
from dam_connector.domain.ids import Sha256
from dam_connector.domain.product import Product
from dam_connector.domain.rules import Connection
from dam_connector.domain.run import RunKind
from dam_connector.errors import ConfigError
from dam_connector.ports import GenerationRequest
from dam_connector.store.spend import NOTICE_SHARE, SpendCaps
from dam_connector.store.tasks import TaskOrigin, TaskRecord
from dam_connector.wiring import Services

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderOrder:
    """A Generation as it is stored: its pictures by their address in the blobs."""

    product: Product
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
        """What a provider is asked. key: of the task, the same for every try. Raises: NotFound when a picture is gone."""
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
    """What a task gave: its files by their address, and who made them."""

    files: tuple[Sha256, ...] = ()
    model: str = ""
    request_id: str = ""
    model_asked: str = ""


def place_order(services: Services, about: TaskOrigin, order: ProviderOrder) -> TaskRecord:
    """The run's task at this provider, which waits to be carried out when it is new."""
    usd = services.provider(about.provider).estimate(order.to_request(services, "", with_pictures=False))
    return services.tasks.find_or_add(about, to_plain(order), usd)


def read_order(entry: TaskRecord) -> ProviderOrder:
    return from_plain(ProviderOrder, entry.order)


def read_generated_files(entry: TaskRecord) -> GeneratedFiles:
    """What a settled task gave."""
    return from_plain(GeneratedFiles, entry.result)


def provider_connection(services: Services, name: str) -> Connection:
    """Raises: ConfigError when there is no such provider any more."""
    found = services.rules.current().provider.get(name)
    if found is None:
        raise ConfigError(f"there is no provider {name!r} under /connections/provider in plugin.json")
    return found


def spend_caps(services: Services, name: str) -> SpendCaps:
    """The caps that plugin.json sets on a provider."""
    options = provider_connection(services, name).options

    def usd(period: str) -> float | None:
        value = options.get(f"max_usd_per_{period}")
        return float(value) if isinstance(value, (int, float)) else None

    return SpendCaps(day=usd("day"), month=usd("month"), batch=usd("batch"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What was spent or reserved at a provider in a day, a month or for a batch, in USD, and the cap on it."""

    period: str
    spent: float
    cap: float | None

    @property
    def share(self) -> float:
        """Of the cap, 0 to 1 and above; 0 without one."""
        return self.spent / self.cap if self.cap else 0.0

    @property
    def is_nearly_used(self) -> bool:
        """Whether it is time to tell somebody."""
        return self.share >= NOTICE_SHARE


def budgets(services: Services, name: str, batch_id: str = "") -> tuple[Budget, ...]:
    """How much of a provider's caps is used: those of the day and the month, and the one of a batch where one is named."""
    caps = spend_caps(services, name)
    return tuple(
        Budget(period=of, spent=spent, cap=getattr(caps, of))
        for of, spent in services.spend.spent(name, batch_id).items()
    )


def warn_of_budget(services: Services, entry: TaskRecord) -> None:
    """Tell once a period that most of a cap is used: in the log, and in the history of the product that used it."""
    if spend_caps(services, entry.provider) == SpendCaps():
        return
    for used in budgets(services, entry.provider, entry.batch_id):
        period = {
            "day": services.clock.now().date().isoformat(),
            "month": services.clock.now().date().isoformat()[:7],
        }.get(used.period, entry.batch_id)
        name = f"notice:{entry.provider}:{used.period}"
        if used.is_nearly_used and services.notes.get(name) != period:
            services.notes.set(name, period)
            words = f"{entry.provider}: ${used.spent:.2f} of ${used.cap:g} for this {used.period} are used"
            services.history.add("budget", sku=entry.sku, detail=words)
            log.warning(
                "budget_nearly_used",
                provider=entry.provider,
                of=used.period,
                spent_usd=round(used.spent, 2),
                cap_usd=used.cap,
            )


def poll_task_now(services: Services, name: str, ref: str) -> str:
    """Look at a task next, because its provider's webhook says that something happened; gives a few words."""
    return (
        f"{name}: the task is looked at" if services.tasks.poll_now(name, ref) else f"{name}: not one of ours"
    )
