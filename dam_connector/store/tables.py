"""The database tables. Alembic migrations create them; a test holds that both agree.

Where a stored column has a name that reads badly in code, `key` gives it another one there.
"""

import sqlalchemy as sa

from dam_connector.store.batch_tables import batches as _batches  # noqa: F401 - fills the metadata
from dam_connector.store.columns import (
    UtcDateTime,
    address_column,
    foreign_key_column,
    id_column,
    json_column,
    metadata,
    text_column,
)
from dam_connector.store.review_tables import comments as _comments  # noqa: F401 - fills the metadata

deliveries = sa.Table(
    "deliveries",
    metadata,
    id_column(),
    sa.Column("connection", sa.String(40), nullable=False),
    sa.Column("key", sa.String(200), nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False),
    json_column("headers"),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # received, handled, ignored, failed
    sa.Column("attempts", sa.Integer, nullable=False, default=0, server_default="0"),
    sa.Column("due_at", UtcDateTime),
    text_column("error"),
    text_column("summary"),
    sa.UniqueConstraint("connection", "key"),
    sa.Index(None, "state", "due_at"),
)

products = sa.Table(
    "products",
    metadata,
    id_column(),
    sa.Column("sku", sa.String(500), nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("category", sa.String(200), nullable=False, index=True),
    json_column("facts"),
    json_column("sources"),
    json_column("issues"),
    sa.Column("connection", sa.String(40), nullable=False),
    text_column("ref"),
    sa.Column("source_time", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.Column("flagged", sa.Boolean, nullable=False, default=False, server_default=sa.false(), index=True),
    sa.Column("live_until", sa.String(40), index=True),  # of the facts
    sa.Index(None, "deleted", "flagged", "id"),
    sa.Index(None, "updated_at", "id"),
)

# When PIMs deleted what they name so. News of it that are older and come later are ignored.
deletions = sa.Table(
    "deletions",
    metadata,
    sa.Column("connection", sa.String(40), primary_key=True),
    sa.Column("ref", sa.String(500), primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
)

assets = sa.Table(
    "assets",
    metadata,
    id_column(),
    sa.Column("sku", sa.String(500), nullable=False),
    sa.Column("deliverable", sa.String(40), nullable=False),
    sa.Column("slot", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("latest", sa.Integer, nullable=False, default=0, server_default="0"),
    sa.UniqueConstraint("sku", "deliverable", "slot"),
)

runs = sa.Table(
    "runs",
    metadata,
    id_column(),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("sku", sa.String(500), nullable=False, index=True),
    sa.Column("deliverable", sa.String(40), nullable=False),
    sa.Column("slot", sa.Integer, nullable=False),
    sa.Column("version_id", sa.String(40), index=True),
    sa.Column("input_hash", sa.String(160), nullable=False, unique=True),
    sa.Column("rules_fingerprint", sa.String(64), nullable=False),
    text_column("note"),
    sa.Column("bulk", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.Column("batch_id", sa.String(40), nullable=False, default="", server_default=""),
    sa.Column("generator", sa.String(40), nullable=False, default="", server_default=""),
    sa.Column("state", sa.String(16), nullable=False),
    text_column(
        "next_step"
    ),  # the step to run next; "" before the first, domain.run.ALL_STEPS_DONE after the last
    text_column("step"),  # the step that wrote the last checkpoint
    json_column("work"),
    json_column("timings"),
    sa.Column("fence", sa.Integer, nullable=False, default=0, server_default="0"),
    text_column("lease_owner"),
    sa.Column("lease_until", UtcDateTime),
    sa.Column("attempts", sa.Integer, nullable=False, default=0, server_default="0"),
    sa.Column("due_at", UtcDateTime),
    # how often the sweeper woke it since it last ran
    sa.Column("kicks", sa.Integer, key="wake_count", nullable=False, default=0, server_default="0"),
    text_column("error"),
    # the delivery, batch or run that began it all
    sa.Column("origin", sa.String(40), nullable=False, default="", server_default=""),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("finished_at", UtcDateTime),
    sa.Index(None, "state", "due_at"),
    sa.Index(None, "sku", "deliverable", "slot"),
)

versions = sa.Table(
    "versions",
    metadata,
    id_column(),
    foreign_key_column("asset_id", "assets.id", nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("run_id", sa.String(40), nullable=False, unique=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    json_column("files"),
    json_column("report"),
    json_column("provenance"),
    sa.Column("rules_fingerprint", sa.String(64), nullable=False),
    text_column("dam"),
    text_column("dam_ref"),
    # the state that the DAM is known to have; empty: not known
    sa.Column("dam_state", sa.String(16), nullable=False, default="", server_default=""),
    # the stage of the review in which it waits
    sa.Column("stage", sa.String(200), nullable=False, default="", server_default=""),
    sa.Column("go_live_at", UtcDateTime),
    # whether anybody may fetch its files
    sa.Column(
        "served", sa.Boolean, key="is_public", nullable=False, default=False, server_default=sa.false()
    ),
    sa.Column("created_at", UtcDateTime, nullable=False),
    # when its state, files, report, decisions, comments or publications changed last
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("asset_id", "number"),
    sa.Index(None, "updated_at", "id"),
    sa.Index(None, "dam", "dam_ref"),
    sa.Index(None, "state", "id"),
)

# The files of each version: requests for public files are looked up here.
version_files = sa.Table(
    "version_files",
    metadata,
    foreign_key_column("version_id", "versions.id", primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True, index=True),
    sa.Column("sha256", sa.String(64), nullable=False, index=True),
    sa.Column("mime", sa.String(80), nullable=False),
)

decisions = sa.Table(
    "decisions",
    metadata,
    id_column(),
    foreign_key_column("version_id", "versions.id", nullable=False, index=True),
    sa.Column("verdict", sa.String(16), nullable=False),
    text_column("by"),
    json_column("reasons"),
    text_column("note"),
    json_column("files"),
    text_column("source"),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("undone", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.Column("stage", sa.String(40), nullable=False, default="", server_default=""),
    # False: an approval by a stage that others follow
    sa.Column("is_final", sa.Boolean, nullable=False, default=True, server_default=sa.true()),
)

publications = sa.Table(
    "publications",
    metadata,
    foreign_key_column("asset_id", "assets.id", primary_key=True),
    sa.Column("channel", sa.String(40), primary_key=True),
    foreign_key_column("version_id", "versions.id", nullable=False, index=True),
    text_column("url"),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("asked_at", UtcDateTime, nullable=False),  # of earlier releases
    sa.Index(None, "channel", "version_id"),
)

# People's requests that versions go live or are taken offline, in the order of their numbers.
live_requests = sa.Table(
    "live_requests",
    metadata,
    foreign_key_column("asset_id", "assets.id", primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    foreign_key_column("version_id", "versions.id", nullable=False, index=True),
    sa.Column("goes_live", sa.Boolean, nullable=False),
    text_column("by"),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("due_at", UtcDateTime),  # it counts from then on; empty: at once
    sa.Column("undone", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
)

# The last listing of each product that was sent to each channel.
channel_listings = sa.Table(
    "channel_listings",
    metadata,
    sa.Column("channel", sa.String(40), primary_key=True),
    sa.Column("sku", sa.String(500), primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False),  # of its content
    sa.Column("sequence", sa.Integer, nullable=False),
    json_column("folders"),  # in which the channel may have files of the product
    json_column("assets"),  # ids of those of which the channel may have files
    sa.Column("synced_at", UtcDateTime),
    text_column("url"),
)

# The search tags of versions, e.g. `batch:ID`, `category:CHAIRS`, `word:chair`.
version_tags = sa.Table(
    "version_tags",
    metadata,
    foreign_key_column("version_id", "versions.id", primary_key=True),
    # sorted by code point in every database
    sa.Column(
        "tag", sa.String(120).with_variant(sa.String(120, collation="C"), "postgresql"), primary_key=True
    ),
    sa.Index(None, "tag", "version_id"),
)

# Tasks of providers and what they cost. A task is written before the provider is asked.
tasks = sa.Table(
    "tasks",
    metadata,
    id_column(),
    sa.Column("run_id", sa.String(40), nullable=False),
    sa.Column("provider", sa.String(40), nullable=False),
    sa.Column("sku", sa.String(500), nullable=False),
    sa.Column("category", sa.String(200), nullable=False),
    sa.Column("deliverable", sa.String(40), nullable=False),
    sa.Column("batch_id", sa.String(40), nullable=False, default="", server_default=""),
    sa.Column("state", sa.String(16), nullable=False),  # a diagram of them is in store/tasks.py
    text_column("ref"),
    json_column("order"),
    json_column("result"),
    sa.Column("estimate_usd", sa.Float, nullable=False),
    sa.Column("cost_usd", sa.Float),
    text_column("error"),
    sa.Column("tries", sa.Integer, key="attempts", nullable=False, default=0, server_default="0"),
    sa.Column("look_at", UtcDateTime, key="due_at", nullable=False),
    # whether its run was notified of its end
    sa.Column(
        "heard",
        sa.Boolean,
        key="is_acknowledged",
        nullable=False,
        default=False,
        server_default=sa.false(),
    ),
    # when it was created; from its submission on, when it was submitted
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Index(None, "run_id", "provider"),
    sa.Index(None, "provider", "created_at"),
    sa.Index(None, "state", "due_at"),
    sa.Index(None, "batch_id"),
    sa.Index(None, "is_acknowledged", "state"),
    sa.Index(None, "created_at"),
    # The sums of costs read this index alone.
    sa.Index(
        "ix_tasks_sums",
        "created_at",
        "state",
        "provider",
        "category",
        "deliverable",
        "batch_id",
        "cost_usd",
        "estimate_usd",
    ),
)

history = sa.Table(
    "history",
    metadata,
    id_column(),
    sa.Column("at", UtcDateTime, nullable=False, index=True),
    sa.Column("sku", sa.String(500), nullable=False, index=True),
    sa.Column("version_id", sa.String(40), index=True),
    sa.Column("what", sa.String(40), key="event", nullable=False),
    text_column("by"),
    text_column("detail"),
    address_column(),
)

# Who did what. Triggers refuse changes and deletions.
audit = sa.Table(
    "audit",
    metadata,
    id_column(),
    sa.Column("at", UtcDateTime, nullable=False, index=True),
    text_column("by"),
    address_column(),
    sa.Column("action", sa.String(40), nullable=False),
    text_column("subject"),
    text_column("detail"),
)

users = sa.Table(
    "users",
    metadata,
    id_column(),
    sa.Column("name", sa.String(80), nullable=False, unique=True),
    sa.Column("role", sa.String(16), nullable=False),
    text_column("password_hash"),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False, default=True, server_default=sa.true()),
    # The person's identity at the OpenID provider: its address and the claim `sub`; null: a user of our own.
    sa.Column("subject", sa.String(600), unique=True),
    sa.Column("signed_on_at", UtcDateTime),  # the last login through the provider
)

# API tokens and one-time login links, by the hash of the secret.
credentials = sa.Table(
    "credentials",
    metadata,
    id_column(),
    foreign_key_column("user_id", "users.id", nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    text_column("label"),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime),
    sa.Column("used_at", UtcDateTime),  # of a one-time link
    sa.Column("last_used_at", UtcDateTime),  # of a token
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("owner", sa.String(120), nullable=False),
    sa.Column("until", UtcDateTime, nullable=False),
)

# Small values that outlive a process, e.g. poll cursors and worker heartbeats.
notes = sa.Table(
    "notes",
    metadata,
    sa.Column("name", sa.String(120), primary_key=True),
    json_column("value"),
    sa.Column("at", UtcDateTime, nullable=False),
)

rules_seen = sa.Table(
    "rules_seen",
    metadata,
    sa.Column("fingerprint", sa.String(64), primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)

idempotency = sa.Table(
    "idempotency",
    metadata,
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("request_sha256", sa.String(64), nullable=False),
    json_column("body"),
    sa.Column("at", UtcDateTime, nullable=False),
)

# The records of the built-in DAM.
library = sa.Table(
    "library",
    metadata,
    sa.Column("ref", sa.String(40), primary_key=True),
    sa.Column("external_id", sa.String(200), nullable=False, unique=True),
    sa.Column("version_id", sa.String(40), nullable=False, index=True),
    sa.Column("folder", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    json_column("files"),
    json_column("metadata"),
    sa.Column("updated_at", UtcDateTime, nullable=False),
)
