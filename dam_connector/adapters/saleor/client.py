"""Saleor's GraphQL interface, and how our own media there are known."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from dam_connector.adapters.common.context import url_option
from dam_connector.adapters.common.graphql import GraphQlClient
from dam_connector.adapters.http import HttpClient
from dam_connector.errors import ConfigError

METADATA_KEY = "dam_connector"  # a key of the metadata of media that we put there, and of their product


class SaleorClient(GraphQlClient):
    """A shop, asked as one app."""

    vendor = "saleor"

    def __init__(self, http: HttpClient, api_url: str, token: str) -> None:
        parts = urlsplit(api_url)
        super().__init__(
            http, f"{parts.scheme}://{parts.netloc}", parts.path, {"Authorization": f"Bearer {token}"}
        )
        self.origin = f"{parts.scheme}://{parts.netloc}"


def api_url_option(options: Mapping[str, Any]) -> str:
    """The address of the interface. Raises: ConfigError."""
    api_url = url_option(options, "api_url", "https://shop.example/graphql/")
    if "/graphql" not in api_url:
        raise ConfigError("api_url: the shop's GraphQL address, such as https://shop.example/graphql/")
    return api_url


def is_ours(media: Mapping[str, Any]) -> bool:
    return any(m.get("key") == METADATA_KEY for m in media.get("metadata") or ())
