"""What a DAM last took a version for, when it is to go live, whether its files are public; when a publication was asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("versions") as versions:
        versions.add_column(sa.Column("dam_state", sa.String(length=16), server_default="", nullable=False))
        versions.add_column(sa.Column("go_live_at", sa.DateTime(), nullable=True))
        versions.add_column(sa.Column("served", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute("UPDATE versions SET served = true WHERE state = 'published'")
    with op.batch_alter_table("publications") as publications:
        publications.add_column(sa.Column("asked_at", sa.DateTime(), server_default="2026-01-01 00:00:00", nullable=False))
    op.execute("UPDATE publications SET asked_at = at")  # as near as it is known
    with op.batch_alter_table("publications") as publications:
        publications.alter_column("asked_at", server_default=None)
