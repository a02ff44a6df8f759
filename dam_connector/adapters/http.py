"""The one outgoing HTTP session: guarded against private addresses, endless answers and endless waits.

requests-hardened resolves a name once and connects to the address it checked. What it leaves open is closed here:
redirects are followed by hand so that each hop is checked, bytes are counted after decoding, the whole has a deadline.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests_hardened import Config, Manager
from requests_hardened.ip_filter import InvalidIPAddress

from dam_connector import __version__
from dam_connector.errors import BadOutput, NotFound, RateLimited, Refused, SubmitUnknown, Unavailable

MAX_REDIRECTS = 5
CONNECT_TIMEOUT_S = 5.0
MAX_RESPONSE_BYTES = 4_194_304
_CHUNK = 65_536
_RETRY_STATUS = (408, 425, 500, 502, 503, 504)

FormPart = tuple[str, tuple[str, bytes, str]]  # of a form: the field's name; the file's name, bytes and type


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """What came back: a 2xx status, and the body whole."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """A vendor's answer: header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self, vendor: str, operation: str) -> dict[str, Any]:
        """The body as a JSON object. Raises: BadOutput."""
        try:
            found = json.loads(self.body)
        except ValueError as error:
            raise BadOutput(vendor, operation, f"HTTP {self.status} without JSON") from error
        if not isinstance(found, dict):
            raise BadOutput(vendor, operation, f"HTTP {self.status} with something else than an object")
        return found

    def retry_after_s(self, default: float) -> float:
        """How long to wait, by Retry-After."""
        after = self.headers.get("retry-after", "")
        return float(after) if after.isdigit() else default


class ResponseTooLarge(BadOutput):
    """More bytes came than were asked for."""


class AddressBlocked(Refused):
    """The address is one we do not talk to."""


class HttpClient:
    """Outgoing requests. `allowed_hosts` (`host` or `host:port`) may be in private networks; nothing else may. timeout_s: for each."""

    def __init__(
        self,
        allowed_hosts: frozenset[str] = frozenset(),
        *,
        timeout_s: float = 30,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowed, self.timeout_s, self._monotonic = allowed_hosts, timeout_s, monotonic
        self._guarded, self._open = _manager(guard=True), _manager(guard=False)
        self._kept = threading.local()

    def get(
        self, url: str, *, max_bytes: int, vendor: str = "web", headers: dict[str, str] | None = None
    ) -> Download:
        """The answer to a GET.

        Raises: Blocked, NotFound, Refused (other 4xx), RateLimited, Unavailable (5xx, no answer, too slow), TooLarge, BadOutput (half an answer).
        """
        with self._followed(url, vendor, headers, self.timeout_s) as (response, deadline):
            body = self._read(response, max_bytes, deadline, vendor)
            return Download(
                status=response.status_code, content_type=response.headers.get("content-type", ""), body=body
            )

    def get_first_bytes(self, url: str, *, count: int, timeout_s: float, vendor: str = "web") -> bytes:
        """The first bytes of the answer to a GET; the rest is not waited for. Raises: as `get`."""
        with self._followed(url, vendor, None, timeout_s) as (response, _):
            try:
                return next(response.iter_content(count), b"")[:count]
            except requests.exceptions.RequestException as error:
                raise Unavailable(vendor, "get", f"the answer broke off ({type(error).__name__})") from error

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
        """A vendor's reply, whatever its status; redirects are not followed, so that credentials go nowhere else.

        json, content: the body; or fields and files: those of a form. timeout_s: for all of it, where the usual is too short.

        Raises: Unavailable when nothing was sent, or a GET was not answered; SubmitUnknown when anything else was sent and not
        answered; Blocked.
        """
        most_s = timeout_s or self.timeout_s
        deadline = self._monotonic() + most_s
        opened = self._session_for(method, self._manager_for(url, vendor))
        form: dict[str, Any] = {
            "data": content if content is not None else dict(fields) if fields else None,
            "files": list(files) or None,
        }
        try:
            with (
                opened as session,
                session.request(
                    method,
                    url,
                    stream=True,
                    headers=dict(headers),
                    json=json,
                    timeout=(CONNECT_TIMEOUT_S, most_s),
                    **form,
                ) as response,
            ):
                body = self._read(response, max_bytes, deadline, vendor)
                return HttpResponse(
                    status=response.status_code,
                    headers={k.lower(): v for k, v in response.headers.items()},
                    body=body,
                )
        except (InvalidIPAddress, requests.exceptions.ConnectTimeout) as error:
            raise self._not_sent(error, vendor, operation) from error
        except (requests.exceptions.RequestException, Unavailable, ResponseTooLarge) as error:
            if "NewConnectionError" in repr(error) or "InvalidIPAddress" in repr(error):
                raise self._not_sent(error, vendor, operation) from error
            if method == "GET":
                if isinstance(error, ResponseTooLarge):
                    raise
                raise Unavailable(vendor, operation, "no answer in time, or half of one") from error
            raise SubmitUnknown(vendor, operation, "it was sent, and the answer did not arrive") from error

    def _session_for(self, method: str, manager: Manager) -> AbstractContextManager[requests.Session]:
        """Looks share a connection, a session a thread. Whatever may cost money opens its own: one that the other side was closing just
        then would leave open whether the request arrived."""
        if method != "GET":
            return self._fresh(manager)
        name = "open" if manager is self._open else "guarded"
        session: requests.Session | None = getattr(self._kept, name, None)
        if session is None:
            session = self._fresh(manager)
            setattr(self._kept, name, session)
        return nullcontext(session)

    def _fresh(self, manager: Manager) -> requests.Session:
        session: requests.Session = manager.get_session()
        session.auth = _no_auth  # else a .netrc on this machine is asked for every host
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        return session

    def _not_sent(self, error: Exception, vendor: str, operation: str) -> Exception:
        if "InvalidIPAddress" in repr(error):
            return AddressBlocked(
                vendor, operation, "the address is in a private network; DAM_CONNECTOR_ALLOW_HOSTS allows it"
            )
        return Unavailable(vendor, operation, "no connection")

    @contextmanager
    def _followed(
        self, url: str, vendor: str, headers: dict[str, str] | None, timeout_s: float
    ) -> Iterator[tuple[requests.Response, float]]:
        """A good answer whose body is still to be read, behind its redirects; and until when."""
        deadline = self._monotonic() + timeout_s
        for _ in range(MAX_REDIRECTS + 1):
            with self._send(url, vendor, headers, timeout_s) as response:
                if response.is_redirect:
                    url = urljoin(url, response.headers["location"])
                    continue
                _raise_for_status(response, vendor)
                yield response, deadline
                return
        raise Refused(vendor, "get", f"more than {MAX_REDIRECTS} redirects")

    def _send(
        self, url: str, vendor: str, headers: dict[str, str] | None, timeout_s: float
    ) -> requests.Response:
        manager = self._manager_for(url, vendor)
        try:
            with self._fresh(manager) as session:
                return session.get(
                    url, stream=True, headers=headers, timeout=(min(CONNECT_TIMEOUT_S, timeout_s), timeout_s)
                )
        except (InvalidIPAddress, requests.exceptions.ConnectionError) as error:
            raise self._not_sent(error, vendor, "get") from error
        except requests.exceptions.Timeout as error:
            raise Unavailable(vendor, "get", "no answer in time") from error
        except (requests.exceptions.RequestException, ValueError) as error:
            raise AddressBlocked(vendor, "get", f"not a usable address ({type(error).__name__})") from error

    def _manager_for(self, url: str, vendor: str) -> Manager:
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
        return self._open if {host, f"{host}:{port}"} & self._allowed else self._guarded

    def _read(self, response: requests.Response, max_bytes: int, deadline: float, vendor: str) -> bytes:
        parts, size = [], 0
        try:
            for chunk in response.iter_content(_CHUNK):
                size += len(chunk)
                if size > max_bytes:
                    raise ResponseTooLarge(vendor, "get", f"more than {max_bytes} bytes")
                if self._monotonic() > deadline:
                    raise Unavailable(vendor, "get", "not finished in time")
                parts.append(chunk)
        except requests.exceptions.RequestException as error:
            raise Unavailable(vendor, "get", f"the answer broke off ({type(error).__name__})") from error
        expected = response.headers.get("content-length", "")
        if expected.isdigit() and "content-encoding" not in response.headers and size != int(expected):
            raise Unavailable(vendor, "get", f"{size} of {expected} bytes came")
        return b"".join(parts)


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _raise_for_status(response: requests.Response, vendor: str) -> None:
    status = response.status_code
    if status in (404, 410):
        raise NotFound(vendor, "get", f"HTTP {status}")
    if status == 429:
        after = response.headers.get("retry-after", "")
        raise RateLimited(vendor, "get", "HTTP 429", retry_after_s=float(after) if after.isdigit() else 30.0)
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
