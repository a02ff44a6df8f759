"""Failures of outgoing requests as the exceptions of `errors`, by what the caller does next."""

import socket
import ssl
from collections.abc import Iterator, Mapping

import requests
import urllib3
from requests_hardened.ip_filter import InvalidIPAddress

from dam_connector.domain.outside_values import parse_integer
from dam_connector.errors import NotFound, RateLimited, Refused, SubmitUnknown, Unavailable

DEFAULT_RETRY_AFTER_S = 30.0  # when a 429 names no time
MAX_RETRY_AFTER_S = 86_400  # a longer time in Retry-After is not believed
_RETRY_STATUS = (408, 425, 500, 502, 503, 504)
# Failures before a byte of the request was sent: no name, no connection, a wrong certificate.
_UNSENT = (
    InvalidIPAddress,
    requests.exceptions.ConnectTimeout,
    urllib3.exceptions.NewConnectionError,
    socket.gaierror,
    ssl.SSLCertVerificationError,
)
_UNUSABLE = (requests.exceptions.InvalidURL, urllib3.exceptions.LocationParseError, UnicodeError)


class AddressBlocked(Refused):
    """The address must not be called: it is malformed, in a private network, or has an unusual port."""

    def __init__(self, vendor: str, operation: str, message: str, *, admin: str = "") -> None:
        """Create the error; admin: what an admin can do about it, which `reason` leaves out."""
        super().__init__(vendor, operation, f"{message}; {admin}" if admin else message)
        self.reason = message


class UnknownHost(Unavailable):
    """The name server knows no such host: it is spelled wrongly, or does not exist yet."""


def retry_after_s(headers: Mapping[str, str], default: float) -> float:
    """Return the seconds in the header Retry-After, or the default."""
    seconds = parse_integer(headers.get("retry-after"))
    return default if seconds is None else float(min(seconds, MAX_RETRY_AFTER_S))


def request_error(error: Exception, method: str, vendor: str, operation: str) -> Exception:
    """Translate a failure of `request` by whether the other side may have acted on the request."""
    causes = list(_causes(error))
    if any(isinstance(cause, _UNUSABLE) for cause in causes):
        return AddressBlocked(vendor, operation, f"not a usable address ({type(error).__name__})")
    if any(isinstance(cause, _UNSENT) for cause in causes):
        return not_sent(error, vendor, operation)
    if method == "GET":
        return Unavailable(vendor, operation, "no complete response in time")
    return response_lost(vendor, operation)


def _causes(error: object) -> Iterator[BaseException]:
    """Yield an error and those that it wraps; requests and urllib3 wrap in their arguments, too."""
    if isinstance(error, BaseException):
        yield error
        for cause in (error.__cause__, getattr(error, "reason", None), *error.args[:1]):
            yield from _causes(cause)


def response_lost(vendor: str, operation: str) -> SubmitUnknown:
    """Return the error of a request whose fate is unknown."""
    return SubmitUnknown(vendor, operation, "the request was sent, and no complete response arrived")


def not_sent(error: Exception, vendor: str, operation: str) -> Exception:
    """Return the error of a request that never reached the other side."""
    if any(isinstance(cause, InvalidIPAddress) for cause in _causes(error)):
        reason = "the address is in a private network"
        return AddressBlocked(vendor, operation, reason, admin="DAM_CONNECTOR_ALLOW_HOSTS allows it")
    if any(isinstance(cause, socket.gaierror) for cause in _causes(error)):
        return UnknownHost(vendor, operation, "no connection: the name of its host is not known")
    return Unavailable(vendor, operation, "no connection")


def broken_off(vendor: str, error: Exception) -> Unavailable:
    """Return the error of a response that ended too early."""
    return Unavailable(vendor, "get", f"the response broke off ({type(error).__name__})")


def raise_for_status(response: requests.Response, vendor: str) -> None:
    """Raise the error that a status means to the caller of `get`, if it means one."""
    status = response.status_code
    if status in (404, 410):
        raise NotFound(vendor, "get", f"HTTP {status}")
    if status == 429:
        wait_s = retry_after_s(response.headers, DEFAULT_RETRY_AFTER_S)
        raise RateLimited(vendor, "get", "HTTP 429", retry_after_s=wait_s)
    if status in _RETRY_STATUS or status > 504:
        raise Unavailable(vendor, "get", f"HTTP {status}")
    if not 200 <= status < 300:
        raise Refused(vendor, "get", f"HTTP {status}")
