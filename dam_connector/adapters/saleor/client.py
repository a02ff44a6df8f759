"""Saleor's GraphQL API, and the metadata by which our own media are recognised."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from dam_connector.adapters.common.context import url_option
from dam_connector.adapters.common.graphql import GraphQlClient
from dam_connector.adapters.http import HttpClient
from dam_connector.errors import ConfigError, Refused

METADATA_KEY = "dam_connector"  # marks media that we published; its value is the SKU
PERMISSION = "MANAGE_PRODUCTS"  # all that our app needs
_RIGHTS_QUERY = "query Rights { app { name permissions { code } } }"
_MARK = """mutation Mark($id: ID!, $input: [MetadataInput!]!) {
  updateMetadata(id: $id, input: $input) { errors { field message } } }"""


class SaleorClient(GraphQlClient):
    """A client of one shop, with the token of one app."""

    vendor = "saleor"

    def __init__(self, http: HttpClient, api_url: str, token: str) -> None:
        parts = urlsplit(api_url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        super().__init__(http, self.origin, parts.path, headers)

    def own_app(self, query: str, operation: str) -> Mapping[str, Any]:
        """Return the field `app` of a query: the app whose token this is.

        Raises:
            Refused: the token is that of a member of the staff, of an app that was removed, or of nobody.
        """
        reason = "the token is not that of an active app"
        try:
            app = self.query(query, {}, operation).get("app")
        except Refused as error:
            raise Refused(self.vendor, operation, f"{reason} ({error.reason})") from error
        if not app:
            raise Refused(self.vendor, operation, reason)
        return dict(app)

    def require_app(self, operation: str) -> None:
        """Raise an error unless the token is that of an active app which may see and change all products.

        To others, Saleor answers as if a product did not exist.

        Raises:
            Refused: the token is no app's, or the app lacks the permission.
        """
        app = self.own_app(_RIGHTS_QUERY, operation)
        if PERMISSION not in {each.get("code") for each in app.get("permissions") or ()}:
            reason = f"the app {app.get('name')} may not change products; give it *Manage products*"
            raise Refused(self.vendor, operation, reason)

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
