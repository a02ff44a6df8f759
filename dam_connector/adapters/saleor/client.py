"""Saleor's GraphQL API, and the metadata by which our own media are recognised."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from dam_connector.adapters.common.context import url_option
from dam_connector.adapters.common.graphql import GraphQlClient
from dam_connector.adapters.http import HttpClient
from dam_connector.errors import ConfigError

METADATA_KEY = "dam_connector"  # marks media that we published; its value is the SKU
_MARK = """mutation Mark($id: ID!, $input: [MetadataInput!]!) {
  updateMetadata(id: $id, input: $input) { errors { field message } } }"""


class SaleorClient(GraphQlClient):
    """A client of one shop, with the token of one app."""

    vendor = "saleor"

    def __init__(self, http: HttpClient, api_url: str, token: str) -> None:
        parts = urlsplit(api_url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        super().__init__(http, self.origin, parts.path, {"Authorization": f"Bearer {token}"})

    def mutate(self, mutation: str, variables: Mapping[str, Any], name: str) -> None:
        """Send a mutation whose result holds its errors alone."""
        self.mutation_result(self.query(mutation, variables, "publish"), name, "publish")

    def write_metadata(self, id: str, values: Mapping[str, str]) -> None:
        """Write entries into the metadata of a product or medium."""
        entries = [{"key": key, "value": value} for key, value in values.items()]
        self.mutate(_MARK, {"id": id, "input": entries}, "updateMetadata")


def language_code(locale: str) -> str:
    """Return Saleor's code of a language, e.g. `DE_AT`."""
    return locale.replace("-", "_").upper()


def api_url_option(options: Mapping[str, Any]) -> str:
    """Read the option `api_url`, the address of the GraphQL API.

    Raises:
        ConfigError: it is missing or another address.
    """
    api_url = url_option(options, "api_url", "https://shop.example/graphql/")
    if "/graphql" not in api_url:
        raise ConfigError("api_url: must be the shop's GraphQL address, e.g. https://shop.example/graphql/")
    return api_url


def metadata_value(holder: Mapping[str, Any], key: str) -> str:
    """Return an entry of the metadata of a product or medium; empty if there is none."""
    return next((str(m.get("value")) for m in holder.get("metadata") or () if m.get("key") == key), "")


def is_ours(media: Mapping[str, Any]) -> bool:
    """Return whether we published this medium."""
    return any(entry.get("key") == METADATA_KEY for entry in media.get("metadata") or ())
