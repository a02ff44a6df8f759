"""Base class of adapters that call a vendor's HTTP API, with one meaning for each kind of failure."""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dam_connector.adapters.http import FormPart, HttpClient, HttpResponse
from dam_connector.domain.outside_values import decode_json
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

DEFAULT_RETRY_AFTER_S = 10.0  # when a 429 names no time
_PAGE = re.compile(
    r"\ufeff?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.I | re.S
)
_TITLE = re.compile(r"<title[^>]*>([^<]*)</title>", re.I)
MAX_JSON_BYTES = 1_048_576
MAX_FILE_BYTES = 200_000_000
TRANSFER_TIMEOUT_S = 120.0  # for the upload or download of one file


class SubmitServerError(SubmitUnknown):
    """A non-repeatable request was answered with a 5xx: it may have been carried out."""


class ApiClient:
    """Base class of an adapter that calls an HTTP API below one base URL with the same headers."""

    vendor = ""  # the name in errors
    non_repeatable: tuple[str, ...] = ()  # operations that must not be sent again if their response is lost
    takes_pages = False  # whether an HTML page is a good answer, e.g. of a receiver of webhooks

    def __init__(self, http: HttpClient, base_url: str, headers: Mapping[str, str]) -> None:
        """Create a client.

        Args:
            http: the outgoing HTTP client.
            base_url: the address that every path is below.
            headers: the headers of every request, e.g. the credentials.
        """
        self._http = http
        self._base = base_url.rstrip("/")
        http.allow_port(base_url)
        self._headers = {"Accept": "application/json", **headers}

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        """Translate a response that is neither 2xx nor 5xx; a vendor with other meanings overrides this."""
        message = f"HTTP {reply.status}: {excerpt(reply)}"
        if 300 <= reply.status < 400:
            target = reply.headers.get("location", "").partition("?")[0][:200] or "nowhere"
            return Refused(
                self.vendor,
                operation,
                f"HTTP {reply.status}: it leads to {target}, where our key is not sent; if that is the "
                "server's address, write it in plugin.json",
            )
        if reply.status == 402:
            return OutOfCredit(self.vendor, operation, message)
        if reply.status == 429:
            wait_s = reply.retry_after_s(DEFAULT_RETRY_AFTER_S)
            return RateLimited(self.vendor, operation, message, retry_after_s=wait_s)
        if reply.status in (404, 410):
            return NotFound(self.vendor, operation, message)
        return Refused(self.vendor, operation, message)

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
        """Send a request and return its 2xx response.

        Args:
            method: the HTTP method.
            path: a path below the base URL, or a URL on the same host, such as a link to the next page.
            operation: the operation's name in errors, e.g. "publish".
            json, fields, files, content: the body, as in `HttpClient.request`.
            headers: more headers than those of every request.
            max_bytes: the largest response body to accept.
            timeout_s: for the whole exchange; 0: the HTTP client's own.

        Raises:
            NotFound: 404 or 410.
            Refused: another 4xx.
            RateLimited: 429.
            OutOfCredit: 402.
            Unavailable: 5xx, or no response.
            BadOutput: the path is a URL on another host, or the answer is a web page.
            SubmitUnknown: a non-repeatable operation got a 5xx or no response: it may have been carried out.
        """
        url = path if path.startswith(f"{self._base}/") else f"{self._base}{path}"
        if path.startswith(("http://", "https://")) and url != path:
            raise BadOutput(
                self.vendor, operation, "it names a URL on another host; our key is not sent there"
            )
        try:
            reply = self._http.request(
                method,
                url,
                vendor=self.vendor,
                operation=operation,
                headers={**self._headers, **(headers or {})},
                json=json,
                fields=fields,
                files=files,
                content=content,
                max_bytes=max_bytes,
                timeout_s=timeout_s,
            )
        except SubmitUnknown as error:
            if operation in self.non_repeatable:
                raise
            raise Unavailable(self.vendor, operation, "no response arrived") from error
        self._require_answer(reply, operation)
        return reply

    def _page_error(self, reply: HttpResponse, operation: str) -> AdapterError:
        """Return the error of an answer that is a page, e.g. of a login or a proxy before the server."""
        title = _TITLE.search(reply.body[:4000].decode("utf-8", "replace"))
        named = f" ({' '.join(title[1].split())[:80]!r})" if title else ""
        message = (
            f"HTTP {reply.status} with a web page{named} instead of data; see whether the address leads to "
            "its API, and whether a login or a proxy is before it"
        )
        error_class = SubmitUnknown if operation in self.non_repeatable else BadOutput
        return error_class(self.vendor, operation, message)

    def _require_answer(self, reply: HttpResponse, operation: str) -> None:
        """Raise the error that a response means; a 2xx is none, unless it is a page."""
        if 200 <= reply.status < 300 and not self.takes_pages and is_page(reply):
            raise self._page_error(reply, operation)
        if 200 <= reply.status < 300:
            return
        if reply.status >= 500 or reply.status == 408:
            error_class = SubmitServerError if operation in self.non_repeatable else Unavailable
            raise error_class(self.vendor, operation, f"HTTP {reply.status}: {excerpt(reply)}")
        raise self.error_for(reply, operation)

    def request_json(self, method: str, path: str, operation: str, **options: Any) -> dict[str, Any]:
        """Send a request and return the JSON object of its 2xx response.

        Raises:
            AdapterError: as `request` and `parse_object` do.
        """
        return self.parse_object(self.request(method, path, operation, **options), operation)

    def parse_object(self, reply: HttpResponse, operation: str) -> dict[str, Any]:
        """Parse the body of a response as a JSON object.

        Raises:
            BadOutput: it is not a JSON object.
            SubmitUnknown: it is not, and the operation is non-repeatable.
        """
        try:
            return reply.json(self.vendor, operation)
        except BadOutput as error:
            if operation in self.non_repeatable:
                raise SubmitUnknown(self.vendor, operation, "the response cannot be read") from error
            raise

    def upload_to_storage(self, method: str, url: str, operation: str, **options: Any) -> None:
        """Send bytes to a storage URL that the vendor returned, without the vendor's credentials.

        The upload can be repeated without harm.

        Args:
            method: the HTTP method.
            url: the storage's address.
            operation: the operation's name in errors.
            options: `fields`, `files` or `content`, as in `request`.

        Raises:
            Unavailable: the storage did not accept the bytes.
            AddressBlocked: the address must not be called.
        """
        try:
            reply = self._http.request(
                method,
                url,
                vendor=self.vendor,
                operation=operation,
                headers={},
                timeout_s=TRANSFER_TIMEOUT_S,
                **options,
            )
        except SubmitUnknown as error:
            raise Unavailable(self.vendor, operation, "its storage did not respond") from error
        if not 200 <= reply.status < 300:
            raise Unavailable(self.vendor, operation, f"its storage responded with HTTP {reply.status}")


def is_page(reply: HttpResponse) -> bool:
    """Return whether a response is an HTML page, whatever type it names; PHP calls JSON `text/html`, too."""
    return bool(_PAGE.match(reply.body[:400].decode("utf-8", "replace")))


def excerpt(reply: HttpResponse) -> str:
    """Return the message of a response as one line, for an error: that in its JSON, or its beginning."""
    if is_page(reply):
        return "a web page"
    try:
        text = _message_in(decode_json(reply.body))
    except ValueError:
        text = ""
    return " ".join((text or reply.body[:400].decode("utf-8", "replace")).split())[:200]


def _message_in(answer: Any) -> str:
    """Return the message in an answer about an error, with its code; empty if it is in no usual place."""
    if isinstance(answer, list):
        return _message_in(answer[0]) if answer else ""
    if not isinstance(answer, dict):
        return ""
    if errors := answer.get("errors"):
        return _message_in(errors)
    message = answer.get("message")
    extensions = answer.get("extensions")
    code = answer.get("code") or (extensions.get("code") if isinstance(extensions, dict) else None)
    if not isinstance(message, str) or not message:
        return ""
    return f"{message} ({code})" if isinstance(code, str) else message


def basic_auth(user: str, password: str) -> str:
    """Return the value of an Authorization header for a user and password (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
