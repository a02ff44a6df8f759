"""Notifications: who is told of which events, by webhook, chat or e-mail."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dam_connector.domain.categories import is_among


class NotifyEvent(StrEnum):
    """The events that notifications tell of."""

    IN_REVIEW = "version.in_review"
    BLOCKED = "version.blocked"
    APPROVED = "version.approved"
    STAGE_APPROVED = "version.stage_approved"
    REJECTED = "version.rejected"
    UNDONE = "version.undone"
    PUBLISHED = "version.published"
    ROLLED_BACK = "version.rolled_back"
    WITHDRAWN = "version.withdrawn"
    COMMENTED = "version.commented"
    OVERDUE = "review.overdue"
    RUN_FAILED = "run.failed"
    BATCH_DONE = "batch.done"
    SPEND_NEARLY_USED = "spend.nearly_used"


MEANINGS: Mapping[NotifyEvent, str] = {
    NotifyEvent.IN_REVIEW: "is in review",
    NotifyEvent.BLOCKED: "is blocked by its report",
    NotifyEvent.APPROVED: "was approved",
    NotifyEvent.STAGE_APPROVED: "was approved by a stage; the next one is asked",
    NotifyEvent.REJECTED: "was rejected",
    NotifyEvent.UNDONE: "is in review again: a decision was undone",
    NotifyEvent.PUBLISHED: "is live",
    NotifyEvent.ROLLED_BACK: "goes live again",
    NotifyEvent.WITHDRAWN: "is removed from all channels",
    NotifyEvent.COMMENTED: "has a new comment",
    NotifyEvent.OVERDUE: "waits for a decision too long",
    NotifyEvent.RUN_FAILED: "could not be made",
    NotifyEvent.BATCH_DONE: "is taken in",
    NotifyEvent.SPEND_NEARLY_USED: "has nearly used a cap",
}
# The events of the history, by their names there.
HISTORY_EVENTS: Mapping[str, NotifyEvent] = {
    "in_review": NotifyEvent.IN_REVIEW,
    "blocked": NotifyEvent.BLOCKED,
    "approved": NotifyEvent.APPROVED,
    "stage_approved": NotifyEvent.STAGE_APPROVED,
    "rejected": NotifyEvent.REJECTED,
    "undone": NotifyEvent.UNDONE,
    "published": NotifyEvent.PUBLISHED,
    "rolled_back": NotifyEvent.ROLLED_BACK,
    "withdrawn": NotifyEvent.WITHDRAWN,
    "comment": NotifyEvent.COMMENTED,
    "budget": NotifyEvent.SPEND_NEARLY_USED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyTarget:
    """One receiver of messages, each as soon as its event is stored."""

    kind: str  # webhook, slack or teams
    url: str  # of a webhook; `env/NAME` of a chat, whose address is a secret
    secret: str = ""  # of a webhook: a reference to the signing secret
    events: tuple[str, ...] = ()  # empty: all
    categories: tuple[str, ...] = ()  # of products; empty: all

    def wants(self, event: str, category: str) -> bool:
        """Return True if it is told of an event."""
        return (not self.events or event in self.events) and (
            not self.categories or is_among(category, self.categories)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestRules:
    """The e-mails about what waits for a decision."""

    smtp: str  # a reference to smtp://USER:PASSWORD@HOST:PORT or smtps://...
    sender: str
    addresses: Mapping[str, str]  # by the owner's name in `review.owners`; `*`: what has no owner
    every_hours: float = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyRules:
    """The block `notify` of plugin.json."""

    targets: Mapping[str, NotifyTarget] = field(default_factory=dict)  # by name
    digest: DigestRules | None = None
    due_days: float = 0.0  # days until a review is overdue; 0: never
