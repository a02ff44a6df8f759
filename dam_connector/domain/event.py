"""Events and decisions: the meaning of a delivery, whichever system sent it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dam_connector.domain.product import Product


class EventKind(StrEnum):
    """What happened to a product in its PIM."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


class Verdict(StrEnum):
    """How a decision about a version turned out."""

    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The approval or rejection of a version."""

    verdict: Verdict
    by: str  # who decided
    reasons: tuple[str, ...] = ()  # for a rejection, from `review.reasons` of plugin.json
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The normalized meaning of a delivery, or of a part of it."""

    kind: EventKind
    ref: str  # how the source names the product
    at: datetime  # when it happened, by the source's clock
    product: Product | None = None  # the record, if the delivery carried a whole one
    problem: str = ""  # why the record cannot be used, if it cannot
