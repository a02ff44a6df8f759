"""The records of batches: states, rows as they are added and as they are stored, progress."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from dam_connector.domain.issue import Issue
from dam_connector.domain.product import Product


def taken_text(name: str) -> str:
    """Return for people that a batch has a name already."""
    return f"there is a batch “{name}” already: choose another name"


class BatchState(StrEnum):
    """How a batch is now."""

    STORING = "storing"  # its rows are being stored; nobody sees it, and it has no name yet
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"  # every row was taken; their runs may still be open


class RowState(StrEnum):
    """How a row of a batch is now."""

    WAITING = "waiting"
    TAKEN = "taken"  # its product was stored and its runs were planned
    UNCHANGED = "unchanged"  # everything that it asks for was made before
    MAKES_NOTHING = "makes_nothing"  # its product is good, and no rule makes anything of it
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatchRow:
    """A row to be stored."""

    line: int  # its line in the sheet
    sku: str
    cells: Mapping[str, str]  # as uploaded, by column
    # With the pictures that stay although the row does not name them. None: the row is invalid, see `error`.
    product: Product | None
    state: RowState
    error: str = ""
    codes: tuple[str, ...] = ()  # of the issues that `error` describes
    notes: tuple[str, ...] = ()  # what was left out or may be meant otherwise; not stored
    as_read: Product | None = None  # the product as the row alone says it, which is stored; None: `product`
    gone: tuple[str, ...] = ()  # the pictures that its product loses, for people; not stored
    staying: tuple[str, ...] = ()  # the columns whose cells are empty, so that a picture stays; not stored
    emptied: tuple[str, ...] = ()  # the facts that its product loses; not stored
    lacking: tuple[Issue, ...] = ()  # of deliverables that need a photo of another view; not stored


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """A row as stored."""

    id: str
    line: int  # its line in the sheet
    sku: str
    state: RowState
    cells: Mapping[str, str]  # as uploaded, by column
    # As the row alone says it, see `unnamed_pictures`. None: the row is invalid.
    product: Product | None
    error: str


class RowWithProduct(NamedTuple):
    """A row of a product, without its facts."""

    id: str
    sku: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One bulk upload."""

    id: str
    name: str
    owner: str  # the user who uploaded it
    state: BatchState
    created_at: datetime
    columns: tuple[str, ...]  # the sheet's own header
    delimiter: str = ","  # between the cells of the sheet, if it was CSV
    iteration: int = 0  # how often rows were taken from it

    @property
    def wake_token(self) -> str:
        """Return the argument of the batch's next job.

        Of several jobs for one iteration, the first one runs.
        """
        return f"{self.id}~{self.iteration}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProgress:
    """How many rows of a batch are in which status; each row counts once."""

    waiting: int
    generating: int
    in_review: int
    live: int
    failed: int
    cancelled: int
    makes_nothing: int = 0

    @property
    def total(self) -> int:
        """Return the number of rows."""
        over = self.in_review + self.live + self.failed + self.cancelled + self.makes_nothing
        return self.in_progress + over

    @property
    def in_progress(self) -> int:
        """Return how many rows the connector still works on."""
        return self.waiting + self.generating
