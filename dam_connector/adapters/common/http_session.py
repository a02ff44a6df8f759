"""The session below the HTTP client: limits on addresses, bytes, time and the number of requests.

requests and urllib3 limit neither the whole time nor the bytes before decoding, and requests reads the body
of a redirect even if it does not follow it. So the limits are where the bytes pass: each read from a
socket, each write to it and each new connection asks the exchange how much time is left. The system's
resolver of names cannot be cut; it works in a thread that nobody waits for any longer than that.
"""

import io
import ipaddress
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial
from http.client import HTTPResponse as RawResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests_hardened import Config, HTTPSession
from requests_hardened.ip_filter import InvalidIPAddress
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError

from dam_connector import __version__
from dam_connector.adapters.common.public_addresses import is_public
from dam_connector.errors import BadOutput, Busy, Unavailable

CONNECT_TIMEOUT_S = 5.0
LOOKUP_TIMEOUT_S = 10.0  # to look up a name; with its search list, a resolver may take minutes
MAX_LOOKUPS = 128  # at once, in one process; at most three quarters are of downloads
HEADER_BYTES = 131_072  # for the status line and the headers, those of `100 Continue` included
MAX_REQUESTS = 64  # at once, in one process
MAX_REQUESTS_PER_HOST = 32  # at once, in one process: as many as the broker sends to one provider
SLOT_WAIT_S = 10.0  # for one of these requests to end
_SEND_BYTES = 16_384  # one TLS record, so that one write has one timeout


Result = TypeVar("Result")


class ResponseTooLarge(BadOutput):
    """The response has more bytes than the caller allowed."""


class Exchange:
    """The limits of one exchange: a deadline, redirects included, and the size of the response."""

    def __init__(self, vendor: str, max_bytes: int, timeout_s: float, *, is_download: bool = False) -> None:
        """Start the time.

        Args:
            vendor: the name in errors.
            max_bytes: the largest body to accept, after decoding.
            timeout_s: from now until the last byte of the response.
            is_download: whether anybody may have named the host.
        """
        self.vendor, self.max_bytes, self.is_download = vendor, max_bytes, is_download
        self._deadline = time.monotonic() + timeout_s

    def left_s(self) -> float:
        """Return the seconds that are left, more than 0.

        Raises:
            Unavailable: none are left.
        """
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise self.too_late()
        return left_s

    def too_late(self) -> Unavailable:
        """Return the error of an exchange that takes too long."""
        return Unavailable(self.vendor, "get", "not finished in time")

    def check_size(self, count: int) -> None:
        """Check a number of bytes of the body, before or after decoding.

        Raises:
            ResponseTooLarge: they are more than `max_bytes`.
        """
        if count > self.max_bytes:
            raise ResponseTooLarge(self.vendor, "get", f"more than {self.max_bytes} bytes")

    @contextmanager
    def current(self) -> Iterator[None]:
        """Apply these limits to the connections and responses that this thread opens meanwhile."""
        token = _exchange.set(self)
        try:
            yield
        finally:
            _exchange.reset(token)


_exchange: ContextVar[Exchange] = ContextVar("exchange")


class Slots:
    """The requests that run at once, in total and for each host."""

    def __init__(self, total: int, per_host: int) -> None:
        """Create the slots; the arguments are the most requests that may run at once."""
        self._total, self._per_host = total, per_host
        self._used: Counter[str] = Counter()  # by host
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, host: str, vendor: str, operation: str, wait_s: float) -> Iterator[None]:
        """Hold a slot.

        Args:
            host: the host that is called.
            vendor: the name in errors.
            operation: the operation's name in errors.
            wait_s: the longest time to wait for a free slot.

        Raises:
            Busy: none became free.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._has_free(host), wait_s):
                message = f"too many requests to {host} run at once"
                raise Busy(vendor, operation, message, retry_after_s=SLOT_WAIT_S)
            self._used[host] += 1
        try:
            yield
        finally:
            with self._changed:
                self._used[host] -= 1
                self._used += Counter()  # drops the hosts without requests
                self._changed.notify_all()

    def _has_free(self, host: str) -> bool:
        return self._used[host] < self._per_host and self._used.total() < self._total


class Lookups:
    """Calls of the system's resolver, each in a thread of its own since none can be cut."""

    def __init__(self, total: int = MAX_LOOKUPS, per_host: int = MAX_REQUESTS_PER_HOST) -> None:
        """Set the most calls that may run at once."""
        self._all, self._of_downloads = Slots(total, per_host), Slots(total - total // 4, per_host)

    def run(self, host: str, call: Callable[[], Result], discard: Callable[[Result], object]) -> Result:
        """Return what a call returns that looks up a name.

        Args:
            host: the name.
            call: the call.
            discard: gets the result if it comes too late.

        Raises:
            TimeoutError: it takes too long. The call goes on without anybody waiting for it.
            Busy: too many such calls run.
        """
        exchange, future = _exchange.get(), Future[Result]()
        with ExitStack() as held:
            for slots in (self._of_downloads, self._all) if exchange.is_download else (self._all,):
                wait_s = min(SLOT_WAIT_S, exchange.left_s())
                held.enter_context(slots.hold(host, exchange.vendor, "lookup", wait_s))
            arguments = (future, call, discard, held.pop_all())
            threading.Thread(target=_fill, args=arguments, daemon=True).start()
        try:
            return future.result(min(LOOKUP_TIMEOUT_S, exchange.left_s()))
        except TimeoutError:
            if future.cancel() or not future.done():
                raise
            return future.result(0)


def _fill(
    future: Future[Result], call: Callable[[], Result], discard: Callable[[Result], object], held: ExitStack
) -> None:
    """Put the result of a call into a future; discard it if nobody waits any more."""
    with held:
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 (raised where somebody waits)
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
            return
        if future.set_running_or_notify_cancel():
            future.set_result(result)
        else:
            discard(result)


lookups = Lookups()


class _LimitedReads(io.RawIOBase):
    """The bytes of one response as they arrive, with the limits of an exchange."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, exchange: Exchange) -> None:
        self._raw, self._sock, self._exchange = raw, sock, exchange
        self._count, self._in_headers = 0, True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._exchange.left_s())
        try:
            count = self._raw.readinto(buffer)
        except TimeoutError as error:
            raise self._exchange.too_late() from error
        self._count += count or 0
        if self._in_headers and self._count > HEADER_BYTES:
            raise ResponseTooLarge(self._exchange.vendor, "get", f"headers of more than {HEADER_BYTES} bytes")
        # Chunks have sizes and trailers, which may be as long as the body, and no longer.
        self._exchange.check_size((self._count - HEADER_BYTES) // 2)
        return count

    def end_headers(self) -> None:
        self._in_headers = False

    def close(self) -> None:
        self._raw.close()
        super().close()


class _LimitedResponse(RawResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._reads = _LimitedReads(self.fp.detach(), sock, _exchange.get())
        self.fp = io.BufferedReader(self._reads)

    def begin(self) -> None:
        super().begin()
        self._reads.end_headers()


class _LimitedConnection(HTTPConnection):
    response_class = _LimitedResponse

    def _new_conn(self) -> socket.socket:
        exchange = _exchange.get()
        try:
            self.timeout = min(CONNECT_TIMEOUT_S, exchange.left_s())
            connect = super()._new_conn
            sock: socket.socket = (
                connect() if _is_address(self.host) else lookups.run(self.host, connect, socket.socket.close)
            )
            sock.settimeout(exchange.left_s())  # for the TLS handshake
        except (Unavailable, TimeoutError) as error:  # urllib3's own error says that nothing was sent
            raise ConnectTimeoutError(self, "no time is left") from error
        return sock

    def send(self, data: Any) -> None:
        exchange, view = _exchange.get(), memoryview(data)
        for start in range(0, len(view), _SEND_BYTES):
            if self.sock is not None:
                self.sock.settimeout(exchange.left_s())
            super().send(view[start : start + _SEND_BYTES])


class _LimitedTlsConnection(_LimitedConnection, HTTPSConnection):
    pass


class _LimitedPool(HTTPConnectionPool):
    ConnectionCls = _LimitedConnection


class _LimitedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _LimitedTlsConnection


_POOLS = {"http": _LimitedPool, "https": _LimitedTlsPool}


class _LimitedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class _GuardedAdapter(_LimitedAdapter, IPFilterAdapter):  # type: ignore[misc]
    def build_connection_pool_key_attributes(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        look_up = partial(super().build_connection_pool_key_attributes, request, *args, **kwargs)
        name = urlsplit(request.url).hostname or ""
        try:
            host, options = look_up() if _is_address(name) else lookups.run(name, look_up, lambda _: None)
        except TimeoutError as error:
            raise requests.exceptions.ConnectTimeout("the name was not found in time") from error
        if not is_public(address := str(host["host"]).strip("[]")):
            raise InvalidIPAddress(address)
        return host, options


class LimitedSession(HTTPSession):  # type: ignore[misc]
    """A session without redirects, cookies or credentials, for requests within `Exchange.current`."""

    def __init__(self, *, guard: bool) -> None:
        """Create a session.

        Args:
            guard: whether to refuse addresses that are not public.
        """
        super().__init__(
            Config(
                default_timeout=(CONNECT_TIMEOUT_S, 30.0),
                never_redirect=True,
                ip_filter_enable=guard,
                ip_filter_allow_loopback_ips=False,
                user_agent_override=f"dam-connector/{__version__}",
            )
        )
        for scheme in ("http", "https"):
            self.mount(f"{scheme}://", _GuardedAdapter(scheme == "https") if guard else _LimitedAdapter())
        self.auth = _no_auth  # without it, requests looks in this machine's .netrc for every host
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def resolve_redirects(self, *args: Any, **kwargs: Any) -> Iterator[requests.Response]:
        """Resolve nothing: requests would read the redirect's body whole, even if it does not follow it."""
        return iter(())


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
