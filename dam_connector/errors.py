"""Every exception of the project, split by what the caller does next.

    ConnectorError
    ├── ConfigError            stop at start: settings or rules are wrong
    ├── DeliveryError          answer the webhook's sender with `status`
    ├── StateConflict          somebody was faster (HTTP 409)
    ├── InputError             a person gave us something we cannot use; `issue_code` names it
    └── AdapterError           an outside system said no
        ├── NotFound           do not retry
        ├── Refused            do not retry
        ├── Unsupported        do not retry
        ├── BadOutput          do not retry
        ├── OutOfCredit        do not retry, park until there is credit
        ├── RateLimited        retry after `retry_after_s`
        │   └── Busy           the same: every slot is taken
        ├── Unavailable        retry with back-off
        └── SubmitUnknown      reconcile before anything is sent again

No message carries a secret: adapters name settings, never their values.
"""

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.issue_codes import IssueCode


class ConnectorError(Exception):
    """The root: catching it catches everything this project raises on purpose."""


class ConfigError(ConnectorError):
    """Settings or rules are wrong; `problems` holds one line for each, with its place and a remedy."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class DeliveryError(ConnectorError):
    """A webhook delivery is refused; `status` is the HTTP status to answer with."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class StateConflict(ConnectorError):
    """A compare-and-set lost: the record is no longer in the state the caller saw."""


class InputError(ConnectorError):
    """Input from a person or an outside system cannot be used; `issue_code` is its code in the catalog of issues."""

    def __init__(
        self, issue_code: IssueCode, message: str, *, pointer: str = "", measured: str = "", limit: str = ""
    ) -> None:
        super().__init__(message)
        self.issue_code = issue_code
        self.pointer = pointer
        self.measured = measured
        self.limit = limit

    def to_issue(self) -> Issue:
        """Return the error as an issue, for a report or a product."""
        return issue(
            self.issue_code, str(self), pointer=self.pointer, measured=self.measured, limit=self.limit
        )


class AdapterError(ConnectorError):
    """An outside system failed us: `vendor` and `operation` say which and at what."""

    def __init__(self, vendor: str, operation: str, message: str) -> None:
        super().__init__(f"{vendor} {operation}: {message}")
        self.vendor = vendor
        self.operation = operation


class NotFound(AdapterError):
    """The thing asked for is not there."""


class Refused(AdapterError):
    """The request was understood and turned down."""


class Unsupported(AdapterError):
    """The adapter or its vendor cannot do this."""


class BadOutput(AdapterError):
    """An answer came, but it is not what was asked for."""


class OutOfCredit(AdapterError):
    """The account is empty."""


class RateLimited(AdapterError):
    """Too fast: try again after `retry_after_s` seconds."""

    def __init__(self, vendor: str, operation: str, message: str, *, retry_after_s: float) -> None:
        super().__init__(vendor, operation, message)
        self.retry_after_s = retry_after_s


class Busy(RateLimited):
    """No slot is free, or what was asked for is still under way: not a failure, however often. Try again after `retry_after_s` seconds."""


class Unavailable(AdapterError):
    """Down, slow or broken on the way: try again later."""


class SubmitUnknown(AdapterError):
    """The request left, the answer did not arrive: it may have been carried out."""


RETRYABLE = (RateLimited, Unavailable)
