"""The last login through the OpenID provider, after which API tokens of its users end some day.

It only adds, so processes of the release before go on meanwhile.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("signed_on_at", sa.DateTime()))
    # Nobody knows when it was: the time of tokens that exist begins with the upgrade.
    users = sa.table("users", sa.column("subject"), sa.column("signed_on_at", sa.DateTime()))
    now = datetime.now(UTC).replace(tzinfo=None)
    op.execute(users.update().where(users.c.subject.is_not(None)).values(signed_on_at=now))
