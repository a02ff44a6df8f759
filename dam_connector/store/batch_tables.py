"""The tables of batches, their rows and the counts of these. `tables` imports them."""

import sqlalchemy as sa

from dam_connector.store.columns import (
    UtcDateTime,
    foreign_key_column,
    id_column,
    json_column,
    metadata,
    text_column,
)

batches = sa.Table(
    "batches",
    metadata,
    id_column(),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # running, paused, cancelled, done
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("touched_at", UtcDateTime, nullable=False),
    # how often rows were taken from it; each iteration happens once
    sa.Column("turn", sa.Integer, key="iteration", nullable=False, default=0, server_default="0"),
    # the sheet's own header in order; of a sheet without commas it is {"names": [...], "delimiter": ";"}
    json_column("columns"),
    sa.UniqueConstraint("name"),
)

batch_rows = sa.Table(
    "batch_rows",
    metadata,
    id_column(),
    foreign_key_column("batch_id", "batches.id", nullable=False),
    sa.Column("line", sa.Integer, nullable=False),
    sa.Column("sku", sa.String(500), nullable=False, index=True),
    sa.Column("state", sa.String(16), nullable=False),  # of `RowState`
    json_column("cells"),
    json_column("facts"),
    text_column("error"),
    # the field of `BatchProgress` under which it is in `batch_counts`; empty: in none yet
    sa.Column("counted_as", sa.String(16), nullable=False, default="", server_default=""),
    sa.Index(None, "batch_id", "state", "line"),
    sa.Index(
        "ix_batch_rows_not_counted",
        "batch_id",
        sqlite_where=sa.text("counted_as = ''"),
        postgresql_where=sa.text("counted_as = ''"),
    ),
)

batch_counts = sa.Table(
    "batch_counts",
    metadata,
    sa.Column("batch_id", sa.String(40), primary_key=True),
    sa.Column("counted_as", sa.String(16), primary_key=True),  # as in `batch_rows`
    sa.Column("rows", sa.Integer, nullable=False),
)

# Products whose rows may count otherwise by now. Triggers fill it.
batch_marks = sa.Table(
    "batch_marks",
    metadata,
    id_column(),
    sa.Column("sku", sa.String(500), nullable=False),
)
