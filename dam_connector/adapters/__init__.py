"""Adapters: the implementations of the ports.

An adapter is found by its port and its name in plugin.json. `open_adapter` looks in the table `SHIPPED` and
in the entry-point group `dam_connector.adapters`, whose names are `<port>.<name>`, e.g. `pim.acme`. Both lead
to a function `connect(options, context)` that returns an object of the port.
"""

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.domain.rules import Connection
from dam_connector.errors import ConfigError

ENTRY_POINT_GROUP = "dam_connector.adapters"
SHIPPED: Mapping[str, Mapping[str, str]] = {  # port -> name in plugin.json -> module below this package
    "pim": {
        "akeneo": "akeneo.pim",
        "csv": "csv",
        "memory": "memory.pim",
        "saleor": "saleor.pim",
        "shopify": "shopify.pim",
        "standard": "standard",
        "vendure": "vendure.pim",
        "woocommerce": "woocommerce.pim",
    },
    "dam": {
        "aem": "aem.dam",
        "bynder": "bynder.dam",
        "cloudinary": "cloudinary.dam",
        "directus": "directus.dam",
        "library": "library",
        "memory": "memory.dam",
        "resourcespace": "resourcespace.dam",
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
PORTS = tuple(SHIPPED)
CHANNEL_OPTIONS = ("locale", "order")  # of every channel; they shape its listing, adapters do not see them
SETUPS: Mapping[tuple[str, str], str] = {  # (port, adapter) -> module below this package
    ("dam", "directus"): "directus.setup",
    ("dam", "resourcespace"): "resourcespace.setup",
    ("pim", "saleor"): "saleor.setup",
    ("pim", "vendure"): "vendure.setup",
    ("pim", "woocommerce"): "woocommerce.setup",
}


def adapter_names(port: str) -> list[str]:
    """Return the names of all adapters of a port, sorted."""
    return list(_adapter_names(port))


@cache
def _adapter_names(port: str) -> tuple[str, ...]:
    """Cache the names for this process; a package that is installed later is seen after a restart."""
    third_party = [name.partition(".")[2] for name in _third_party() if name.startswith(f"{port}.")]
    return tuple(sorted({*SHIPPED[port], *third_party}))


@cache
def _third_party() -> Mapping[str, EntryPoint]:
    """Return the entry points of installed adapters, by `port.adapter`. Reading them takes milliseconds."""
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}


def open_adapter(port: str, name: str, connection: Connection, context: AdapterContext) -> Any:
    """Open the adapter of a connection.

    Args:
        port: "pim", "dam", "channel" or "provider".
        name: the connection's name in plugin.json.
        connection: the adapter's name and options.
        context: the services that adapters may use.

    Raises:
        ConfigError: there is no adapter of that name, or its options are wrong.
    """
    if connection.adapter not in adapter_names(port):
        near = difflib.get_close_matches(connection.adapter, adapter_names(port), n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(adapter_names(port))}"
        raise ConfigError(
            f"/connections/{port}/{name}/adapter: there is no {port} adapter {connection.adapter!r}; {hint}"
        )
    context = replace(context, name=name)
    connect = _load_connect(port, connection.adapter)
    own = CHANNEL_OPTIONS if port == "channel" else ()
    try:
        return connect({k: v for k, v in connection.options.items() if k not in own}, context)
    except ConfigError as error:
        raise ConfigError(*(f"/connections/{port}/{name}: {p}" for p in error.problems)) from error


def _load_connect(port: str, adapter: str) -> Any:
    """Return an adapter's function `connect`; a third party's entry point comes before a shipped module."""
    if entry := _third_party().get(f"{port}.{adapter}"):
        return entry.load()
    return importlib.import_module(f"{__name__}.{SHIPPED[port][adapter]}").connect


def load_setup(port: str, adapter: str) -> Any:
    """Return the module that prepares the vendor's side of a connection.

    It has the functions `prepare(options, context, webhook_url)` and `entry(options, context)`, which returns
    the connection for plugin.json, and `BY_HAND`, the steps that an admin must do.

    Raises:
        ConfigError: nothing can be set up for this adapter.
    """
    if (port, adapter) not in SETUPS:
        supported = ", ".join(" ".join(each) for each in SETUPS)
        known = adapter_names(port)
        if adapter not in known:
            raise ConfigError(f"there is no {port} adapter {adapter!r}; known: {', '.join(known)}")
        raise ConfigError(
            f"nothing can be set up automatically for {port} {adapter}; docs/connections/{adapter}.md says "
            f"how to do it by hand; supported: {supported}"
        )
    return importlib.import_module(f"{__name__}.{SETUPS[port, adapter]}")
