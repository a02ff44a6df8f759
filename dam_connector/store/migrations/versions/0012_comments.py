"""Comments with pins, threads and mentions. Comments in the history are copied; they stay there too."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "comments",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("asset_id", sa.String(40), nullable=False),
        sa.Column("version_id", sa.String(40), nullable=False),
        sa.Column("parent_id", sa.String(40), nullable=True),
        sa.Column("by", sa.Text(), server_default="", nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("anchor", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(), nullable=True),
        sa.Column("resolved_by", sa.Text(), server_default="", nullable=False),
        sa.Column("resolved_version_id", sa.String(40), nullable=True),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_comments_asset_id")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_comments_version_id")),
        sa.ForeignKeyConstraint(
            ["resolved_version_id"], ["versions.id"], name=op.f("fk_comments_resolved_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
    )
    op.create_index(op.f("ix_comments_asset_id"), "comments", ["asset_id"])
    op.create_index(op.f("ix_comments_version_id"), "comments", ["version_id"])
    op.create_table(
        "comment_mentions",
        sa.Column("comment_id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(
            ["comment_id"], ["comments.id"], name=op.f("fk_comment_mentions_comment_id")
        ),
        sa.PrimaryKeyConstraint("comment_id", "name", name=op.f("pk_comment_mentions")),
    )
    op.create_index(op.f("ix_comment_mentions_name"), "comment_mentions", ["name"])
    op.execute(
        "INSERT INTO comments (id, asset_id, version_id, \"by\", text, at) "
        "SELECT 'com' || substr(h.id, 4), v.asset_id, v.id, h.\"by\", h.detail, h.at "
        "FROM history h JOIN versions v ON v.id = h.version_id WHERE h.what = 'comment'"
    )
