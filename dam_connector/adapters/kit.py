"""Kit: what an adapter is given to work with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dam_connector.adapters.http import Http
from dam_connector.errors import ConfigError
from dam_connector.ports import Clock
from dam_connector.store.library import Shelf


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """The outgoing HTTP session, the clock, the look-up of secrets, our public address, and the built-in DAM's shelf."""

    http: Http
    clock: Clock
    secret: Callable[[str], str]
    public_url: str
    shelf: Shelf


def only(options: Mapping[str, Any], *names: str) -> None:
    """Raises: ConfigError when there is an option beyond these."""
    for name in options:
        if name not in names:
            raise ConfigError(f"unknown option {name!r}; known: {', '.join(names) or 'none'}")
