"""Counts of views and AR starts on the AR page."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ar_counts",
        sa.Column("version_id", sa.String(40), nullable=False),
        sa.Column("sku", sa.String(500), nullable=False),
        sa.Column("views", sa.Integer(), server_default="0", nullable=False),
        sa.Column("ar_starts", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_ar_counts")),
    )
    op.create_index(op.f("ix_ar_counts_sku"), "ar_counts", ["sku"])
