"""Vendure's Admin API: a session by name and password, renewed when it must be."""

from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.common.graphql import GraphQlClient
from dam_connector.adapters.http import HttpClient, HttpResponse
from dam_connector.errors import Refused, Unavailable

TAG = "dam-connector"  # a tag of assets that we put there
_LOGIN = "mutation Login($name: String!, $word: String!) { login(username: $name, password: $word) { __typename ... on ErrorResult { message } } }"


class VendureClient(GraphQlClient):
    """Questions as one user."""

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
        for fresh in (False, True):
            if fresh or not self._token:
                self._log_in()
            said = self._post(query, variables, operation, {"Authorization": f"Bearer {self._token}"}, file)
            errors = said.get("errors") or ()
            if not errors:
                data = said.get("data")
                return data if isinstance(data, dict) else {}
            if (errors[0].get("extensions") or {}).get("code") != "FORBIDDEN":
                raise self.error_from(errors[0], operation)
        raise Refused(
            self.vendor,
            operation,
            f"the user {self._user} may not do this; docs/connections/vendure.md says which rights it needs",
        )

    def _log_in(self) -> None:
        reply: HttpResponse = self.request(
            "POST",
            self._path,
            "login",
            json={"query": _LOGIN, "variables": {"name": self._user, "word": self._password}},
        )
        found = (self.parse_object(reply, "login").get("data") or {}).get("login") or {}
        if found.get("__typename") != "CurrentUser":
            raise Refused(
                self.vendor, "login", str(found.get("message") or "the user or the password is wrong")[:200]
            )
        if not (token := reply.headers.get("vendure-auth-token", "")):
            raise Unavailable(
                self.vendor, "login", "no vendure-auth-token came; its tokenMethod must allow bearer"
            )
        self._token = token


def is_ours(asset: Mapping[str, Any]) -> bool:
    return any(tag.get("value") == TAG for tag in asset.get("tags") or ())
