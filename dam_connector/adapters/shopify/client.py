"""Shopify's Admin GraphQL interface."""

import json
from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, url_option
from dam_connector.adapters.common.graphql import GraphQlClient
from dam_connector.adapters.http import HttpClient

API_VERSION = "2026-10"
METAFIELD_NAMESPACE, METAFIELD_KEY = (
    "dam_connector",
    "files",
)  # of the metafield that says which media of a product are ours: by SKU, ids by the hash of their bytes


class ShopifyClient(GraphQlClient):
    """A shop, asked as one app."""

    vendor = "shopify"

    def __init__(self, http: HttpClient, base_url: str, token: str, version: str) -> None:
        super().__init__(
            http, base_url, f"/admin/api/{version}/graphql.json", {"X-Shopify-Access-Token": token}
        )
        self.base_url = base_url.rstrip("/")


def parse_media_note(metafield: Mapping[str, Any] | None) -> dict[str, dict[str, str]]:
    """What our metafield says; nothing where somebody wrote something else there."""
    try:
        found = json.loads((metafield or {}).get("value") or "{}")
    except ValueError:
        return {}
    return (
        {str(sku): dict(of) for sku, of in found.items() if isinstance(of, dict)}
        if isinstance(found, dict)
        else {}
    )


def open_client(options: Mapping[str, Any], context: AdapterContext) -> ShopifyClient:
    """Options: base_url, token, api_version. Raises: ConfigError."""
    token = context.secret(str(options.get("token", "env/SHOPIFY_TOKEN")))
    return ShopifyClient(
        context.http,
        url_option(options, example="https://my-shop.myshopify.com"),
        token,
        str(options.get("api_version", API_VERSION)),
    )
