"""Finished files that are checked and adopted."""

import sqlalchemy as sa
from alembic import op

from dam_connector.store.columns import UtcDateTime

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "finished_files",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("sku", sa.String(500), nullable=False),
        sa.Column("deliverable", sa.String(40), nullable=False),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("sha256", sa.String(64), server_default="", nullable=False),
        sa.Column("mime", sa.String(100), server_default="", nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("issues", sa.JSON(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finished_files")),
        sa.UniqueConstraint("sku", "deliverable", name=op.f("uq_finished_files_sku_deliverable")),
    )
