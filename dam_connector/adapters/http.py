"""The outgoing HTTP client, with limits on addresses, sizes and time.

requests-hardened resolves a host name once and connects to the address that it checked. This module adds
three things: it follows redirects itself, so that each address is checked; it counts bytes after
decompression; and it sets a deadline for the whole exchange, not only between two reads.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests_hardened import Config, Manager
from requests_hardened.ip_filter import InvalidIPAddress

from dam_connector import __version__
from dam_connector.domain.outside_values import parse_integer
from dam_connector.errors import BadOutput, NotFound, RateLimited, Refused, SubmitUnknown, Unavailable

MAX_REDIRECTS = 5
CONNECT_TIMEOUT_S = 5.0
MAX_RESPONSE_BYTES = 4_194_304  # unless the caller asks for another limit
DEFAULT_RETRY_AFTER_S = 30.0  # when a 429 names no time
MAX_RETRY_AFTER_S = 86_400  # a longer time in Retry-After is not believed
# Failures while a body arrives. urllib3 and http.client raise e.g. ValueError for a chunk of -5 bytes.
_READ_ERRORS = (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError)
_CHUNK_BYTES = 65_536
_RETRY_STATUS = (408, 425, 500, 502, 503, 504)

FormPart = tuple[str, tuple[str, bytes, str]]  # form field name; the file's name, bytes and media type


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A response with any status."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self, vendor: str, operation: str) -> dict[str, Any]:
        """Parse the body as a JSON object.

        Raises:
            BadOutput: the body is not JSON, or not an object.
        """
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise BadOutput(vendor, operation, f"HTTP {self.status} without JSON") from error
        if not isinstance(found, dict):
            raise BadOutput(vendor, operation, f"HTTP {self.status} with JSON that is not an object")
        return found

    def retry_after_s(self, default: float) -> float:
        """Return the seconds in the header Retry-After, or the default."""
        return _retry_after_s(self.headers, default)


class ResponseTooLarge(BadOutput):
    """The response has more bytes than the caller allowed."""


class AddressBlocked(Refused):
    """The address must not be called: it is malformed, or in a private network."""


class HttpClient:
    """Sends requests to public addresses, and to the private hosts that the settings allow."""

    def __init__(
        self,
        allowed_hosts: frozenset[str] = frozenset(),
        *,
        timeout_s: float = 30,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create a client.

        Args:
            allowed_hosts: `host` or `host:port`, which may be in private networks.
            timeout_s: for each request as a whole, unless the caller gives another.
            monotonic: the clock for deadlines, in seconds.
        """
        self._allowed, self.timeout_s, self._monotonic = allowed_hosts, timeout_s, monotonic
        self._guarded, self._unguarded = _manager(guard=True), _manager(guard=False)
        self._sessions = threading.local()  # for GET requests, one session a thread and manager

    def get(self, url: str, *, max_bytes: int, vendor: str = "web") -> bytes:
        """Download a file without credentials, and follow redirects.

        Args:
            url: the address.
            max_bytes: the largest body to accept.
            vendor: the name in errors.

        Raises:
            AddressBlocked: the address or a redirect must not be called.
            NotFound: 404 or 410.
            RateLimited: 429.
            Refused: another 4xx, or too many redirects.
            Unavailable: 5xx, no response, an incomplete one, or one that took too long.
            ResponseTooLarge: more than `max_bytes`.
        """
        with self._get_final(url, vendor, self.timeout_s) as (response, deadline):
            return self._read(response, max_bytes, deadline, vendor)

    def get_first_bytes(self, url: str, *, count: int, timeout_s: float, vendor: str = "web") -> bytes:
        """Download the first bytes of a file, e.g. to recognise its type; raise as `get` does.

        Args:
            url: the address.
            count: how many bytes; fewer are returned if the file, or its first part, is shorter.
            timeout_s: for the whole request.
            vendor: the name in errors.
        """
        with self._get_final(url, vendor, timeout_s) as (response, _):
            try:
                return next(response.iter_content(count), b"")[:count]
            except _READ_ERRORS as error:
                raise _broken_off(vendor, error) from error

    def request(
        self,
        method: str,
        url: str,
        *,
        vendor: str,
        operation: str,
        headers: Mapping[str, str],
        json: Any = None,
        fields: Mapping[str, str] | None = None,
        files: Sequence[FormPart] = (),
        content: bytes | None = None,
        max_bytes: int = MAX_RESPONSE_BYTES,
        timeout_s: float = 0,
    ) -> HttpResponse:
        """Send a request and return the response, whatever its status.

        Redirects are not followed, so that credentials reach no other host.

        Args:
            method: the HTTP method.
            url: the address.
            vendor: the name in errors.
            operation: the operation's name in errors, e.g. "publish".
            headers: the request's headers.
            json: a body to send as JSON.
            fields: the fields of a form.
            files: the files of a form.
            content: a body to send as it is.
            max_bytes: the largest response body to accept.
            timeout_s: for the whole exchange; 0: the client's own.

        Raises:
            AddressBlocked: the address must not be called.
            Unavailable: nothing was sent, or a GET got no complete response.
            SubmitUnknown: another request was sent and got no complete response; it may have taken effect.
            ResponseTooLarge: the response to a GET is larger than `max_bytes`.
        """
        body: dict[str, Any] = {
            "data": content if content is not None else dict(fields) if fields else None,
            "files": list(files) or None,
            "json": json,
        }
        session = self._session_for(method, self._manager_for(url, vendor))
        try:
            return self._exchange(session, method, url, vendor, headers, body, max_bytes, timeout_s)
        except ResponseTooLarge as error:
            if method == "GET":
                raise
            raise _response_lost(vendor, operation) from error
        except (*_READ_ERRORS, InvalidIPAddress, Unavailable) as error:
            raise _request_error(error, method, vendor, operation) from error

    def _exchange(
        self,
        session: AbstractContextManager[requests.Session],
        method: str,
        url: str,
        vendor: str,
        headers: Mapping[str, str],
        body: Mapping[str, Any],
        max_bytes: int,
        timeout_s: float,
    ) -> HttpResponse:
        limit_s = timeout_s or self.timeout_s
        deadline = self._monotonic() + limit_s
        timeouts = (CONNECT_TIMEOUT_S, limit_s)
        with (
            session as opened,
            opened.request(
                method, url, stream=True, headers=dict(headers), timeout=timeouts, **body
            ) as response,
        ):
            return HttpResponse(
                status=response.status_code,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=self._read(response, max_bytes, deadline, vendor),
            )

    def _session_for(self, method: str, manager: Manager) -> AbstractContextManager[requests.Session]:
        """Return the thread's session for GET requests, and a new one for all others.

        If the other side is closing a reused connection, it is unknown whether the request arrived. So a
        request that may cost money opens a connection of its own.
        """
        if method != "GET":
            return self._new_session(manager)
        name = "guarded" if manager is self._guarded else "unguarded"
        session: requests.Session | None = getattr(self._sessions, name, None)
        if session is None:
            session = self._new_session(manager)
            setattr(self._sessions, name, session)
        return nullcontext(session)

    def _new_session(self, manager: Manager) -> requests.Session:
        session: requests.Session = manager.get_session()
        session.auth = _no_auth  # without it, requests looks in this machine's .netrc for every host
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        return session

    @contextmanager
    def _get_final(
        self, url: str, vendor: str, timeout_s: float
    ) -> Iterator[tuple[requests.Response, float]]:
        """Follow redirects; yield the good response, whose body is still to be read, and its deadline."""
        deadline = self._monotonic() + timeout_s
        for _ in range(MAX_REDIRECTS + 1):
            with self._send_get(url, vendor, timeout_s) as response:
                if response.is_redirect:
                    url = _redirect_url(url, response, vendor)
                    continue
                _raise_for_status(response, vendor)
                yield response, deadline
                return
        raise Refused(vendor, "get", f"more than {MAX_REDIRECTS} redirects")

    def _send_get(self, url: str, vendor: str, timeout_s: float) -> requests.Response:
        manager = self._manager_for(url, vendor)
        try:
            with self._new_session(manager) as session:
                return session.get(url, stream=True, timeout=(min(CONNECT_TIMEOUT_S, timeout_s), timeout_s))
        except (InvalidIPAddress, requests.exceptions.ConnectionError) as error:
            raise _not_sent(error, vendor, "get") from error
        except requests.exceptions.Timeout as error:
            raise Unavailable(vendor, "get", "no response in time") from error
        except (requests.exceptions.RequestException, ValueError) as error:
            raise AddressBlocked(vendor, "get", f"not a usable address ({type(error).__name__})") from error

    def _manager_for(self, url: str, vendor: str) -> Manager:
        """Return the manager without the address filter for allowed hosts, the one with it for all others."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise AddressBlocked(vendor, "get", "not a usable address") from error
        if (
            parts.scheme not in ("http", "https")
            or not host
            or parts.username
            or re.search(r"[\x00-\x20\x7f]", url)
        ):
            raise AddressBlocked(vendor, "get", "not a public http or https address")
        return self._unguarded if {host, f"{host}:{port}"} & self._allowed else self._guarded

    def _read(self, response: requests.Response, max_bytes: int, deadline: float, vendor: str) -> bytes:
        chunks, size = [], 0
        try:
            for chunk in response.iter_content(_CHUNK_BYTES):
                size += len(chunk)
                if size > max_bytes:
                    raise ResponseTooLarge(vendor, "get", f"more than {max_bytes} bytes")
                if self._monotonic() > deadline:
                    raise Unavailable(vendor, "get", "not finished in time")
                chunks.append(chunk)
        except _READ_ERRORS as error:
            raise _broken_off(vendor, error) from error
        expected = parse_integer(response.headers.get("content-length"))
        if expected not in (None, size) and "content-encoding" not in response.headers:
            raise Unavailable(vendor, "get", f"only {size} of {expected} bytes arrived")
        return b"".join(chunks)


def _redirect_url(url: str, response: requests.Response, vendor: str) -> str:
    try:
        return urljoin(url, response.headers["location"])
    except ValueError as error:
        raise AddressBlocked(vendor, "get", "the redirect names no usable address") from error


def _retry_after_s(headers: Mapping[str, str], default: float) -> float:
    seconds = parse_integer(headers.get("retry-after"))
    return default if seconds is None else float(min(seconds, MAX_RETRY_AFTER_S))


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _request_error(error: Exception, method: str, vendor: str, operation: str) -> Exception:
    """Translate a failure of `request` by whether the other side may have acted on the request."""
    unsent = isinstance(error, (InvalidIPAddress, requests.exceptions.ConnectTimeout))
    if unsent or "NewConnectionError" in repr(error) or "InvalidIPAddress" in repr(error):
        return _not_sent(error, vendor, operation)
    if method == "GET":
        return Unavailable(vendor, operation, "no complete response in time")
    return _response_lost(vendor, operation)


def _response_lost(vendor: str, operation: str) -> SubmitUnknown:
    return SubmitUnknown(vendor, operation, "the request was sent, and no complete response arrived")


def _not_sent(error: Exception, vendor: str, operation: str) -> Exception:
    if "InvalidIPAddress" in repr(error):
        return AddressBlocked(
            vendor, operation, "the address is in a private network; DAM_CONNECTOR_ALLOW_HOSTS allows it"
        )
    return Unavailable(vendor, operation, "no connection")


def _broken_off(vendor: str, error: Exception) -> Unavailable:
    return Unavailable(vendor, "get", f"the response broke off ({type(error).__name__})")


def _raise_for_status(response: requests.Response, vendor: str) -> None:
    status = response.status_code
    if status in (404, 410):
        raise NotFound(vendor, "get", f"HTTP {status}")
    if status == 429:
        wait_s = _retry_after_s(response.headers, DEFAULT_RETRY_AFTER_S)
        raise RateLimited(vendor, "get", "HTTP 429", retry_after_s=wait_s)
    if status in _RETRY_STATUS or status > 504:
        raise Unavailable(vendor, "get", f"HTTP {status}")
    if not 200 <= status < 300:
        raise Refused(vendor, "get", f"HTTP {status}")


def _manager(*, guard: bool) -> Manager:
    return Manager(
        Config(
            default_timeout=(CONNECT_TIMEOUT_S, 30.0),
            never_redirect=True,
            ip_filter_enable=guard,
            ip_filter_allow_loopback_ips=False,
            user_agent_override=f"dam-connector/{__version__}",
        )
    )
