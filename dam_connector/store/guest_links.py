"""Links by which guests review a part of the assets without an account. Only hashes of secrets are stored."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.guest_link import GuestScope
from dam_connector.domain.ids import new_id
from dam_connector.ports import Clock
from dam_connector.store.audit import insert_entry
from dam_connector.store.database import Database
from dam_connector.store.review_tables import guest_links as t


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestLink:
    """A link, without its secret."""

    id: str
    name: str  # of the guest, e.g. "Agency Blue"
    scope: GuestScope
    value: str  # the id of the batch, the category or the SKU
    may_decide: bool  # False: only comment
    stage: str  # the stage of the review in which the guest decides; empty: where there are no stages
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None

    @property
    def author(self) -> str:
        """Return the name under which comments and decisions are recorded; no user can have it."""
        return f"{self.name} (guest)"

    def is_open(self, now: datetime) -> bool:
        """Return True if it may be used."""
        return self.revoked_at is None and now < self.expires_at


class GuestLinks:
    """The table of guest links. Each change is in the audit log, in the same transaction."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def add(
        self,
        *,
        name: str,
        scope: GuestScope,
        value: str,
        may_decide: bool,
        days: int,
        by: str,
        stage: str = "",
    ) -> tuple[str, str]:
        """Create a link; return its id and its secret, which is not stored and cannot be shown again.

        Args:
            name: the guest's name.
            scope: what it opens.
            value: the id of the batch, the category or the SKU.
            may_decide: whether the guest decides; otherwise only comments.
            days: how long it is valid.
            by: the name of whoever creates it.
            stage: the stage of the review in which the guest decides.
        """
        now, secret = self._clock.now(), secrets.token_urlsafe(32)
        link_id = new_id("gst", now)
        values = {
            "id": link_id,
            "hash": _hash(secret),
            "name": name,
            "scope": scope.value,
            "value": value,
            "may_decide": may_decide,
            "stage": stage,
            "created_by": by,
            "created_at": now,
            "expires_at": now + timedelta(days=days),
        }
        right = "comment and decide" if may_decide else "comment"
        detail = f"{link_id}: {right} on {scope.value} {value}, valid for {days} day{'s' * (days != 1)}"
        with self._db.write() as c:
            c.execute(sa.insert(t).values(values))
            insert_entry(c, self._clock, "guest_link_added", by=by, subject=name, detail=detail)
        return link_id, secret

    def by_secret(self, secret: str) -> GuestLink | None:
        """Return the link of a secret if it may still be used, or None."""
        with self._db.read() as c:
            row = c.execute(sa.select(t).where(t.c.hash == _hash(secret))).one_or_none()
        link = _link(row) if row else None
        return link if link and link.is_open(self._clock.now()) else None

    def note_use(self, link: GuestLink) -> None:
        """Record in the audit log that a guest opened a link."""
        with self._db.write() as c:
            insert_entry(c, self._clock, "guest_link_used", by=link.author, subject=link.name, detail=link.id)

    def revoke(self, link_id: str, *, by: str) -> bool:
        """Revoke a link from now on; return False if there is none that is open."""
        now = self._clock.now()
        with self._db.write() as c:
            row = c.execute(sa.select(t).where(t.c.id == link_id, t.c.revoked_at.is_(None))).one_or_none()
            if row is None:
                return False
            c.execute(sa.update(t).where(t.c.id == link_id).values(revoked_at=now))
            insert_entry(c, self._clock, "guest_link_revoked", by=by, subject=row.name, detail=link_id)
        return True

    def has_name(self, name: str) -> bool:
        """Return whether a link, open or closed, has a name."""
        with self._db.read() as c:
            return c.execute(sa.select(t.c.id).where(t.c.name == name).limit(1)).first() is not None

    def all(self) -> list[GuestLink]:
        """Return all links, the newest first."""
        with self._db.read() as c:
            return [_link(row) for row in c.execute(sa.select(t).order_by(t.c.id.desc()).limit(500))]


def _hash(secret: str) -> str:
    # The secret has 256 random bits, so no slow hash is needed.
    return hashlib.sha256(secret.encode()).hexdigest()


def _link(row: Any) -> GuestLink:
    values = {k: v for k, v in row._mapping.items() if k not in ("hash", "scope")}
    return GuestLink(scope=GuestScope(row.scope), **values)
