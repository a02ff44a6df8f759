"""The database tables. Alembic migrations create them; a test holds that both agree.

Where a stored column has a name that reads badly in code, `key` gives it another one there.
"""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from dam_connector.store.request_origin import request_address

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(sa.TypeDecorator[datetime]):
    """An aware UTC datetime, stored without its zone, so that SQLite can sort it."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value else None


def _id(name: str = "id") -> sa.Column[str]:
    return sa.Column(name, sa.String(40), primary_key=True)


def _foreign_key(name: str, target: str, **more: Any) -> sa.Column[str]:
    return sa.Column(name, sa.String(40), sa.ForeignKey(target), **more)


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, default=default, server_default=default)


def _address() -> sa.Column[str]:
    """Return a column that records by itself from where the current request came."""
    return sa.Column("address", sa.String(64), nullable=False, default=_current_address, server_default="")


def _current_address() -> str:
    return request_address.get()[:64]


def _json(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.JSON, nullable=False)


deliveries = sa.Table(
    "deliveries",
    metadata,
    _id(),
    sa.Column("connection", sa.String(40), nullable=False),
    sa.Column("key", sa.String(200), nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False),
    _json("headers"),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # received, handled, ignored, failed
    sa.Column("attempts", sa.Integer, nullable=False, default=0, server_default="0"),
    sa.Column("due_at", UtcDateTime),
    _text("error"),
    _text("summary"),
    sa.UniqueConstraint("connection", "key"),
    sa.Index(None, "state", "due_at"),
)

products = sa.Table(
    "products",
    metadata,
    _id(),
    sa.Column("sku", sa.String(500), nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("category", sa.String(200), nullable=False, index=True),
    _json("facts"),
    _json("sources"),
    _json("issues"),
    sa.Column("connection", sa.String(40), nullable=False),
    _text("ref"),
    sa.Column("source_time", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.Column("flagged", sa.Boolean, nullable=False, default=False, server_default=sa.false(), index=True),
    sa.Index(None, "deleted", "flagged", "id"),
)

# When PIMs deleted what they name so. News of it that are older and come later are ignored.
deletions = sa.Table(
    "deletions",
    metadata,
    sa.Column("connection", sa.String(40), primary_key=True),
    sa.Column("ref", sa.String(500), primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
)

batches = sa.Table(
    "batches",
    metadata,
    _id(),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # running, paused, cancelled, done
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("touched_at", UtcDateTime, nullable=False),
    # how often rows were taken from it; each iteration happens once
    sa.Column("turn", sa.Integer, key="iteration", nullable=False, default=0, server_default="0"),
    _json("columns"),  # the sheet's own header, in order
    sa.UniqueConstraint("name"),
)

batch_rows = sa.Table(
    "batch_rows",
    metadata,
    _id(),
    _foreign_key("batch_id", "batches.id", nullable=False),
    sa.Column("line", sa.Integer, nullable=False),
    sa.Column("sku", sa.String(500), nullable=False, index=True),
    sa.Column("state", sa.String(16), nullable=False),  # waiting, taken, unchanged, failed, cancelled
    _json("cells"),
    _json("facts"),
    _text("error"),
    sa.Index(None, "batch_id", "state", "line"),
)

assets = sa.Table(
    "assets",
    metadata,
    _id(),
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
    _id(),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("sku", sa.String(500), nullable=False, index=True),
    sa.Column("deliverable", sa.String(40), nullable=False),
    sa.Column("slot", sa.Integer, nullable=False),
    sa.Column("version_id", sa.String(40), index=True),
    sa.Column("input_hash", sa.String(160), nullable=False, unique=True),
    sa.Column("rules_fingerprint", sa.String(64), nullable=False),
    _text("note"),
    sa.Column("bulk", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.Column("batch_id", sa.String(40), nullable=False, default="", server_default=""),
    sa.Column("generator", sa.String(40), nullable=False, default="", server_default=""),
    sa.Column("state", sa.String(16), nullable=False),
    _text("next_step"),  # the step to run next; "" before the first, domain.run.ALL_STEPS_DONE after the last
    _text("step"),  # the step that wrote the last checkpoint
    _json("work"),
    _json("timings"),
    sa.Column("fence", sa.Integer, nullable=False, default=0, server_default="0"),
    _text("lease_owner"),
    sa.Column("lease_until", UtcDateTime),
    sa.Column("attempts", sa.Integer, nullable=False, default=0, server_default="0"),
    sa.Column("due_at", UtcDateTime),
    # how often the sweeper woke it since it last ran
    sa.Column("kicks", sa.Integer, key="wake_count", nullable=False, default=0, server_default="0"),
    _text("error"),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("finished_at", UtcDateTime),
    sa.Index(None, "state", "due_at"),
    sa.Index(None, "sku", "deliverable", "slot"),
)

versions = sa.Table(
    "versions",
    metadata,
    _id(),
    _foreign_key("asset_id", "assets.id", nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("run_id", sa.String(40), nullable=False, unique=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    _json("files"),
    _json("report"),
    _json("provenance"),
    sa.Column("rules_fingerprint", sa.String(64), nullable=False),
    _text("dam"),
    _text("dam_ref"),
    # the state that the DAM is known to have; empty: not known
    sa.Column("dam_state", sa.String(16), nullable=False, default="", server_default=""),
    sa.Column("go_live_at", UtcDateTime),
    # whether anybody may fetch its files
    sa.Column(
        "served", sa.Boolean, key="is_public", nullable=False, default=False, server_default=sa.false()
    ),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.UniqueConstraint("asset_id", "number"),
    sa.Index(None, "dam", "dam_ref"),
    sa.Index(None, "state", "id"),
)

# The files of each version: requests for public files are looked up here.
version_files = sa.Table(
    "version_files",
    metadata,
    _foreign_key("version_id", "versions.id", primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True, index=True),
    sa.Column("sha256", sa.String(64), nullable=False, index=True),
    sa.Column("mime", sa.String(80), nullable=False),
)

decisions = sa.Table(
    "decisions",
    metadata,
    _id(),
    _foreign_key("version_id", "versions.id", nullable=False, index=True),
    sa.Column("verdict", sa.String(16), nullable=False),
    _text("by"),
    _json("reasons"),
    _text("note"),
    _json("files"),
    _text("source"),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("undone", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
)

publications = sa.Table(
    "publications",
    metadata,
    _foreign_key("asset_id", "assets.id", primary_key=True),
    sa.Column("channel", sa.String(40), primary_key=True),
    _foreign_key("version_id", "versions.id", nullable=False, index=True),
    _text("url"),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("asked_at", UtcDateTime, nullable=False),  # when a person asked for it
    sa.Index(None, "channel", "version_id"),
)

# People's requests that versions go live or are taken offline, in the order of their numbers.
live_requests = sa.Table(
    "live_requests",
    metadata,
    _foreign_key("asset_id", "assets.id", primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    _foreign_key("version_id", "versions.id", nullable=False, index=True),
    sa.Column("goes_live", sa.Boolean, nullable=False),
    _text("by"),
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
    _json("folders"),  # in which the channel may have files of the product
    sa.Column("synced_at", UtcDateTime),
    _text("url"),
)

# The search tags of versions, e.g. `batch:ID`, `category:CHAIRS`, `word:chair`.
version_tags = sa.Table(
    "version_tags",
    metadata,
    _foreign_key("version_id", "versions.id", primary_key=True),
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
    _id(),
    sa.Column("run_id", sa.String(40), nullable=False),
    sa.Column("provider", sa.String(40), nullable=False),
    sa.Column("sku", sa.String(500), nullable=False),
    sa.Column("category", sa.String(200), nullable=False),
    sa.Column("deliverable", sa.String(40), nullable=False),
    sa.Column("batch_id", sa.String(40), nullable=False, default="", server_default=""),
    sa.Column("state", sa.String(16), nullable=False),  # a diagram of them is in store/tasks.py
    _text("ref"),
    _json("order"),
    _json("result"),
    sa.Column("estimate_usd", sa.Float, nullable=False),
    sa.Column("cost_usd", sa.Float),
    _text("error"),
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
)

history = sa.Table(
    "history",
    metadata,
    _id(),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("sku", sa.String(500), nullable=False, index=True),
    sa.Column("version_id", sa.String(40), index=True),
    sa.Column("what", sa.String(40), key="event", nullable=False),
    _text("by"),
    _text("detail"),
    _address(),
)

# Who did what. Triggers refuse changes and deletions.
audit = sa.Table(
    "audit",
    metadata,
    _id(),
    sa.Column("at", UtcDateTime, nullable=False, index=True),
    _text("by"),
    _address(),
    sa.Column("action", sa.String(40), nullable=False),
    _text("subject"),
    _text("detail"),
)

users = sa.Table(
    "users",
    metadata,
    _id(),
    sa.Column("name", sa.String(80), nullable=False, unique=True),
    sa.Column("role", sa.String(16), nullable=False),
    _text("password_hash"),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False, default=True, server_default=sa.true()),
)

# API tokens and one-time login links, by the hash of the secret.
credentials = sa.Table(
    "credentials",
    metadata,
    _id(),
    _foreign_key("user_id", "users.id", nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    _text("label"),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime),
    sa.Column("used_at", UtcDateTime),
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
    _json("value"),
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
    _json("body"),
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
    _json("files"),
    _json("metadata"),
    sa.Column("updated_at", UtcDateTime, nullable=False),
)
