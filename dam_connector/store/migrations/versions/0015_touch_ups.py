"""Strokes that correct the cut-outs of photos."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "touch_ups",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("photo_sha256", sa.String(64), nullable=False),
        sa.Column("version_id", sa.String(40), nullable=False),
        sa.Column("by", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("strokes", sa.JSON(), nullable=False),
        sa.Column("replaces", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_touch_ups")),
    )
    op.create_index(op.f("ix_touch_ups_photo_sha256"), "touch_ups", ["photo_sha256"])
    op.create_index(op.f("ix_touch_ups_version_id"), "touch_ups", ["version_id"])
