"""Rows that were counted as live are counted anew: with a version in review they are in review.

It only adds, so processes of the release before go on meanwhile.
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    new_id = "lower(hex(randomblob(16)))" if is_sqlite else "gen_random_uuid()::text"
    live = "SELECT DISTINCT sku FROM batch_rows WHERE counted_as = 'live'"
    op.execute(f"INSERT INTO batch_marks (id, sku) SELECT {new_id}, sku FROM ({live}) AS live_rows")
