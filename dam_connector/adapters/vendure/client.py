"""Vendure's Admin API: a session with user name and password, renewed when it expires."""

from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.common.graphql import GraphQlClient
from dam_connector.adapters.http import HttpClient
from dam_connector.errors import Refused, Unavailable

TAG = "dam-connector"  # marks assets that we published
# What a channel needs, each with the permissions that include it. A PIM needs those to read.
PERMISSIONS = {
    "ReadCatalog": ("ReadCatalog", "ReadProduct"),
    "UpdateCatalog": ("UpdateCatalog", "UpdateProduct"),
    "ReadAsset": ("ReadAsset", "ReadCatalog"),
    "CreateAsset": ("CreateAsset", "CreateCatalog"),
    "DeleteAsset": ("DeleteAsset", "DeleteCatalog"),
}
_ME_QUERY = "query Me { me { identifier channels { code permissions } } }"
_LOGIN = """mutation Login($name: String!, $password: String!) {
  login(username: $name, password: $password) { __typename ... on ErrorResult { message } } }"""


class VendureClient(GraphQlClient):
    """A client of one shop, as one of its administrators."""

    vendor = "vendure"

    def __init__(self, http: HttpClient, base_url: str, user: str, password: str) -> None:
        super().__init__(http, base_url, "/admin-api", {"apollo-require-preflight": "true"})
        self._user, self._password = user, password
        self._token = ""

    def query(
        self,
        query: str,
        variables: Mapping[str, Any],
        operation: str,
        *,
        file: tuple[str, bytes, str] | None = None,
    ) -> dict[str, Any]:
        """Send a query as `GraphQlClient.query` does; log in first if necessary.

        Vendure answers an expired session and a missing permission alike, with FORBIDDEN. So the query is
        sent again after a fresh login, once.

        Raises:
            Refused: the user may not do this.
        """
        for is_retry in (False, True):
            if is_retry or not self._token:
                self._log_in()
            headers = {"Authorization": f"Bearer {self._token}"}
            answer = self._post(query, variables, operation, headers, file)
            errors = answer.get("errors") or ()
            if not errors:
                data = answer.get("data")
                return data if isinstance(data, dict) else {}
            if (errors[0].get("extensions") or {}).get("code") != "FORBIDDEN":
                raise self.error_from(errors[0], operation)
        raise Refused(
            self.vendor,
            operation,
            f"the user {self._user} may not do this; docs/connections/vendure.md lists the permissions "
            "that it needs",
        )

    def _log_in(self) -> None:
        variables = {"name": self._user, "password": self._password}
        body = {"query": _LOGIN, "variables": variables}
        reply = self.request("POST", self._path, "login", json=body)
        result = (self.parse_object(reply, "login").get("data") or {}).get("login") or {}
        if result.get("__typename") != "CurrentUser":
            message = str(result.get("message") or "the user or the password is wrong")
            raise Refused(self.vendor, "login", message[:200])
        if not (token := reply.headers.get("vendure-auth-token", "")):
            raise Unavailable(
                self.vendor,
                "login",
                "the response has no vendure-auth-token; the shop's tokenMethod must allow bearer",
            )
        self._token = token


def missing_permissions(client: VendureClient) -> list[str]:
    """Return the permissions of a channel's user that it lacks in all of the shop's own channels."""
    me = client.query(_ME_QUERY, {}, "publish").get("me") or {}
    has = {name for each in me.get("channels") or () for name in each.get("permissions") or ()}
    return [name for name, others in PERMISSIONS.items() if not has.intersection(others)]


def is_ours(asset: Mapping[str, Any]) -> bool:
    """Return whether we published this asset."""
    return any(tag.get("value") == TAG for tag in asset.get("tags") or ())
