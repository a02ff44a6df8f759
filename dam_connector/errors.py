"""All exceptions of the project, split by what the caller does next.

    ConnectorError
    ├── ConfigError            stop at start: settings or rules are wrong
    ├── DeliveryError          answer the webhook's sender with `status`
    ├── LoginRefused           tell the person why, and offer another try
    ├── StateConflict          the record has changed meanwhile (HTTP 409)
    │   └── ProductDeleted     the same: its product was deleted, so nothing of it goes live
    ├── InputError             an input cannot be used; `issue_code` says why
    └── AdapterError           an outside system failed
        ├── NotFound           do not retry
        │   └── FileMissing    a file that a record names is not in our storage: retry, it may be another one
        ├── Refused            do not retry
        ├── Unsupported        do not retry
        ├── BadOutput          do not retry
        ├── OutOfCredit        do not retry, park until there is credit
        ├── RateLimited        retry after `retry_after_s`
        │   └── Busy           the same: every slot is taken
        ├── Unavailable        retry with back-off
        │   └── StorageUnavailable   the same: our own database or disk; never counts as a failed try
        └── SubmitUnknown      reconcile before anything is sent again

No message carries a secret: adapters name settings, never their values.
"""

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.issue_codes import IssueCode


class ConnectorError(Exception):
    """The base class of all exceptions that this project raises on purpose."""


class ConfigError(ConnectorError):
    """Settings or rules are wrong."""

    def __init__(self, *problems: str) -> None:
        """Create the error.

        Args:
            problems: one line for each problem: its place, and a remedy.
        """
        super().__init__("\n".join(problems))
        self.problems = problems


class DeliveryError(ConnectorError):
    """A webhook is refused."""

    def __init__(self, status: int, message: str) -> None:
        """Create the error.

        Args:
            status: the HTTP status to answer with.
            message: the text to answer with.
        """
        super().__init__(message)
        self.status = status


class LoginRefused(ConnectorError):
    """A person may not log in; the message gives the reason."""


class StateConflict(ConnectorError):
    """A compare-and-set failed: the record is no longer in the state that the caller saw."""


class ProductDeleted(StateConflict):
    """A version cannot go live, since its product was deleted."""


class InputError(ConnectorError):
    """An input from a person or an outside system cannot be used."""

    def __init__(
        self, issue_code: IssueCode, message: str, *, pointer: str = "", measured: str = "", limit: str = ""
    ) -> None:
        """Create the error; the arguments are those of an `Issue`."""
        super().__init__(message)
        self.issue_code = issue_code
        self.pointer = pointer
        self.measured = measured
        self.limit = limit

    @classmethod
    def of_issue(cls, found: Issue) -> "InputError":
        """Return an issue as an error."""
        return cls(
            found.code, found.message, pointer=found.pointer, measured=found.measured, limit=found.limit
        )

    def to_issue(self) -> Issue:
        """Return the error as an issue, for a report or a product."""
        return issue(
            self.issue_code, str(self), pointer=self.pointer, measured=self.measured, limit=self.limit
        )


class AdapterError(ConnectorError):
    """A request to an outside system failed."""

    def __init__(self, vendor: str, operation: str, message: str) -> None:
        """Create the error.

        Args:
            vendor: the adapter or connection, e.g. `shopify`.
            operation: the port's method, e.g. `fetch`.
            message: the reason, without secrets.
        """
        super().__init__(f"{vendor} {operation}: {message}")
        self.vendor = vendor
        self.operation = operation
        self.reason = message


class NotFound(AdapterError):
    """The requested object does not exist."""


class FileMissing(NotFound):
    """Our storage does not have a file that a record names: maybe STORAGE_URL names another storage."""


class Refused(AdapterError):
    """The outside system understood the request and refused it."""


class Unsupported(AdapterError):
    """The adapter or the outside system has no such function."""


class BadOutput(AdapterError):
    """The answer does not have the expected content."""


class OutOfCredit(AdapterError):
    """The account at the outside system has no credit left, or a spending cap of ours is reached."""


class RateLimited(AdapterError):
    """Too many requests: retry after `retry_after_s` seconds."""

    def __init__(self, vendor: str, operation: str, message: str, *, retry_after_s: float) -> None:
        """Create the error; the first arguments are those of an `AdapterError`."""
        super().__init__(vendor, operation, message)
        self.retry_after_s = retry_after_s


class Busy(RateLimited):
    """No slot is free, or the operation is still in progress: retry after `retry_after_s` seconds.

    It is no failure, however often it occurs.
    """


class Unavailable(AdapterError):
    """The outside system is down or slow, or the connection broke: retry later."""


class StorageUnavailable(Unavailable):
    """Our own database or disk does not answer, or is full: retry later.

    It is no failure of what was tried, however often it occurs.
    """


class SubmitUnknown(AdapterError):
    """The request was sent, but no answer arrived: it may have been carried out."""


RETRYABLE = (RateLimited, Unavailable)
