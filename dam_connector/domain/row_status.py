"""The status of a sheet's row: how far the assets of its product have come."""

from collections.abc import Collection
from enum import StrEnum

from dam_connector.domain.version import VersionState as V


class RowStatus(StrEnum):
    """The statuses, in the words that are written into a status column."""

    WAITING = "Waiting"
    GENERATING = "Generating"
    IN_REVIEW = "In review"
    GENERATED = "Generated"  # made and approved, but live in no channel
    REJECTED = "Rejected"
    PUBLISHED = "Published"  # something is live, and nothing waits for a decision
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    MAKES_NOTHING = "Makes nothing"  # no rule makes anything of its product


# The connector does nothing more for these rows until a person acts.
FINAL_STATUSES = frozenset(
    {
        RowStatus.IN_REVIEW,
        RowStatus.GENERATED,
        RowStatus.REJECTED,
        RowStatus.PUBLISHED,
        RowStatus.FAILED,
        RowStatus.CANCELLED,
        RowStatus.MAKES_NOTHING,
    }
)
# The first of these states that a version of the product has decides the status. What waits for a decision
# comes first: of five assets with one live, the row is in review.
_BY_VERSION_STATE = (
    (V.IN_REVIEW, RowStatus.IN_REVIEW),
    (V.PUBLISHED, RowStatus.PUBLISHED),
    (V.APPROVED, RowStatus.GENERATED),
    (V.REJECTED, RowStatus.REJECTED),
)


def row_status(
    *, is_generating: bool, states: Collection[str], without: RowStatus = RowStatus.FAILED
) -> RowStatus:
    """Return the status of a row that was taken.

    Args:
        is_generating: Whether a run of its product is open.
        states: The states of its product's versions.
        without: The status if none of them is usable.
    """
    if is_generating:
        return RowStatus.GENERATING
    return next((status for state, status in _BY_VERSION_STATE if state in states), without)
