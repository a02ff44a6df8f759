"""The API of ResourceSpace: signed calls, and the readings of its answers that all parts share."""

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode

from dam_connector.adapters.common.api_client import MAX_FILE_BYTES, TRANSFER_TIMEOUT_S, ApiClient, excerpt
from dam_connector.adapters.http import FormPart, HttpClient, HttpResponse
from dam_connector.domain.outside_values import decode_json, parse_integer
from dam_connector.errors import AdapterError, BadOutput, NotFound, Refused

DELETED = "3"  # the archive state of a deleted resource, which stays readable
NEEDED_RIGHTS = "s,c,v,e-1,e0,e2,e4,f*"  # of our user's group; with the states of DEFAULT_LABELS
FIRST_POLL_DAYS = 1
LOG_ROWS = 500
FIRST_ROWS = {"minref": 0, "days": FIRST_POLL_DAYS, "maxrecords": 0}  # all of the first days


class ResourceSpaceClient(ApiClient):
    """Calls of the API as one user, whose private key signs each."""

    vendor = "resourcespace"

    def __init__(self, http: HttpClient, base_url: str, user: str, private_key: str) -> None:
        """Create a client.

        Args:
            http: the outgoing HTTP client.
            base_url: the address of ResourceSpace.
            user: the user's name.
            private_key: the user's key of the API.
        """
        super().__init__(http, base_url, {})
        self._user, self._private_key = user, private_key
        self._own_number = ""  # of our user, once it is known

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        if reply.status == 401:
            reason = f"the private key is not the one of the user {self._user} ({excerpt(reply)})"
            return Refused(self.vendor, operation, reason)
        return super().error_for(reply, operation)

    def _get_resource(self, ref: str, operation: str) -> dict[str, Any]:
        found = None
        if parse_integer(ref) is not None:
            found = self._call("get_resource_data", operation, resource=ref, false_means=NotFound)
        if not isinstance(found, dict) or not found or str(found.get("archive")) == DELETED:
            raise NotFound(self.vendor, operation, ref)
        return found

    def _find_own_number(self) -> str:
        """Return the number of our user, by which the log names people; empty if we may not see it."""
        if not self._own_number:
            users = self._call_for_rows("get_users", "changed_since", find=self._user)
            own = (str(row.get("ref")) for row in users if row.get("username") == self._user)
            self._own_number = next(own, "")
        return self._own_number

    def _download(self, ref: str, extension: str, alternative: str, operation: str) -> bytes:
        """Download an alternative file of a resource, or with an empty `alternative` its main file."""
        params: dict[str, Any] = {"ref": ref, "getfilepath": 0, "size": "", "extension": extension}
        if alternative:
            params["alternative"] = alternative
        url = self._call("get_resource_path", operation, **params)
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise NotFound(self.vendor, operation, f"resource {ref} has no such file")
        return self._http.get(url, max_bytes=MAX_FILE_BYTES, vendor=self.vendor)

    def _call_for_rows(self, function: str, operation: str, **params: Any) -> list[dict[str, Any]]:
        """Call a function of the API that returns a list; any other answer counts as an empty list.

        A search with two numbers for offset and rows returns `{"total": 1, "data": [...]}`.
        """
        found = self._call(function, operation, false_means=None, **params)
        if isinstance(found, dict):
            found = found.get("data")
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []

    def _call(
        self,
        function: str,
        operation: str,
        *,
        file: FormPart | None = None,
        false_means: type[Refused | NotFound] | None = Refused,
        **params: Any,
    ) -> Any:
        """Call a function of the API and return the decoded answer.

        Args:
            false_means: the error to raise when the answer is `false`; None returns the `false`.

        Raises:
            BadOutput: the function does not exist, or PHP reported an error, which comes with status 200.
        """
        query = urlencode({"user": self._user, "function": function, **params}, quote_via=quote_plus)
        signature = hashlib.sha256(f"{self._private_key}{query}".encode()).hexdigest()
        reply = self.request(
            "POST",
            "/api/",
            operation,
            fields={"query": query, "sign": signature, "user": self._user},
            files=[file] if file else [],
            timeout_s=TRANSFER_TIMEOUT_S if file else 0,
        )
        if reply.status == 204:
            return True
        if not reply.body.strip():
            reason = f"it has no function {function}, or its API is switched off"
            raise BadOutput(self.vendor, operation, reason)
        try:
            found = decode_json(reply.body)
        except ValueError as error:
            excerpt = " ".join(reply.body[:200].decode("utf-8", "replace").split())
            raise BadOutput(self.vendor, operation, excerpt) from error
        if found is False and false_means:
            reason = (
                f"{function} was refused: the user {self._user} may not, or there is no such resource; "
                f"its group needs the permissions {NEEDED_RIGHTS}"
            )
            raise false_means(self.vendor, operation, reason)
        return found


def row_number(row: Mapping[str, Any]) -> int:
    return parse_integer(row.get("ref")) or 0
