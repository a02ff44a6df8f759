"""The tables of comments. `tables` imports them, so that the metadata is complete."""

import sqlalchemy as sa

from dam_connector.store.columns import UtcDateTime, foreign_key_column, id_column, metadata, text_column

comments = sa.Table(
    "comments",
    metadata,
    id_column(),
    foreign_key_column("asset_id", "assets.id", nullable=False, index=True),
    foreign_key_column("version_id", "versions.id", nullable=False, index=True),
    sa.Column("parent_id", sa.String(40)),  # the comment that it replies to
    text_column("by"),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("anchor", sa.JSON(none_as_null=True)),  # NULL: the comment is about the whole version
    sa.Column("resolved_at", UtcDateTime),
    text_column("resolved_by"),
    foreign_key_column("resolved_version_id", "versions.id"),
)

# The users whom comments mention, by their names at that time.
comment_mentions = sa.Table(
    "comment_mentions",
    metadata,
    foreign_key_column("comment_id", "comments.id", primary_key=True),
    sa.Column("name", sa.String(80), primary_key=True, index=True),
)
