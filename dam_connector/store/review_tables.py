"""The tables of comments, guests, touch-ups, photos and finished files in DAMs, and counts of shoppers.

`tables` imports them, so that the metadata is complete.
"""

import sqlalchemy as sa

from dam_connector.store.columns import (
    UtcDateTime,
    foreign_key_column,
    id_column,
    json_column,
    metadata,
    text_column,
)

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

# Links by which guests review without an account, by the hash of the secret. They are never deleted.
guest_links = sa.Table(
    "guest_links",
    metadata,
    id_column(),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("scope", sa.String(16), nullable=False),  # batch, category, sku
    sa.Column("value", sa.String(500), nullable=False),
    sa.Column("may_decide", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.Column("stage", sa.String(40), nullable=False, default="", server_default=""),
    text_column("created_by"),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.Column("revoked_at", UtcDateTime),
)

# Events to tell of, and messages about them to one target each, until they are sent.
notifications = sa.Table(
    "notifications",
    metadata,
    id_column(),
    sa.Column("event", sa.String(40), nullable=False),
    sa.Column("target", sa.String(40), nullable=False, default="", server_default=""),
    sa.Column("sku", sa.String(500), nullable=False, default="", server_default=""),
    sa.Column("version_id", sa.String(40), nullable=False, default="", server_default=""),
    text_column("by"),
    text_column("detail"),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("due_at", UtcDateTime, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, default=0, server_default="0"),
    sa.Index(None, "target", "due_at"),
)

# Strokes that correct the cut-out of a photo. They stay, whatever becomes of the version.
touch_ups = sa.Table(
    "touch_ups",
    metadata,
    id_column(),
    sa.Column("photo_sha256", sa.String(64), nullable=False, index=True),
    sa.Column("version_id", sa.String(40), nullable=False, index=True),  # whose mask was shown
    text_column("by"),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("strokes", sa.JSON, nullable=False),
    # whether the earlier touch-ups of the photo no longer count
    sa.Column("replaces", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
)

# Photos in DAMs that are source images of products, and those that were until the product is taken in again.
source_photos = sa.Table(
    "source_photos",
    metadata,
    sa.Column("dam", sa.String(40), primary_key=True),
    sa.Column("ref", sa.String(500), primary_key=True),  # the DAM's reference of the file
    sa.Column("sku", sa.String(500), nullable=False, index=True),  # empty: it belongs to none any more
    json_column("former_skus"),  # products that are still to be taken in without it
    sa.Column("view", sa.String(16), nullable=False, default="", server_default=""),  # empty: not said
    text_column("name"),
    text_column("fingerprint"),
    sa.Column("sha256", sa.String(64), nullable=False),
    # whether all products that it concerns were taken in since it changed
    sa.Column("taken_in", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Index(None, "dam", "taken_in", "at"),
)

# Sums of what shoppers did on the AR page: nothing about who, or when.
ar_counts = sa.Table(
    "ar_counts",
    metadata,
    id_column("version_id"),
    sa.Column("sku", sa.String(500), nullable=False, index=True),
    sa.Column("views", sa.Integer, nullable=False, default=0, server_default="0"),
    sa.Column("ar_starts", sa.Integer, nullable=False, default=0, server_default="0"),
)

# Files that become first versions: as they were found, read and checked. One row for each asset.
finished_files = sa.Table(
    "finished_files",
    metadata,
    id_column(),
    sa.Column("sku", sa.String(500), nullable=False),
    sa.Column("deliverable", sa.String(40), nullable=False),
    json_column("source"),  # domain.adoption.Adoptable as JSON
    sa.Column("sha256", sa.String(64), nullable=False, default="", server_default=""),
    sa.Column("mime", sa.String(100), nullable=False, default="", server_default=""),
    sa.Column("state", sa.String(16), nullable=False),  # waiting, checked, adopted
    json_column("issues"),  # those that would block the version
    sa.Column("at", UtcDateTime, nullable=False),  # of the last change or wake-up
    sa.UniqueConstraint("sku", "deliverable"),
)

# Which product makes the shape that products of several colours share.
shapes = sa.Table(
    "shapes",
    metadata,
    sa.Column("deliverable", sa.String(40), primary_key=True),
    sa.Column("shape_key", sa.String(500), primary_key=True),  # what the products share
    sa.Column("owner", sa.String(500), nullable=False),  # its SKU
)

# The products that share a shape.
shape_members = sa.Table(
    "shape_members",
    metadata,
    sa.Column("deliverable", sa.String(40), primary_key=True),
    sa.Column("sku", sa.String(500), primary_key=True),
    sa.Column("shape_key", sa.String(500), nullable=False),
    sa.Index(None, "deliverable", "shape_key"),
)

# Spins and walks that people are taking, until they are finished: one for each product and person.
captures = sa.Table(
    "captures",
    metadata,
    id_column(),
    sa.Column("sku", sa.String(500), nullable=False),
    sa.Column("by", sa.String(80), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),  # walk, spin
    sa.Column("planned", sa.Integer, nullable=False),  # photos
    sa.Column("begun_at", UtcDateTime, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False, index=True),
    sa.UniqueConstraint("sku", "by"),
)

# Their photos. The blobs stay while a row names them.
capture_photos = sa.Table(
    "capture_photos",
    metadata,
    foreign_key_column("capture_id", "captures.id", primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),  # the first one is 0
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("bytes", sa.Integer, nullable=False),
)
