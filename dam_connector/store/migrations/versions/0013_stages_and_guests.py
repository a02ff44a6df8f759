"""Stages of reviews, the links of guests, and the outbox of notifications."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("versions", sa.Column("stage", sa.String(200), server_default="", nullable=False))
    op.add_column("decisions", sa.Column("stage", sa.String(40), server_default="", nullable=False))
    op.add_column("decisions", sa.Column("is_final", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.create_table(
        "guest_links",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("value", sa.String(500), nullable=False),
        sa.Column("may_decide", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("stage", sa.String(40), server_default="", nullable=False),
        sa.Column("created_by", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guest_links")),
        sa.UniqueConstraint("hash", name=op.f("uq_guest_links_hash")),
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("event", sa.String(40), nullable=False),
        sa.Column("target", sa.String(40), server_default="", nullable=False),
        sa.Column("sku", sa.String(500), server_default="", nullable=False),
        sa.Column("version_id", sa.String(40), server_default="", nullable=False),
        sa.Column("by", sa.Text(), server_default="", nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
    )
    op.create_index(op.f("ix_notifications_target_due_at"), "notifications", ["target", "due_at"])
