"""Asking a vendor's interface: one request, and what its failure means."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from dam_connector.adapters.http import FormPart, HttpClient, HttpResponse
from dam_connector.errors import (
    AdapterError,
    BadOutput,
    NotFound,
    OutOfCredit,
    RateLimited,
    Refused,
    SubmitUnknown,
    Unavailable,
)

DEFAULT_RETRY_AFTER_S = 10.0
MAX_JSON_BYTES = 1_048_576
TRANSFER_TIMEOUT_S = 120.0  # for a file, up or down
MAX_FILE_BYTES = 200_000_000


class SubmitServerError(SubmitUnknown):
    """The answer to a request that is to be sent once was a 5xx: whether its work had begun is open."""


class ApiClient:
    """The part of an adapter that is the same for all who are asked by HTTP. vendor: its name in errors. once: operations that must not be
    repeated when their answer is lost."""

    vendor = ""
    non_repeatable: tuple[str, ...] = ()

    def __init__(self, http: HttpClient, base_url: str, headers: Mapping[str, str]) -> None:
        self._http, self._base, self._headers = (
            http,
            base_url.rstrip("/"),
            {"Accept": "application/json", **headers},
        )

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        """What a reply means that is neither good nor a 5xx."""
        words = f"HTTP {reply.status}: {excerpt(reply)}"
        if reply.status == 402:
            return OutOfCredit(self.vendor, operation, words)
        if reply.status == 429:
            return RateLimited(self.vendor, operation, words, retry_after_s=reply.retry_after_s(DEFAULT_RETRY_AFTER_S))
        if reply.status in (404, 410):
            return NotFound(self.vendor, operation, words)
        return Refused(self.vendor, operation, words)

    def request(
        self,
        method: str,
        path: str,
        operation: str,
        *,
        json: Any = None,
        fields: Mapping[str, str] | None = None,
        files: Sequence[FormPart] = (),
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = MAX_JSON_BYTES,
        timeout_s: float = 0,
    ) -> HttpResponse:
        """A good reply. path: below the base URL, or an address on the same host.

        Raises: NotFound, Refused, RateLimited, OutOfCredit, Unavailable, BadOutput; SubmitUnknown for an operation of `once` whose answer was lost.
        """
        url = path if path.startswith(f"{self._base}/") else f"{self._base}{path}"
        if path.startswith(("http://", "https://")) and url != path:
            raise BadOutput(
                self.vendor, operation, "it names an address on another host, where our key does not go"
            )
        more: dict[str, Any] = {
            "json": json,
            "fields": fields,
            "files": files,
            "content": content,
            "max_bytes": max_bytes,
            "timeout_s": timeout_s,
        }
        try:
            reply = self._http.request(
                method,
                url,
                vendor=self.vendor,
                operation=operation,
                headers={**self._headers, **(headers or {})},
                **more,
            )
        except SubmitUnknown as error:
            if operation in self.non_repeatable:
                raise
            raise Unavailable(self.vendor, operation, "the answer did not arrive") from error
        if 200 <= reply.status < 300:
            return reply
        if reply.status >= 500 or reply.status == 408:
            lost = SubmitServerError if operation in self.non_repeatable else Unavailable
            raise lost(self.vendor, operation, f"HTTP {reply.status}: {excerpt(reply)}")
        raise self.error_for(reply, operation)

    def upload_to_storage(self, method: str, url: str, operation: str, **more: Any) -> None:
        """Send bytes to a storage that the vendor names: our key does not go there, and the same again does no harm.

        Raises: Unavailable when it did not take them; Blocked.
        """
        try:
            reply = self._http.request(
                method, url, vendor=self.vendor, operation=operation, headers={}, timeout_s=TRANSFER_TIMEOUT_S, **more
            )
        except SubmitUnknown as error:
            raise Unavailable(self.vendor, operation, "its storage did not answer") from error
        if not 200 <= reply.status < 300:
            raise Unavailable(self.vendor, operation, f"its storage answered HTTP {reply.status}")

    def request_json(self, method: str, path: str, operation: str, **more: Any) -> dict[str, Any]:
        """The object in a good reply. Raises: as `ask`; BadOutput when there is none, or SubmitUnknown for an operation of `once`."""
        return self.parse_object(self.request(method, path, operation, **more), operation)

    def parse_object(self, reply: HttpResponse, operation: str) -> dict[str, Any]:
        """The object in a reply. Raises: as `asked`."""
        try:
            return reply.json(self.vendor, operation)
        except BadOutput as error:
            if operation in self.non_repeatable:
                raise SubmitUnknown(self.vendor, operation, "the answer cannot be read") from error
            raise


def excerpt(reply: HttpResponse) -> str:
    """What a reply says in words, shortened."""
    return " ".join(reply.body[:400].decode("utf-8", "replace").split())[:200]


def basic_auth(user: str, word: str) -> str:
    """The value of an Authorization header by user and password (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{word}".encode()).decode()
