"""Webhooks before and after their sender is proved."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundWebhook:
    """A webhook as it was received."""

    # By name in lower case.
    headers: Mapping[str, str]
    # Untouched, since signatures cover the exact bytes.
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedWebhook:
    """A webhook that an adapter accepts: its sender is proved, or it is a hint that needs no proof."""

    # Identifies the delivery within its connection; a repeated delivery has the same key.
    key: str
    # False where no signature covers an id or a time, so that the key is that of the body: a repeat is then
    # one that follows directly. The body that comes again after another one may be meant, e.g. a change that
    # was taken back.
    has_own_id: bool = True
    # False for a message that anybody could have sent. It is stored only if it names a task of ours.
    is_proved: bool = True
    # False for pings and other messages that ask for nothing.
    is_event: bool = True
    # Names of the headers needed to interpret the body. No others are stored, since some hold credentials.
    headers_to_store: tuple[str, ...] = ()
