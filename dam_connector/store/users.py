"""Users, their roles and their credentials: passwords, API tokens, one-time links. Only hashes are stored."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from werkzeug.security import check_password_hash, generate_password_hash

from dam_connector.domain.ids import new_id
from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.tables import credentials
from dam_connector.store.tables import users as t

TOKEN_PREFIX = "damc_"
LINK_LIFETIME = timedelta(hours=24)
MIN_PASSWORD_LENGTH = 10
# compared with if there is no such user, so that the answer takes equally long
_NOBODY_HASH = generate_password_hash(secrets.token_hex())


class UserRole(StrEnum):
    """What a user may do. Each role may do everything that the roles before it may."""

    VIEWER = "viewer"
    MERCHANDISER = "merchandiser"
    REVIEWER = "reviewer"
    ADMIN = "admin"

    def includes(self, other: "UserRole") -> bool:
        """Return True if this role may do what another role may."""
        order = list(UserRole)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user who may log in."""

    id: str
    name: str
    role: UserRole


class Users:
    """The tables of users and credentials."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def add(self, name: str, role: UserRole, password: str = "") -> User:
        """Add a user, or change role and password of the user with this name.

        Args:
            name: The user's name.
            role: The user's role.
            password: The password; empty: none, or the one that the user has.

        Raises:
            ValueError: The password is too short.
        """
        if password and len(password) < MIN_PASSWORD_LENGTH:
            raise ValueError(f"a password has at least {MIN_PASSWORD_LENGTH} characters")
        now = self._clock.now()
        changes: dict[str, Any] = {"role": role.value, "active": True} | (
            {"password_hash": generate_password_hash(password)} if password else {}
        )
        with self._db.write() as c:
            self._db.insert_new(c, t, {"id": new_id("usr", now), "name": name, "created_at": now, **changes})
            c.execute(sa.update(t).where(t.c.name == name).values(changes))
            row = c.execute(sa.select(t).where(t.c.name == name)).one()
        return _user(row)

    def get(self, user_id: str) -> User | None:
        """Return an active user by id, or None."""
        with self._db.read() as c:
            row = c.execute(sa.select(t).where(t.c.id == user_id, t.c.active)).one_or_none()
        return _user(row) if row else None

    def all(self) -> list[User]:
        """Return all active users by name."""
        with self._db.read() as c:
            return [_user(row) for row in c.execute(sa.select(t).where(t.c.active).order_by(t.c.name))]

    def authenticate(self, name: str, password: str) -> User | None:
        """Return the user with this name and password, or None.

        It takes equally long if the name does not exist.
        """
        with self._db.read() as c:
            row = c.execute(sa.select(t).where(t.c.name == name, t.c.active)).one_or_none()
        is_correct = check_password_hash(
            row.password_hash if row and row.password_hash else _NOBODY_HASH, password
        )
        return _user(row) if row and row.password_hash and is_correct else None

    def add_token(self, user: User, label: str, days: int | None = None) -> str:
        """Create an API token and return it. It is not stored and cannot be shown again.

        Args:
            user: Whose token it is.
            label: What it is used for.
            days: How long it is valid; None: without end.
        """
        return TOKEN_PREFIX + self._add_credential(
            user, "token", label, timedelta(days=days) if days else None, TOKEN_PREFIX
        )

    def add_login_link(self, user: User) -> str:
        """Create a login link and return its secret. It can be used once, within LINK_LIFETIME."""
        return self._add_credential(user, "link", "one-time login", LINK_LIFETIME)

    def _add_credential(
        self, user: User, kind: str, label: str, lifetime: timedelta | None, prefix: str = ""
    ) -> str:
        secret, now = secrets.token_urlsafe(32), self._clock.now()
        with self._db.write() as c:
            c.execute(
                sa.insert(credentials).values(
                    id=new_id("crd", now),
                    user_id=user.id,
                    kind=kind,
                    hash=_hash(prefix + secret),
                    label=label,
                    created_at=now,
                    expires_at=now + lifetime if lifetime else None,
                )
            )
        return secret

    def by_token(self, token: str) -> User | None:
        """Return the user of an API token, or None."""
        row = self._credential("token", token)
        return self.get(row.user_id) if row else None

    def use_login_link(self, secret: str) -> User | None:
        """Return the user of a login link and invalidate the link; None if it is not valid."""
        row = self._credential("link", secret)
        if row is None:
            return None
        with self._db.write() as c:
            used = c.execute(
                sa.update(credentials)
                .where(credentials.c.id == row.id, credentials.c.used_at.is_(None))
                .values(used_at=self._clock.now())
            )
        return self.get(row.user_id) if used.rowcount == 1 else None

    def delete_expired_credentials(self) -> int:
        """Delete tokens and links that expired, and links that were used; return how many."""
        expired = sa.or_(credentials.c.expires_at <= self._clock.now(), credentials.c.used_at.is_not(None))
        with self._db.write() as c:
            return c.execute(sa.delete(credentials).where(expired)).rowcount

    def _credential(self, kind: str, secret: str) -> Any:
        valid = sa.or_(credentials.c.expires_at.is_(None), credentials.c.expires_at > self._clock.now())
        with self._db.read() as c:
            return c.execute(
                sa.select(credentials).where(
                    credentials.c.kind == kind, credentials.c.hash == _hash(secret), valid
                )
            ).one_or_none()


def _hash(secret: str) -> str:
    # The secret has 256 random bits, so no slow hash is needed.
    return hashlib.sha256(secret.encode()).hexdigest()


def _user(row: Any) -> User:
    return User(id=row.id, name=row.name, role=UserRole(row.role))
