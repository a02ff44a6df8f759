"""Standing: how far a row of a sheet has come, by what became of its product's versions."""

from collections.abc import Collection
from enum import StrEnum

from dam_connector.domain.version import VersionState as V


class Standing(StrEnum):
    """In the words that a status column takes."""

    WAITING = "Waiting"
    GENERATING = "Generating"
    IN_REVIEW = "In review"
    GENERATED = "Generated"  # made and approved, but live nowhere
    REJECTED = "Rejected"
    PUBLISHED = "Published"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


SETTLED = frozenset(
    {
        Standing.IN_REVIEW,
        Standing.GENERATED,
        Standing.REJECTED,
        Standing.PUBLISHED,
        Standing.FAILED,
        Standing.CANCELLED,
    }
)


def standing(*, making: bool, states: Collection[str]) -> Standing:
    """Of a row that was taken. making: one of its runs is open. states: of its versions; no usable one means that it failed."""
    if making:
        return Standing.GENERATING
    order = (
        (V.PUBLISHED, Standing.PUBLISHED),
        (V.IN_REVIEW, Standing.IN_REVIEW),
        (V.APPROVED, Standing.GENERATED),
        (V.REJECTED, Standing.REJECTED),
    )
    return next((stands for state, stands in order if state in states), Standing.FAILED)
