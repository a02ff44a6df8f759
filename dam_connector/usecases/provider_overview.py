"""Providers with their load, their spending and its caps, for pages, API and commands."""

from dataclasses import dataclass

from dam_connector.store.tasks import IN_FLIGHT_STATES
from dam_connector.usecases.broker.submission import PAUSE_NOTE_PREFIX
from dam_connector.usecases.provider_orders import Budget, budgets
from dam_connector.wiring import Services


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderOverview:
    """A provider as it is now."""

    name: str
    adapter: str
    model: str
    # The kinds of assets that it makes.
    makes: tuple[str, ...]
    # Tasks that it takes at once, and those that it has now.
    slots: int
    in_flight: int
    budgets: tuple[Budget, ...]
    # Why nothing is sent to it now; else empty.
    paused: str


def provider_overview(services: Services, name: str) -> ProviderOverview:
    """Return a provider's capabilities, load and budgets.

    Raises:
        ConfigError: there is no such provider.
    """
    provider = services.provider(name)
    return ProviderOverview(
        name=name,
        adapter=services.rules.current().provider[name].adapter,
        model=provider.model,
        makes=tuple(kind.value for kind in provider.capabilities.kinds),
        slots=provider.capabilities.concurrency,
        in_flight=services.tasks.count(name, *IN_FLIGHT_STATES),
        budgets=budgets(services, name),
        paused=str(services.notes.get(PAUSE_NOTE_PREFIX + name) or ""),
    )


def all_providers(services: Services) -> list[ProviderOverview]:
    """Return all providers of plugin.json."""
    return [provider_overview(services, name) for name in services.rules.current().provider]
