"""Event and Decision: what a delivery means, whoever sent it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dam_connector.domain.product import Product


class EventKind(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


class Verdict(StrEnum):
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Approved or rejected, by whom and why."""

    verdict: Verdict
    by: str
    reasons: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The normalized meaning of (a part of) a delivery.

    `ref` is how the source names the product. `product` is what the delivery itself carried, when it carried a whole record.
    """

    kind: EventKind
    ref: str
    at: datetime
    product: Product | None = None
