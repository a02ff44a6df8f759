"""Where the work that is done now came from: the address of a request, and the delivery that began it all."""

from contextvars import ContextVar

request_address: ContextVar[str] = ContextVar("request_address", default="")  # empty: no request
# The id of the delivery or run whose work this is. Runs that are planned meanwhile keep it, and so does each
# line of the log. Empty: the run itself is the beginning.
work_origin: ContextVar[str] = ContextVar("work_origin", default="")
