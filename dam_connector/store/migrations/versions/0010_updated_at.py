"""When versions changed last, and indexes for listing products and versions by that."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite adds a column that is never NULL only with a constant default
    column = sa.Column("updated_at", sa.DateTime(), server_default="1970-01-01 00:00:00", nullable=False)
    op.add_column("versions", column)
    op.execute(sa.text("UPDATE versions SET updated_at = created_at"))
    op.create_index(op.f("ix_versions_updated_at_id"), "versions", ["updated_at", "id"])
    op.create_index(op.f("ix_products_updated_at_id"), "products", ["updated_at", "id"])
