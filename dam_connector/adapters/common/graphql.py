"""Asking a GraphQL interface: one question, and what its errors mean."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dam_connector.adapters.common.api_client import DEFAULT_RETRY_AFTER_S, TRANSFER_TIMEOUT_S, ApiClient
from dam_connector.adapters.http import HttpClient
from dam_connector.errors import AdapterError, BadOutput, RateLimited, Refused

MAX_GRAPHQL_BYTES = 16_000_000
FORBIDDEN = (
    "FORBIDDEN",
    "UNAUTHORIZED",
    "PermissionDenied",
    "ACCESS_DENIED",
    "InvalidToken",
    "ExpiredSignatureError",
)
THROTTLED = ("THROTTLED", "TooManyRequests")


class GraphQlClient(ApiClient):
    """The part of an adapter that is the same for all who are asked by GraphQL. path: of the interface, below the base URL."""

    def __init__(self, http: HttpClient, base_url: str, path: str, headers: Mapping[str, str]) -> None:
        super().__init__(http, base_url, headers)
        self._path = path

    def query(
        self,
        query: str,
        variables: Mapping[str, Any],
        operation: str,
        *,
        file: tuple[str, bytes, str] | None = None,
    ) -> dict[str, Any]:
        """The data of an answer. file: the name, bytes and type of an upload, which stands at `$file` or in `$input[0].file`.

        Raises: as `Caller.ask`; Refused where the interface says that we may not, BadOutput for its other errors.
        """
        said = self._post(query, variables, operation, {}, file)
        if errors := said.get("errors"):
            raise self.error_from(errors[0] if isinstance(errors[0], dict) else {}, operation)
        data = said.get("data")
        return data if isinstance(data, dict) else {}

    def error_from(self, error: Mapping[str, Any], operation: str) -> AdapterError:
        """What an error of the interface is to us."""
        words = str(error.get("message", ""))[:200]
        more = error.get("extensions") or {}
        code = str(more.get("code") or (more.get("exception") or {}).get("code"))
        if code in THROTTLED:
            return RateLimited(self.vendor, operation, words, retry_after_s=DEFAULT_RETRY_AFTER_S)
        return (
            Refused(self.vendor, operation, words)
            if code in FORBIDDEN
            else BadOutput(self.vendor, operation, words)
        )

    def mutation_result(
        self, answer: Mapping[str, Any], name: str, operation: str, *, errors: str = "errors"
    ) -> dict[str, Any]:
        """What a mutation gave. Raises: Refused with the place and words of its first error."""
        found = answer.get(name) or {}
        if wrong := found.get(errors):
            place = wrong[0].get("field") or ""
            where = "/".join(map(str, place)) if isinstance(place, list) else str(place)
            raise Refused(self.vendor, operation, f"{where}: {wrong[0].get('message', '')}"[:300])
        return dict(found)

    def _post(
        self,
        query: str,
        variables: Mapping[str, Any],
        operation: str,
        headers: Mapping[str, str],
        file: tuple[str, bytes, str] | None = None,
    ) -> dict[str, Any]:
        body = {"query": query, "variables": dict(variables)}
        if file is None:
            return self.request_json("POST", self._path, operation, json=body, headers=headers, max_bytes=MAX_GRAPHQL_BYTES)
        place = (
            "variables.file" if "file" in variables else "variables.input.0.file"
        )  # GraphQL multipart request specification
        fields = {"operations": json.dumps(body), "map": json.dumps({"0": [place]})}
        return self.request_json(
            "POST",
            self._path,
            operation,
            fields=fields,
            files=[("0", file)],
            headers=headers,
            max_bytes=MAX_GRAPHQL_BYTES,
            timeout_s=TRANSFER_TIMEOUT_S,
        )


def nodes(connection: Any) -> Iterator[dict[str, Any]]:
    """The nodes of a connection, however it is asked for: by edges or by nodes."""
    found: Sequence[Any] = (connection or {}).get("nodes") or [
        e.get("node") for e in (connection or {}).get("edges") or ()
    ]
    return (node for node in found if isinstance(node, dict))
