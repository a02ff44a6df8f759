"""Users may be those of an OpenID provider."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("users") as users:
        users.add_column(sa.Column("subject", sa.String(600), nullable=True))
        users.create_unique_constraint(op.f("uq_users_subject"), ["subject"])
