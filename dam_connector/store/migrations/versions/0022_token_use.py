"""When an API token was used last. It only adds, so processes of the release before go on meanwhile."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("credentials", sa.Column("last_used_at", sa.DateTime()))
