"""Shopify's Admin GraphQL interface."""

from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.graphql import GraphQl
from dam_connector.adapters.http import Http
from dam_connector.adapters.kit import Kit, web_address

API_VERSION = "2026-10"
NAMESPACE = "dam_connector"  # of the metafields that say which media of a product are ours


class Shop(GraphQl):
    """A shop, asked as one app."""

    vendor = "shopify"

    def __init__(self, http: Http, base_url: str, token: str, version: str) -> None:
        super().__init__(http, base_url, f"/admin/api/{version}/graphql.json", {"X-Shopify-Access-Token": token})
        self.base_url = base_url.rstrip("/")
        self.http = http


def open_shop(options: Mapping[str, Any], kit: Kit) -> Shop:
    """Options: base_url, token, api_version. Raises: ConfigError."""
    token = kit.secret(str(options.get("token", "env/SHOPIFY_TOKEN")))
    return Shop(kit.http, web_address(options, example="https://my-shop.myshopify.com"), token, str(options.get("api_version", API_VERSION)))
