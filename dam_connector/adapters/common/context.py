"""The context that every adapter is opened with, and readers of options from plugin.json."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dam_connector.adapters.http import HttpClient
from dam_connector.errors import ConfigError
from dam_connector.ports import Clock, LibraryStore


def _no_lock(name: str) -> AbstractContextManager[object]:
    return nullcontext()


def _no_history(sku: str, message: str) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterContext:
    """The services that an adapter may use, and the facts of its connection."""

    http: HttpClient  # for every outgoing request
    clock: Clock
    secret: Callable[[str], str]  # the secret of a reference, e.g. `env/SHOPIFY_TOKEN`; raises ConfigError
    public_url: str  # our own public base URL, without a slash at the end
    library: LibraryStore  # the records of the built-in DAM
    rules_folder: Path = Path()  # the folder of plugin.json, which relative paths in options start from
    name: str = ""  # the connection's name in plugin.json
    log_history: Callable[[str, str], None] = _no_history  # writes (SKU, message) into the product's history
    lock: Callable[[str], AbstractContextManager[object]] = (
        _no_lock  # one holder of a name at a time; raises Busy
    )

    def lock_resource(self, resource: str) -> AbstractContextManager[object]:
        """Lock a resource of this connection that is read, changed and written back.

        Args:
            resource: its name, e.g. `product 42`, whose variants share one list of media in a shop.

        Raises:
            Busy: another run holds the lock.
        """
        return self.lock(f"{self.name} {resource}")


def check_options(options: Mapping[str, Any], *names: str) -> None:
    """Check that there are no options beyond these names.

    Raises:
        ConfigError: there is another option.
    """
    for name in options:
        if name not in names:
            raise ConfigError(f"unknown option {name!r}; known: {', '.join(names) or 'none'}")


def choice_option(options: Mapping[str, Any], name: str, default: str, choices: Iterable[str]) -> str:
    """Read an option that must be one of some choices.

    Raises:
        ConfigError: it is none of them.
    """
    value = str(options.get(name, default))
    if value not in (names := list(choices)):
        raise ConfigError(f"{name}: {value!r} is none of {', '.join(names)}")
    return value


def url_option(
    options: Mapping[str, Any], name: str = "base_url", example: str = "https://shop.example"
) -> str:
    """Read an option that must be a URL.

    Args:
        options: all options of the connection.
        name: the option's name.
        example: a value to show in the error message.

    Raises:
        ConfigError: it is missing, or no http or https URL.
    """
    value = str(options.get(name, ""))
    if not value.startswith(("http://", "https://")):
        raise ConfigError(f"{name}: must be the server's URL, e.g. {example}")
    return value


def number_option(options: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
    """Read an option that must be a number from `low` to `high`.

    Raises:
        ConfigError: it is no number, or out of range.
    """
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ConfigError(f"{name}: {value!r} is no number from {low:g} to {high:g}")
    return float(value)


def integer_option(options: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    """Read an option that must be an integer from `low` to `high`.

    Raises:
        ConfigError: it is no integer, or out of range.
    """
    value = number_option(options, name, default, low, high)
    if not value.is_integer():
        raise ConfigError(f"{name}: {value!r} is no integer")
    return int(value)


def flag_option(options: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """Read an option that must be true or false.

    Raises:
        ConfigError: it is neither.
    """
    value = options.get(name, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{name}: {value!r} is neither true nor false")
    return value
