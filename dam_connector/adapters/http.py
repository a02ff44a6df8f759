"""The outgoing HTTP client, with limits on addresses, ports, sizes, time and the number of requests.

requests-hardened resolves a host name once and connects to the address that it checked. The session of
`common.http_session` limits the bytes and the time of an exchange. This module follows redirects itself, so
that each address is checked and no redirect's body is read.
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests_hardened.ip_filter import InvalidIPAddress

from dam_connector.adapters.common import http_session
from dam_connector.adapters.common.http_errors import (
    AddressBlocked,
    broken_off,
    not_sent,
    raise_for_status,
    request_error,
    response_lost,
    retry_after_s,
)
from dam_connector.adapters.common.http_session import Exchange, LimitedSession, ResponseTooLarge, Slots
from dam_connector.adapters.common.pace import NO_PACE
from dam_connector.adapters.common.request_outcomes import ignore_request, observed
from dam_connector.domain.outside_values import decode_json, parse_integer
from dam_connector.errors import BadOutput, Refused, Unavailable

__all__ = ["AddressBlocked", "FormPart", "HttpClient", "HttpResponse", "ResponseTooLarge"]

MAX_REDIRECTS = 5
PUBLIC_PORTS = (80, 443, 8080, 8443)  # of hosts that neither the settings nor a connection name
MAX_RESPONSE_BYTES = 4_194_304  # unless the caller asks for another limit
# Failures while a body arrives. urllib3 and http.client raise e.g. ValueError for a chunk of -5 bytes.
_READ_ERRORS = (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError)
_CHUNK_BYTES = 65_536

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
            found = decode_json(self.body)
        except ValueError as error:
            raise BadOutput(vendor, operation, f"HTTP {self.status} without JSON") from error
        if not isinstance(found, dict):
            raise BadOutput(vendor, operation, f"HTTP {self.status} with JSON that is not an object")
        return found

    def retry_after_s(self, default: float) -> float:
        """Return the seconds in the header Retry-After, or the default."""
        return retry_after_s(self.headers, default)


class HttpClient:
    """Sends requests to public addresses, and to the private hosts that the settings allow."""

    def __init__(
        self,
        allowed_hosts: frozenset[str] = frozenset(),
        *,
        timeout_s: float = 30,
        max_requests: int = http_session.MAX_REQUESTS,
        max_requests_per_host: int = http_session.MAX_REQUESTS_PER_HOST,
        slot_wait_s: float = http_session.SLOT_WAIT_S,
    ) -> None:
        """Create a client.

        Args:
            allowed_hosts: `host` or `host:port`, which may be in private networks and have any port.
            timeout_s: for each request as a whole, unless the caller gives another.
            max_requests: the most requests that may run at once; at most three quarters are downloads.
            max_requests_per_host: the most requests to one host that may run at once.
            slot_wait_s: the longest time to wait for one of these to end.
        """
        self._allowed, self.timeout_s, self._slot_wait_s = allowed_hosts, timeout_s, slot_wait_s
        # wiring.py replaces both
        self.on_request, self.pace = ignore_request, NO_PACE
        self._slots = Slots(max_requests, max_requests_per_host)
        # Anybody's host may be named for a download. Slow ones must not keep us from our own systems.
        self._download_slots = Slots(max_requests - max_requests // 4, max_requests_per_host)
        self._own_ports: set[tuple[str, int]] = set()  # host and port, of connections in plugin.json
        self._sessions = threading.local()  # for GET requests, one session a thread and kind
        self._check: ContextVar[Callable[[], None] | None] = ContextVar("check", default=None)

    def allow_port(self, url: str) -> None:
        """Allow the port of an address that an admin configured; the address itself is still checked."""
        try:
            parts = urlsplit(url)
            self._own_ports.add((parts.hostname or "", _port(parts.scheme, parts.port)))
        except ValueError:
            return  # the first request reports it

    @contextmanager
    def checked(self, check: Callable[[], None]) -> Iterator[None]:
        """Call `check` before each request of this thread until the block ends.

        It raises when this thread may send nothing more, e.g. since its lease was taken over.
        """
        token = self._check.set(check)
        try:
            yield
        finally:
            self._check.reset(token)

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
            Busy: too many requests run at once.
            ResponseTooLarge: more than `max_bytes`.
        """
        exchange = Exchange(vendor, max_bytes, self.timeout_s, is_download=True)
        with observed(self.on_request, vendor), self._get_final(url, exchange) as response:
            return _read(response, exchange)

    def get_first_bytes(self, url: str, *, count: int, timeout_s: float, vendor: str = "web") -> bytes:
        """Download the first bytes of a file, e.g. to recognise its type; raise as `get` does.

        Args:
            url: the address.
            count: how many bytes; fewer are returned if the file, or its first part, is shorter.
            timeout_s: for the whole request.
            vendor: the name in errors.
        """
        with self._get_final(url, Exchange(vendor, count, timeout_s, is_download=True)) as response:
            try:
                return next(response.iter_content(count), b"")[:count]
            except _READ_ERRORS as error:
                raise broken_off(vendor, error) from error

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
            Busy: too many requests run at once, or the host wants a pause; nothing was sent.
            Unavailable: nothing was sent, or a GET got no complete response.
            SubmitUnknown: another request was sent and got no complete response; it may have taken effect.
            ResponseTooLarge: the response to a GET is larger than `max_bytes`.
        """
        body: dict[str, Any] = {"files": list(files) or None, "json": json}
        body["data"] = content if content is not None else dict(fields) if fields else None
        host, guard = self._check_address(url, vendor)
        address = urlsplit(url).netloc.rpartition("@")[2].lower()
        slot = self._slots.hold(host, vendor, operation, self._slot_wait_s)
        with observed(self.on_request, vendor) as note, slot:
            self.pace.wait(address, vendor, operation)
            exchange = Exchange(vendor, max_bytes, timeout_s or self.timeout_s)
            try:
                with self._session_for(method, guard) as session:
                    response = note(_exchange(session, exchange, method, url, headers=dict(headers), **body))
                    self.pace.note(address, response.status, response.retry_after_s(0))
                    return response
            except ResponseTooLarge as error:
                if method == "GET":
                    raise
                raise response_lost(vendor, operation) from error
            except (*_READ_ERRORS, InvalidIPAddress, Unavailable) as error:
                raise request_error(error, method, vendor, operation) from error

    def _session_for(self, method: str, guard: bool) -> AbstractContextManager[LimitedSession]:
        """Return the thread's session for GET requests, and a new one for all others.

        If the other side is closing a reused connection, it is unknown whether the request arrived. So a
        request that may cost money opens a connection of its own.
        """
        if method != "GET":
            return LimitedSession(guard=guard)
        name = "guarded" if guard else "unguarded"
        session: LimitedSession | None = getattr(self._sessions, name, None)
        if session is None:
            session = LimitedSession(guard=guard)
            setattr(self._sessions, name, session)
        return nullcontext(session)

    @contextmanager
    def _get_final(self, url: str, exchange: Exchange) -> Iterator[requests.Response]:
        """Follow redirects; yield the good response, whose body is still to be read."""
        vendor, url = exchange.vendor, _clean_url(url)
        for _ in range(MAX_REDIRECTS + 1):
            host, guard = self._check_address(url, vendor)
            with self._hold_download(host, exchange), _send_get(url, guard, exchange) as response:
                if response.is_redirect:
                    url = _redirect_url(url, response, vendor)
                    continue
                raise_for_status(response, vendor)
                yield response
                return
        raise Refused(vendor, "get", f"more than {MAX_REDIRECTS} redirects")

    @contextmanager
    def _hold_download(self, host: str, exchange: Exchange) -> Iterator[None]:
        wait_s = min(self._slot_wait_s, exchange.left_s())
        with self._download_slots.hold(host, exchange.vendor, "get", wait_s):
            with self._slots.hold(host, exchange.vendor, "get", wait_s):
                yield

    def _check_address(self, url: str, vendor: str) -> tuple[str, bool]:
        """Check all of a URL but the host's address; return the host and whether to check that, too.

        It is the begin of each request, and so calls the check of `checked`.
        """
        if check := self._check.get():
            check()
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", _port(parts.scheme, parts.port)
        except ValueError as error:
            raise AddressBlocked(vendor, "get", "not a usable address") from error
        if (
            parts.scheme not in ("http", "https")
            or not host
            or parts.username
            or re.search(r"[\x00-\x20\x7f]", url)
        ):
            raise AddressBlocked(vendor, "get", "not a public http or https address")
        if {host, f"{host}:{port}"} & self._allowed:
            return host, False
        if port not in PUBLIC_PORTS and (host, port) not in self._own_ports:
            raise AddressBlocked(
                vendor,
                "get",
                f"port {port} is not one of the web",
                admin=f"DAM_CONNECTOR_ALLOW_HOSTS={host}:{port} allows it",
            )
        return host, True


def _port(scheme: str, port: int | None) -> int:
    return (443 if scheme == "https" else 80) if port is None else port


def _exchange(
    session: LimitedSession, exchange: Exchange, method: str, url: str, **options: Any
) -> HttpResponse:
    """Send a request and read its response."""
    with exchange.current():
        sent = session.request(method, url, stream=True, timeout=exchange.left_s(), **options)
    with sent as response:
        return HttpResponse(
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=b"" if response.is_redirect else _read(response, exchange),
        )


def _send_get(url: str, guard: bool, exchange: Exchange) -> requests.Response:
    vendor = exchange.vendor
    try:
        with LimitedSession(guard=guard) as session, exchange.current():
            return session.get(url, stream=True, timeout=exchange.left_s())  # type: ignore[no-any-return]
    except (InvalidIPAddress, requests.exceptions.ConnectionError) as error:
        raise not_sent(error, vendor, "get") from error
    except requests.exceptions.Timeout as error:
        raise Unavailable(vendor, "get", "no response in time") from error
    except (requests.exceptions.RequestException, ValueError) as error:
        raise AddressBlocked(vendor, "get", f"not a usable address ({type(error).__name__})") from error


def _read(response: requests.Response, exchange: Exchange) -> bytes:
    chunks, size = [], 0
    try:
        for chunk in response.iter_content(_CHUNK_BYTES):
            size += len(chunk)
            exchange.check_size(size)
            exchange.left_s()
            chunks.append(chunk)
    except _READ_ERRORS as error:
        raise broken_off(exchange.vendor, error) from error
    expected = parse_integer(response.headers.get("content-length"))
    if expected not in (None, size) and "content-encoding" not in response.headers:
        raise Unavailable(exchange.vendor, "get", f"only {size} of {expected} bytes arrived")
    return b"".join(chunks)


def _clean_url(url: str) -> str:
    """Return an address as people mean it: without blanks at its ends, and with those inside encoded."""
    return url.strip(" \t\r\n\u00a0\ufeff").replace(" ", "%20")


def _utf8(header: str) -> str:
    """Return a header's text in UTF-8, if it is; http.client reads all headers as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def _redirect_url(url: str, response: requests.Response, vendor: str) -> str:
    try:
        return urljoin(url, _clean_url(_utf8(response.headers["location"])))
    except ValueError as error:
        raise AddressBlocked(vendor, "get", "the redirect names no usable address") from error
