"""Base class of adapters that call a vendor's GraphQL API."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dam_connector.adapters.common.api_client import DEFAULT_RETRY_AFTER_S, TRANSFER_TIMEOUT_S, ApiClient
from dam_connector.adapters.http import HttpClient
from dam_connector.errors import AdapterError, BadOutput, RateLimited, Refused

MAX_GRAPHQL_BYTES = 16_000_000
FORBIDDEN_CODES = (
    "FORBIDDEN",
    "UNAUTHORIZED",
    "PermissionDenied",
    "ACCESS_DENIED",
    "InvalidToken",
    "ExpiredSignatureError",
)
THROTTLED_CODES = ("THROTTLED", "TooManyRequests")


class GraphQlClient(ApiClient):
    """Base class of an adapter that calls a GraphQL API at one path."""

    def __init__(self, http: HttpClient, base_url: str, path: str, headers: Mapping[str, str]) -> None:
        """Create a client.

        Args:
            http: the outgoing HTTP client.
            base_url: the server's address.
            path: the path of the API below it, e.g. `/graphql/`.
            headers: the headers of every request.
        """
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
        """Send a query or mutation and return its data.

        Args:
            query: the GraphQL document.
            variables: its variables.
            operation: the operation's name in errors, e.g. "publish".
            file: the name, bytes and media type of an upload, for the variable `$file` or `$input[0].file`.

        Raises:
            Refused: the API answers that we may not do this.
            RateLimited: the API throttles us.
            BadOutput: another error of the API.
            AdapterError: as `ApiClient.request` does.
        """
        answer = self._post(query, variables, operation, {}, file)
        if errors := answer.get("errors"):
            raise self.error_from(errors[0] if isinstance(errors[0], dict) else {}, operation)
        data = answer.get("data")
        return data if isinstance(data, dict) else {}

    def error_from(self, error: Mapping[str, Any], operation: str) -> AdapterError:
        """Translate an entry of a response's `errors`."""
        message = str(error.get("message", ""))[:200]
        extensions = error.get("extensions") or {}
        code = str(extensions.get("code") or (extensions.get("exception") or {}).get("code"))
        if code in THROTTLED_CODES:
            return RateLimited(self.vendor, operation, message, retry_after_s=DEFAULT_RETRY_AFTER_S)
        if code in FORBIDDEN_CODES:
            return Refused(self.vendor, operation, message)
        return BadOutput(self.vendor, operation, message)

    def mutation_result(
        self, data: Mapping[str, Any], name: str, operation: str, *, errors: str = "errors"
    ) -> dict[str, Any]:
        """Return the result of a mutation.

        Args:
            data: the data that `query` returned.
            name: the mutation's field, e.g. `fileCreate`.
            operation: the operation's name in errors.
            errors: the field that holds the mutation's own errors.

        Raises:
            Refused: the mutation has an error; the message names the field.
        """
        result = data.get(name) or {}
        if problems := result.get(errors):
            field = problems[0].get("field") or ""
            where = "/".join(map(str, field)) if isinstance(field, list) else str(field)
            raise Refused(self.vendor, operation, f"{where}: {problems[0].get('message', '')}"[:300])
        return dict(result)

    def _post(
        self,
        query: str,
        variables: Mapping[str, Any],
        operation: str,
        headers: Mapping[str, str],
        file: tuple[str, bytes, str] | None = None,
    ) -> dict[str, Any]:
        """Return the whole response, with `data` and `errors`."""
        body = {"query": query, "variables": dict(variables)}
        if file is None:
            return self.request_json(
                "POST", self._path, operation, json=body, headers=headers, max_bytes=MAX_GRAPHQL_BYTES
            )
        # by the GraphQL multipart request specification
        place = "variables.file" if "file" in variables else "variables.input.0.file"
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
    """Yield the nodes of a GraphQL connection, whether it was queried by `nodes` or by `edges`."""
    found: Sequence[Any] = (connection or {}).get("nodes") or [
        edge.get("node") for edge in (connection or {}).get("edges") or ()
    ]
    return (node for node in found if isinstance(node, dict))
