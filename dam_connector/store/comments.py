"""Comments on versions, with their pins, threads and mentions."""

from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.codec import from_plain, to_plain
from dam_connector.domain.comment import Anchor, Comment, ModelAnchor, PictureAnchor
from dam_connector.domain.ids import new_id
from dam_connector.domain.version import Version
from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.review_tables import comment_mentions
from dam_connector.store.review_tables import comments as t
from dam_connector.store.tables import assets, versions

MAX_MENTIONS_LISTED = 50
_written = versions.alias("written")
_resolving = versions.alias("resolving")
_COMMENTS = (
    sa.select(t, _written.c.number.label("version_number"), _resolving.c.number.label("resolved_number"))
    .join(_written, _written.c.id == t.c.version_id)
    .outerjoin(_resolving, _resolving.c.id == t.c.resolved_version_id)
    .order_by(t.c.id)
)


class Comments:
    """The tables of comments. Their texts never change; comments are only resolved and opened again."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def add(
        self,
        version: Version,
        *,
        text: str,
        by: str,
        anchor: Anchor | None = None,
        parent_id: str | None = None,
        mentions: Iterable[str] = (),
    ) -> str:
        """Store a comment and return its id.

        Args:
            version: the version on which it is written.
            text: what it says.
            by: the name of its author.
            anchor: where it is pinned; None: it is about the whole version.
            parent_id: the comment that it replies to.
            mentions: the names of the users whom it mentions.
        """
        now = self._clock.now()
        comment_id = new_id("com", now)
        values = {
            "id": comment_id,
            "asset_id": version.asset.id,
            "version_id": version.id,
            "parent_id": parent_id,
            "by": by,
            "text": text,
            "at": now,
            "anchor": to_plain(anchor),
        }
        with self._db.write() as c:
            c.execute(sa.insert(t).values(values))
            if rows := [{"comment_id": comment_id, "name": name} for name in mentions]:
                c.execute(sa.insert(comment_mentions), rows)
        return comment_id

    def get(self, comment_id: str) -> Comment | None:
        """Return a comment by its id, or None."""
        return next(iter(self._where(t.c.id == comment_id)), None)

    def of_version(self, version: Version) -> list[Comment]:
        """Return the comments on a version and on the earlier ones of its asset, the oldest first."""
        return self._where(t.c.asset_id == version.asset.id, _written.c.number <= version.number)

    def of_versions(self, version_ids: Collection[str]) -> list[Comment]:
        """Return the comments that were written on some versions, the oldest first."""
        return self._where(t.c.version_id.in_(list(version_ids)))

    def set_resolved(self, comment_id: str, *, version_id: str | None, by: str) -> None:
        """Record that a version resolves a comment; None: it is open again."""
        values = {
            "resolved_at": self._clock.now() if version_id else None,
            "resolved_by": by if version_id else "",
            "resolved_version_id": version_id,
        }
        with self._db.write() as c:
            c.execute(sa.update(t).where(t.c.id == comment_id).values(values))

    def open_mentions(self, name: str) -> list[tuple[Comment, str]]:
        """Return the newest comments that mention a user in open threads, each with the SKU of its asset."""
        newest = _mentions_of(name).order_by(t.c.id.desc()).limit(MAX_MENTIONS_LISTED)
        with self._db.read() as c:
            ids = list(c.execute(newest).scalars())
            of_assets = sa.select(assets.c.id, assets.c.sku).join(t, t.c.asset_id == assets.c.id)
            skus = {row.id: row.sku for row in c.execute(of_assets.where(t.c.id.in_(ids)))}
        found = self._where(t.c.id.in_(ids))
        return [(comment, skus[comment.asset_id]) for comment in reversed(found)]

    def open_mention_count(self, name: str) -> int:
        """Return how many comments in open threads mention a user."""
        with self._db.read() as c:
            return self._db.count(c, _mentions_of(name), MAX_MENTIONS_LISTED)

    def _where(self, *conditions: Any) -> list[Comment]:
        with self._db.read() as c:
            rows = c.execute(_COMMENTS.where(*conditions)).all()
            mentions: dict[str, list[str]] = {}
            for row in c.execute(
                sa.select(comment_mentions).where(comment_mentions.c.comment_id.in_([r.id for r in rows]))
            ):
                mentions.setdefault(row.comment_id, []).append(row.name)
        return [_comment(row, mentions.get(row.id, ())) for row in rows]


def _mentions_of(name: str) -> Any:
    """Return the query for the ids of the comments that mention a user in open threads."""
    thread = t.alias("thread")
    return (
        sa.select(t.c.id)
        .join(comment_mentions, comment_mentions.c.comment_id == t.c.id)
        .join(thread, thread.c.id == sa.func.coalesce(t.c.parent_id, t.c.id))
        .where(comment_mentions.c.name == name, thread.c.resolved_at.is_(None))
    )


def _comment(row: Any, mentions: Iterable[str]) -> Comment:
    return Comment(
        id=row.id,
        asset_id=row.asset_id,
        version_id=row.version_id,
        version_number=row.version_number,
        parent_id=row.parent_id,
        by=row.by,
        text=row.text,
        at=row.at,
        anchor=_anchor(row.anchor),
        mentions=tuple(sorted(mentions)),
        resolved_at=row.resolved_at,
        resolved_by=row.resolved_by,
        resolved_number=row.resolved_number,
    )


def _anchor(data: Any) -> Anchor | None:
    if data is None:
        return None
    return from_plain(ModelAnchor, data) if "point" in data else from_plain(PictureAnchor, data)
