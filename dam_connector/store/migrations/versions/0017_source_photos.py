"""Photos in DAMs that are source images of products."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "source_photos",
        sa.Column("dam", sa.String(40), nullable=False),
        sa.Column("ref", sa.String(500), nullable=False),
        sa.Column("sku", sa.String(500), nullable=False),
        sa.Column("former_skus", sa.JSON(), nullable=False),
        sa.Column("view", sa.String(16), server_default="", nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("fingerprint", sa.Text(), server_default="", nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("taken_in", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("dam", "ref", name=op.f("pk_source_photos")),
    )
    op.create_index(op.f("ix_source_photos_sku"), "source_photos", ["sku"])
    op.create_index(op.f("ix_source_photos_dam_taken_in_at"), "source_photos", ["dam", "taken_in", "at"])
