"""Stages of reviews."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("versions", sa.Column("stage", sa.String(200), server_default="", nullable=False))
    op.add_column("decisions", sa.Column("stage", sa.String(40), server_default="", nullable=False))
    op.add_column("decisions", sa.Column("is_final", sa.Boolean(), server_default=sa.true(), nullable=False))
