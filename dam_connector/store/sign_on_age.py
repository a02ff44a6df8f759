"""How long tokens of people count after their last login through the OpenID provider."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dam_connector.store.tables import users


def is_known_by_provider(now: datetime, max_age_days: int) -> sa.ColumnElement[bool]:
    """Return the condition that a user is our own, or logged in through the provider not long ago.

    Args:
        now: the time.
        max_age_days: how long ago at most; 0: the last login may be any time ago.
    """
    if not max_age_days:
        return sa.true()
    return sa.or_(users.c.subject.is_(None), users.c.signed_on_at > now - timedelta(days=max_age_days))


def end_of_token(token: Any, max_age_days: int) -> datetime | None:
    """Return when a token ends, or None when it has no end.

    Args:
        token: its row, with `subject` and `signed_on_at` of its user.
        max_age_days: see `is_known_by_provider`.
    """
    ends = [token.expires_at]
    if max_age_days and token.subject is not None:
        ends.append(token.signed_on_at + timedelta(days=max_age_days))
    return min((end for end in ends if end), default=None)
