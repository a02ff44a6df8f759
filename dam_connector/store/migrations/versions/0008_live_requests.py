"""People's requests about what is live; listings sent to channels; deletions in PIMs."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "live_requests",
        sa.Column("asset_id", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("version_id", sa.String(40), nullable=False),
        sa.Column("goes_live", sa.Boolean(), nullable=False),
        sa.Column("by", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=True),
        sa.Column("undone", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("asset_id", "number", name=op.f("pk_live_requests")),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_live_requests_asset_id")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_live_requests_version_id")),
    )
    op.create_index(op.f("ix_live_requests_version_id"), "live_requests", ["version_id"])
    op.create_table(
        "channel_listings",
        sa.Column("channel", sa.String(40), nullable=False),
        sa.Column("sku", sa.String(500), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("folders", sa.JSON(), nullable=False),
        sa.Column("assets", sa.JSON(), nullable=False),
        sa.Column("synced_at", sa.DateTime(), nullable=True),
        sa.Column("url", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("channel", "sku", name=op.f("pk_channel_listings")),
    )
    op.create_table(
        "deletions",
        sa.Column("connection", sa.String(40), nullable=False),
        sa.Column("ref", sa.String(500), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("connection", "ref", name=op.f("pk_deletions")),
    )
    op.create_index(op.f("ix_runs_version_id"), "runs", ["version_id"])
    _add_requests_of_before()


def _add_requests_of_before() -> None:
    """Store the requests that led to the present states.

    A version that is approved or live was asked for last at its publication, or else at its approval. A
    withdrawn one was taken offline after it. Others do not count any more.
    """
    requests = sa.table(
        "live_requests",
        *(sa.column(name) for name in ("asset_id", "number", "version_id", "goes_live", "by", "undone")),
        sa.column("at", sa.DateTime()),
        sa.column("due_at", sa.DateTime()),
    )
    rows = op.get_bind().execute(
        sa.text(
            "SELECT v.id, v.asset_id, v.state, v.go_live_at, v.created_at, "
            # publications of before 0006 may have a date of 2026-01-01 for want of the true one
            "(SELECT max(CASE WHEN p.asked_at = '2026-01-01 00:00:00' THEN p.at ELSE p.asked_at END) "
            "FROM publications p WHERE p.version_id = v.id) AS asked_at, "
            "(SELECT max(d.at) FROM decisions d WHERE d.version_id = v.id AND d.verdict = 'approved' "
            "AND NOT d.undone) AS approved_at "
            "FROM versions v WHERE v.state IN ('approved', 'published', 'withdrawn')"
        ).columns(
            go_live_at=sa.DateTime(),
            created_at=sa.DateTime(),
            asked_at=sa.DateTime(),
            approved_at=sa.DateTime(),
        )
    )
    found = sorted(rows, key=lambda r: (r.asked_at or r.approved_at or r.created_at, r.id))
    numbers: dict[str, int] = {}
    for row in found:
        at = row.asked_at or row.approved_at or row.created_at
        states = [True] if row.state != "withdrawn" else [True, False]
        for goes_live in states:
            numbers[row.asset_id] = numbers.get(row.asset_id, 0) + 1
            op.get_bind().execute(
                requests.insert().values(
                    asset_id=row.asset_id,
                    number=numbers[row.asset_id],
                    version_id=row.id,
                    goes_live=goes_live,
                    by="",
                    at=at,
                    due_at=row.go_live_at if goes_live and row.state == "approved" else None,
                    undone=False,
                )
            )
