"""The address from which the request that is handled now came. History and audit entries record it."""

from contextvars import ContextVar

request_address: ContextVar[str] = ContextVar("request_address", default="")  # empty: no request
