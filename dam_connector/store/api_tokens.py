"""API tokens as they are listed, and when each was used last."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dam_connector.errors import StorageUnavailable
from dam_connector.store.database import Database
from dam_connector.store.sign_on_age import end_of_token
from dam_connector.store.tables import credentials

USE_STEP = timedelta(minutes=10)  # a use is recorded only this long after the one before: few writes


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An API token, without its secret."""

    id: str
    user_name: str
    label: str  # its purpose
    created_at: datetime
    # None: one that an earlier release made without end. That of a person who uses single sign-on ends with
    # `sign_on_max_age_days`, unless the person logs in before.
    expires_at: datetime | None
    last_used_at: datetime | None  # within `USE_STEP`; None: it was not used since releases record it


def token_from_row(row: Any, max_age_days: int) -> Token:
    """Build a token from its row with `user_name`, `subject` and `signed_on_at` of its user."""
    return Token(
        id=row.id,
        user_name=row.user_name,
        label=row.label,
        created_at=row.created_at,
        expires_at=end_of_token(row, max_age_days),
        last_used_at=row.last_used_at,
    )


def record_use(db: Database, credential: Any, at: datetime) -> None:
    """Record that a token is used, unless it was a moment ago.

    A database that cannot write refuses nobody.
    """
    if credential.last_used_at is not None and at - credential.last_used_at < USE_STEP:
        return
    used = sa.update(credentials).where(credentials.c.id == credential.id).values(last_used_at=at)
    try:
        with db.write() as c:
            c.execute(used)
    except StorageUnavailable:
        return
