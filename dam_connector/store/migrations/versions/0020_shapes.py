"""Shapes of models that products of several colours share."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shapes",
        sa.Column("deliverable", sa.String(40), nullable=False),
        sa.Column("shape_key", sa.String(500), nullable=False),
        sa.Column("owner", sa.String(500), nullable=False),
        sa.PrimaryKeyConstraint("deliverable", "shape_key", name=op.f("pk_shapes")),
    )
    op.create_table(
        "shape_members",
        sa.Column("deliverable", sa.String(40), nullable=False),
        sa.Column("sku", sa.String(500), nullable=False),
        sa.Column("shape_key", sa.String(500), nullable=False),
        sa.PrimaryKeyConstraint("deliverable", "sku", name=op.f("pk_shape_members")),
    )
    op.create_index(
        op.f("ix_shape_members_deliverable_shape_key"), "shape_members", ["deliverable", "shape_key"]
    )
