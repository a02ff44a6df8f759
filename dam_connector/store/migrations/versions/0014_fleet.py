"""The origin of runs, for logs; the expiry of products as a column; indexes for pages and loops.

It only adds, so workers of the release before go on meanwhile.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("origin", sa.String(40), server_default="", nullable=False))
    op.add_column("products", sa.Column("live_until", sa.String(40)))
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    fact = "json_extract(facts, '$.live_until')" if is_sqlite else "facts ->> 'live_until'"
    op.execute(f"UPDATE products SET live_until = {fact} WHERE {fact} IS NOT NULL")
    op.create_index("ix_products_live_until", "products", ["live_until"])
    op.create_index("ix_history_at", "history", ["at"])
    op.create_index("ix_tasks_heard_state", "tasks", ["heard", "state"])
    op.create_index("ix_tasks_created_at", "tasks", ["created_at"])
