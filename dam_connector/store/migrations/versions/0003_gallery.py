"""Search tags of versions; iterations of batches; which runs a batch asked for."""

import re
import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "version_tags",
        sa.Column("version_id", sa.String(length=40), nullable=False),
        sa.Column("tag", sa.String(length=120).with_variant(sa.String(length=120, collation="C"), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_version_tags_version_id_versions")),
        sa.PrimaryKeyConstraint("version_id", "tag", name=op.f("pk_version_tags")),
    )
    op.create_index(op.f("ix_version_tags_tag_version_id"), "version_tags", ["tag", "version_id"], unique=False)
    op.create_index(op.f("ix_publications_channel_version_id"), "publications", ["channel", "version_id"], unique=False)
    op.create_index(op.f("ix_products_deleted_flagged_id"), "products", ["deleted", "flagged", "id"], unique=False)
    op.create_index(op.f("ix_version_files_name"), "version_files", ["name"], unique=False)
    op.create_index(op.f("ix_library_version_id"), "library", ["version_id"], unique=False)
    op.add_column("batches", sa.Column("turn", sa.Integer(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("bulk", sa.Boolean(), server_default=sa.false(), nullable=False))
    _tag_existing_versions()


def _tag_existing_versions() -> None:
    c = op.get_bind()
    known = c.execute(
        sa.text(
            "SELECT v.id, a.sku, a.deliverable, p.name, p.category FROM versions v JOIN assets a ON a.id = v.asset_id LEFT JOIN products p ON p.sku = a.sku"
        )
    )
    rows = [
        {"version_id": row.id, "tag": tag}
        for row in known
        for tag in _tags(sku=row.sku, name=row.name or "", category=row.category or "", deliverable=row.deliverable)
    ]
    table = sa.table("version_tags", sa.column("version_id"), sa.column("tag"))
    for start in range(0, len(rows), 5000):
        c.execute(sa.insert(table), rows[start : start + 5000])


def _tags(*, sku: str, name: str, category: str, deliverable: str) -> list[str]:
    """Return the tags of a version, as this release made them."""
    words = dict.fromkeys([sku.lower(), *_words(sku), *_words(name)])
    tags = [f"deliverable:{deliverable}", *(f"word:{word}" for word in words)]
    tags += [f"category:{category}"] if category else []
    return list(dict.fromkeys(tag[:120] for tag in tags))


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return [word.lower() for word in re.findall(r"[A-Za-z0-9]+", plain)]
