"""Shopify's Admin GraphQL API, and the metafield that says which media of a product are ours."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, url_option
from dam_connector.adapters.common.graphql import GraphQlClient
from dam_connector.adapters.http import HttpClient
from dam_connector.domain.outside_values import decode_json

API_VERSION = "2026-10"
# The metafield of a product that holds our media as JSON: {SKU: {SHA-256 of the file: id of the medium}}.
METAFIELD_NAMESPACE, METAFIELD_KEY = "dam_connector", "files"


class ShopifyClient(GraphQlClient):
    """A client of one shop, with the token of one app."""

    vendor = "shopify"

    def __init__(self, http: HttpClient, base_url: str, token: str, version: str) -> None:
        path = f"/admin/api/{version}/graphql.json"
        super().__init__(http, base_url, path, {"X-Shopify-Access-Token": token})
        self.base_url = base_url.rstrip("/")


def parse_media_note(metafield: Mapping[str, Any] | None) -> dict[str, dict[str, str]]:
    """Return the media in our metafield, as {SKU: {SHA-256: id}}; empty if somebody overwrote it."""
    try:
        found = decode_json((metafield or {}).get("value") or "{}")
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(sku): dict(ids) for sku, ids in found.items() if isinstance(ids, dict)}


def translation_fields(locales: Sequence[str]) -> str:
    """Return the fields of a query for the translations of a resource, by locale."""
    return " ".join(
        f"in{number}: translations(locale: {json.dumps(locale)}) {{ key value outdated locale }}"
        for number, locale in enumerate(locales)
    )


def found_translations(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the translations in the answer to a query with `translation_fields`."""
    for name, found in resource.items():
        if name.startswith("in") and isinstance(found, list):
            yield from (each for each in found if isinstance(each, dict))


def open_client(options: Mapping[str, Any], context: AdapterContext) -> ShopifyClient:
    """Open a client by the options `base_url`, `token` and `api_version`.

    Raises:
        ConfigError: an option is wrong.
    """
    token = context.secret(str(options.get("token", "env/SHOPIFY_TOKEN")))
    base_url = url_option(options, example="https://my-shop.myshopify.com")
    return ShopifyClient(context.http, base_url, token, str(options.get("api_version", API_VERSION)))
