"""Kit: what an adapter is given to work with."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dam_connector.adapters.http import HttpClient
from dam_connector.errors import ConfigError
from dam_connector.ports import Clock, LibraryStore


def _no_lock(what: str) -> AbstractContextManager[None]:
    """Nobody else is there."""
    return nullcontext()


def _no_history(sku: str, words: str) -> None:
    """Nobody keeps a history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterContext:
    """The outgoing HTTP session, the clock, the look-up of secrets, our public address, the built-in DAM's shelf; name: of the connection."""

    http: HttpClient
    clock: Clock
    secret: Callable[[str], str]
    public_url: str
    library: LibraryStore
    rules_folder: Path = Path()  # that plugin.json lies in
    name: str = ""
    log_history: Callable[[str, str], None] = _no_history  # a SKU, and what an adapter did for it, for its history
    lock: Callable[[str], AbstractContextManager[None]] = (
        _no_lock  # one at a time; raises Busy: who reads, changes and writes something shared
    )

    def lock_resource(self, resource: str) -> AbstractContextManager[None]:
        """The turn at something of this connection's, such as a product in a shop, whose variants share a list of media."""
        return self.lock(f"{self.name} {resource}")


def check_options(options: Mapping[str, Any], *names: str) -> None:
    """Raises: ConfigError when there is an option beyond these."""
    for name in options:
        if name not in names:
            raise ConfigError(f"unknown option {name!r}; known: {', '.join(names) or 'none'}")


def choice_option(options: Mapping[str, Any], name: str, default: str, choices: Iterable[str]) -> str:
    """The value of an option that is one of a few. Raises: ConfigError."""
    value = str(options.get(name, default))
    if value not in (names := list(choices)):
        raise ConfigError(f"{name}: {value!r} is none of {', '.join(names)}")
    return value


def url_option(
    options: Mapping[str, Any], name: str = "base_url", example: str = "https://shop.example"
) -> str:
    """The value of an option that is an address. Raises: ConfigError."""
    value = str(options.get(name, ""))
    if not value.startswith(("http://", "https://")):
        raise ConfigError(f"{name}: the server's address, such as {example}")
    return value


def number_option(options: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
    """The value of an option that is a number in a range. Raises: ConfigError."""
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ConfigError(f"{name}: {value!r} is no number from {low:g} to {high:g}")
    return float(value)
