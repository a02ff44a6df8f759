"""Adapters: the implementations of the ports, found by (port, name in plugin.json).

`open_adapter` is the only loader. It looks in the table `SHIPPED` and in the entry-point group `dam_connector.adapters`,
whose names are `<port>.<name>`. Both lead to a function `connect(options, context)` that returns an object of the port.
"""

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.domain.rules import Connection
from dam_connector.errors import ConfigError

SHIPPED: Mapping[str, Mapping[str, str]] = {  # port -> name in plugin.json -> module below this package
    "pim": {
        "akeneo": "akeneo",
        "csv": "csv",
        "memory": "memory.pim",
        "saleor": "saleor.pim",
        "shopify": "shopify.pim",
        "standard": "standard",
        "vendure": "vendure.pim",
        "woocommerce": "woocommerce.pim",
    },
    "dam": {
        "aem": "aem",
        "bynder": "bynder",
        "cloudinary": "cloudinary",
        "directus": "directus.dam",
        "library": "library",
        "memory": "memory.dam",
        "resourcespace": "resourcespace",
    },
    "channel": {
        "folder": "folder",
        "google_merchant": "google_merchant",
        "memory": "memory.channel",
        "saleor": "saleor.channel",
        "shopify": "shopify.channel",
        "storage": "storage",
        "vendure": "vendure.channel",
        "viewer": "viewer",
        "webhook": "webhook",
        "woocommerce": "woocommerce.channel",
    },
    "provider": {
        "comfyui": "comfyui",
        "fal": "fal",
        "hunyuan3d": "hunyuan3d",
        "memory": "memory.provider",
        "meshy": "meshy",
        "openai_images": "openai_images",
        "stability": "stability",
        "tripo": "tripo",
    },
}
SETUPS: Mapping[tuple[str, str], str] = {
    ("dam", "directus"): "directus.setup"
}  # (port, adapter) -> module below this package
PORTS = tuple(SHIPPED)


def adapter_names(port: str) -> list[str]:
    """Return the names of all adapters of a port, sorted."""
    return list(_known(port))


@cache
def _known(port: str) -> tuple[str, ...]:
    """Cache the names for this process; a package that is installed later is seen after a restart."""
    foreign = [
        e.name.partition(".")[2]
        for e in entry_points(group="dam_connector.adapters")
        if e.name.startswith(f"{port}.")
    ]
    return tuple(sorted({*SHIPPED[port], *foreign}))


def open_adapter(port: str, name: str, connection: Connection, context: AdapterContext) -> Any:
    """The adapter of a connection.

    Raises: ConfigError when there is none of that name, or its options are wrong.
    """
    if connection.adapter not in adapter_names(port):
        near = difflib.get_close_matches(connection.adapter, adapter_names(port), n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(adapter_names(port))}"
        raise ConfigError(
            f"/connections/{port}/{name}/adapter: there is no {port} adapter {connection.adapter!r}; {hint}"
        )
    context = replace(context, name=name)
    for entry in entry_points(group="dam_connector.adapters", name=f"{port}.{connection.adapter}"):
        return entry.load()(connection.options, context)
    module = importlib.import_module(f"{__name__}.{SHIPPED[port][connection.adapter]}")
    try:
        return module.connect(connection.options, context)
    except ConfigError as error:
        raise ConfigError(*(f"/connections/{port}/{name}: {p}" for p in error.problems)) from error


def setup_module(port: str, adapter: str) -> Any:
    """Return the module that sets up the other side of a connection: it has `prepare(options, context, hook_url)` and `BY_HAND`.

    Raises:
        ConfigError: nothing can be set up for this adapter.
    """
    if (port, adapter) not in SETUPS:
        able = ", ".join(" ".join(each) for each in SETUPS)
        raise ConfigError(
            f"nothing can be set up for {port} {adapter} from here; docs/connections says what to do; known: {able}"
        )
    return importlib.import_module(f"{__name__}.{SETUPS[port, adapter]}")
