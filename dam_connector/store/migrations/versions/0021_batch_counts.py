"""Counts of each batch that are kept as its rows change, and an index for sums of costs.

Triggers note each product whose rows may count otherwise from now on, so workers of the release before note
it, too. Runs of every kind count, so that a kind that comes later needs no other trigger. It only adds.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

OPEN = "{0}.state IN ('queued', 'running', 'parked')"
MARK = (
    "INSERT INTO batch_marks (id, sku) SELECT {id}, {sku} "
    "WHERE EXISTS (SELECT 1 FROM batch_rows WHERE sku = {sku})"
)
SKU_OF = "(SELECT sku FROM assets WHERE id = {0}.asset_id)"
# By name: the table, the change, the condition, the product.
TRIGGERS = {
    "batch_run_added": (
        "runs",
        "INSERT",
        OPEN.format("NEW"),
        "NEW.sku",
    ),
    "batch_run_changed": (
        "runs",
        "UPDATE OF state",
        f"({OPEN.format('OLD')}) <> ({OPEN.format('NEW')})",
        "NEW.sku",
    ),
    "batch_run_deleted": (
        "runs",
        "DELETE",
        OPEN.format("OLD"),
        "OLD.sku",
    ),
    "batch_version_added": ("versions", "INSERT", "", SKU_OF.format("NEW")),
    "batch_version_changed": ("versions", "UPDATE OF state", "OLD.state <> NEW.state", SKU_OF.format("NEW")),
    "batch_version_deleted": ("versions", "DELETE", "", SKU_OF.format("OLD")),
    "batch_row_changed": ("batch_rows", "UPDATE OF state", "OLD.state <> NEW.state", "NEW.sku"),
}


def upgrade() -> None:
    op.add_column("batch_rows", sa.Column("counted_as", sa.String(16), server_default="", nullable=False))
    not_counted = sa.text("counted_as = ''")
    op.create_index(
        op.f("ix_batch_rows_not_counted"),
        "batch_rows",
        ["batch_id"],
        sqlite_where=not_counted,
        postgresql_where=not_counted,
    )
    op.create_table(
        "batch_counts",
        sa.Column("batch_id", sa.String(40), nullable=False),
        sa.Column("counted_as", sa.String(16), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id", "counted_as", name=op.f("pk_batch_counts")),
    )
    op.create_table(
        "batch_marks",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("sku", sa.String(500), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_marks")),
    )
    sums = ["created_at", "state", "provider", "category", "deliverable", "batch_id"]
    op.create_index(op.f("ix_tasks_sums"), "tasks", [*sums, "cost_usd", "estimate_usd"])
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for name, (table, change, condition, sku) in TRIGGERS.items():
        when = f"WHEN ({condition})" if condition else ""
        new_id = "lower(hex(randomblob(16)))" if is_sqlite else "gen_random_uuid()::text"
        mark = MARK.format(id=new_id, sku=sku)
        if is_sqlite:
            event = f"AFTER {change} ON {table} FOR EACH ROW {when}"
            op.execute(f"CREATE TRIGGER {name} {event} BEGIN {mark}; END")
            continue
        op.execute(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {mark}; RETURN NULL; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {name} AFTER {change} ON {table} FOR EACH ROW {when} EXECUTE FUNCTION {name}()"
        )
