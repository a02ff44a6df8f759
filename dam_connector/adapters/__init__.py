"""Adapters: one file a vendor, found by its name.

`open_adapter` is the only loader. A file here or an entry point of the group `dam_connector.adapters`, called
`<port>.<name>`, has a function `connect(options, kit)` that gives an object of its port.
"""

import difflib
import importlib
import pkgutil
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from dam_connector.adapters.kit import Kit
from dam_connector.catalog.rules import Connection
from dam_connector.errors import ConfigError

PORTS = ("pim", "dam", "channel", "provider")


def known(port: str) -> list[str]:
    """The names of all adapters of a port."""
    return list(_known(port))


@cache
def _known(port: str) -> tuple[str, ...]:
    """What is installed later, a new process finds."""
    package = importlib.import_module(f"dam_connector.adapters.{port}")
    shipped = [m.name for m in pkgutil.iter_modules(package.__path__)]
    foreign = [e.name.partition(".")[2] for e in entry_points(group="dam_connector.adapters") if e.name.startswith(f"{port}.")]
    return tuple(sorted({*shipped, *foreign}))


def open_adapter(port: str, name: str, connection: Connection, kit: Kit) -> Any:
    """The adapter of a connection.

    Raises: ConfigError when there is none of that name, or its options are wrong.
    """
    if connection.adapter not in known(port):
        near = difflib.get_close_matches(connection.adapter, known(port), n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(known(port))}"
        raise ConfigError(f"/connections/{port}/{name}/adapter: there is no {port} adapter {connection.adapter!r}; {hint}")
    kit = replace(kit, name=name)
    for entry in entry_points(group="dam_connector.adapters", name=f"{port}.{connection.adapter}"):
        return entry.load()(connection.options, kit)
    module = importlib.import_module(f"dam_connector.adapters.{port}.{connection.adapter}")
    try:
        return module.connect(connection.options, kit)
    except ConfigError as error:
        raise ConfigError(*(f"/connections/{port}/{name}: {p}" for p in error.problems)) from error


def setup_of(port: str, adapter: str) -> Any:
    """The module that sets up the other side of a connection: `prepare(options, kit, hook_url)` and `BY_HAND`. Raises: ConfigError when there is none."""
    package = importlib.import_module("dam_connector.adapters.setups")
    name = f"{port}_{adapter}"
    able = sorted(m.name for m in pkgutil.iter_modules(package.__path__))
    if name not in able:
        raise ConfigError(
            f"nothing can be set up for {port} {adapter} from here; docs/connections says what to do; known: {', '.join(each.replace('_', ' ', 1) for each in able)}"
        )
    return importlib.import_module(f"{package.__name__}.{name}")
