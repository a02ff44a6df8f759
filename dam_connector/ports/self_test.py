"""Optional methods of adapters that `dam-connector connection test` calls where an adapter has them."""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from dam_connector.domain.product import Product


@runtime_checkable
class ChecksRights(Protocol):
    """An adapter that can prove that its credentials may do all that it needs."""

    def check_rights(self) -> Iterator[str]:
        """Try each right, leave nothing behind, and yield a line for people after each.

        Raises:
            Refused: a right is missing; with the remedy.
            Unavailable, RateLimited: retry later.
        """
        ...


@runtime_checkable
class SendsTest(Protocol):
    """A channel that only sends: it cannot be asked for its files, and is tested by a message."""

    def send_test(self) -> str:
        """Send a message that changes nothing there; return a line for people.

        Raises:
            AdapterError: it was not accepted.
        """
        ...


@runtime_checkable
class ChecksMetadata(Protocol):
    """A DAM that can compare the option `metadata` with its own fields."""

    def check_metadata(self, products: Sequence[Product]) -> Iterator[str]:
        """Compare the fields and types, and the values of some products; yield lines for people.

        Raises:
            Refused: a field does not exist, has another type, or a value does not fit it.
            Unavailable, RateLimited: retry later.
        """
        ...


@runtime_checkable
class ChecksDecisions(Protocol):
    """A DAM that can prove that changes of state are heard, and clean up after a push that failed."""

    def check_decisions(self, ref: str) -> str:
        """Prove that a change of state that was written is heard; return a line for people.

        Args:
            ref: the reference of a version whose state was changed a moment ago.

        Raises:
            Refused: no decision would be heard; with the remedy.
            Unavailable, RateLimited: retry later.
        """
        ...

    def discard(self, external_id: str) -> None:
        """Remove all that a push which failed has left, if anything.

        Raises:
            Refused: it cannot be removed.
            Unavailable, RateLimited: retry later.
        """
        ...
