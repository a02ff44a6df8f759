"""Users, their roles and their credentials: passwords, sessions, API tokens, one-time links.

Only hashes are stored.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from werkzeug.security import check_password_hash, generate_password_hash

from dam_connector.domain.ids import new_id
from dam_connector.domain.passwords import MAX_LENGTH, normalize_password, password_problem
from dam_connector.domain.roles import UserRole
from dam_connector.errors import LoginRefused
from dam_connector.ports import Clock
from dam_connector.store.api_tokens import Token, record_use, token_from_row
from dam_connector.store.audit import COMMAND_LINE, insert_entry
from dam_connector.store.database import Database
from dam_connector.store.sign_on_age import is_known_by_provider
from dam_connector.store.tables import credentials
from dam_connector.store.tables import users as t

__all__ = ["Token", "User", "UserRole", "Users"]

TOKEN_PREFIX = "damc_"
SIGN_ON = "single sign-on"  # who did what follows from a login through the OpenID provider
LINK_LIFETIME = timedelta(hours=24)
# Compared with if there is no such user, so that the answer takes equally long. No password has it. To hash
# one at import would take an eighth of a second in each process.
_NOBODY_HASH = f"scrypt:32768:8:1$nobody${'0' * 128}"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user who may log in."""

    id: str
    name: str
    role: UserRole


class Users:
    """The tables of users and credentials. Each change is in the audit log, in the same transaction."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        session_hours: int = 12,
        token_days: int = 90,
        sign_on_max_age_days: int = 0,
    ) -> None:
        """Open the tables. The numbers are the settings of these names."""
        self._db, self._clock, self._max_age_days = db, clock, sign_on_max_age_days
        self._token_days = token_days
        self._session_lifetime = timedelta(hours=session_hours)

    def add(self, name: str, role: UserRole, password: str | None = None, *, by: str = COMMAND_LINE) -> User:
        """Add a user, or change role and password of the user with this name.

        A new password, and the removal of one, end all sessions of the user and use up open login links.

        Args:
            name: the user's name.
            role: the user's role.
            password: the password; empty: the user has none from now on; None: it stays as it is.
            by: the name of whoever does it.

        Raises:
            ValueError: the password is refused; the message gives the reason.
        """
        if password and (problem := password_problem(password, name)):
            raise ValueError(problem)
        now = self._clock.now()
        changes: dict[str, Any] = {"role": role.value, "active": True}
        if password is not None:
            changes["password_hash"] = _password_hash(password) if password else ""
        with self._db.write() as c:
            before = c.execute(sa.select(t).where(t.c.name == name)).one_or_none()
            if before is None:
                c.execute(sa.insert(t).values(id=new_id("usr", now), name=name, created_at=now, **changes))
            else:
                c.execute(sa.update(t).where(t.c.name == name).values(changes))
            row = c.execute(sa.select(t).where(t.c.name == name)).one()
            if password is not None:
                self._end(c, row.id, "session", "link")
            self._audit(c, "user_changed" if before else "user_added", by, name, _changes(before, changes))
        return _user(row)

    def deactivate(self, name: str, *, by: str = COMMAND_LINE) -> bool:
        """Deactivate a user and delete all credentials; return False if there is no such active user."""
        with self._db.write() as c:
            row = c.execute(sa.select(t).where(t.c.name == name, t.c.active)).one_or_none()
            if row is None:
                return False
            c.execute(sa.update(t).where(t.c.id == row.id).values(active=False))
            self._end(c, row.id, "session", "link", "token")
            self._audit(c, "user_deactivated", by, name)
        return True

    def remove(self, name: str, *, by: str = COMMAND_LINE) -> bool:
        """Delete a user with all credentials; return False if there is none. The audit log stays as it is."""
        with self._db.write() as c:
            row = c.execute(sa.select(t).where(t.c.name == name)).one_or_none()
            if row is None:
                return False
            self._end(c, row.id, "session", "link", "token")
            c.execute(sa.delete(t).where(t.c.id == row.id))
            self._audit(c, "user_removed", by, name)
        return True

    def get(self, user_id: str) -> User | None:
        """Return an active user by id, or None."""
        with self._db.read() as c:
            row = c.execute(sa.select(t).where(t.c.id == user_id, t.c.active)).one_or_none()
        return _user(row) if row else None

    def all(self) -> list[User]:
        """Return all active users by name."""
        with self._db.read() as c:
            return [_user(row) for row in c.execute(sa.select(t).where(t.c.active).order_by(t.c.name))]

    def inactive_names(self) -> list[str]:
        """Return the names of the users that were deactivated."""
        with self._db.read() as c:
            return list(c.execute(sa.select(t.c.name).where(~t.c.active).order_by(t.c.name)).scalars())

    def authenticate(self, name: str, password: str) -> User | None:
        """Return the user with this name and password, or None.

        It takes equally long if the name does not exist.
        """
        with self._db.read() as c:
            row = c.execute(sa.select(t).where(t.c.name == name, t.c.active)).one_or_none()
        is_correct = check_password_hash(
            row.password_hash if row and row.password_hash else _NOBODY_HASH,
            normalize_password(password[:MAX_LENGTH]),
        )
        return _user(row) if row and row.password_hash and is_correct else None

    def refuse_login(self, name: str, reason: str = "") -> None:
        """Record a login that failed, with the reason if there is more to say than that it did."""
        with self._db.write() as c:
            self._audit(c, "login_failed", "", name[:80], reason)

    def begin_session(self, user: User, how: str) -> str:
        """Begin a session after a login and return its secret.

        Args:
            user: who logged in.
            how: e.g. `password` or `link`.
        """
        with self._db.write() as c:
            self._audit(c, "login", user.name, user.name, how)
            return self._insert_credential(c, user, "session", how, self._session_lifetime)

    def sign_on(self, subject: str, name: str, role: UserRole) -> str:
        """Log in a person whom the OpenID provider vouches for; return the session's secret.

        The user is added at the first login, and has the role of the last one.

        Args:
            subject: the person's identity at the provider.
            name: the name of a new user; one who exists keeps the own name.
            role: the role that the provider's claims grant.

        Raises:
            LoginRefused: the user is deactivated, or the name belongs to another user.
        """
        try:
            return self._sign_on(subject, name, role)
        except sa.exc.IntegrityError:  # the same person's other login was a moment earlier
            return self._sign_on(subject, name, role)

    def _sign_on(self, subject: str, name: str, role: UserRole) -> str:
        now = self._clock.now()
        with self._db.write() as c:
            row = c.execute(sa.select(t).where(t.c.subject == subject)).one_or_none()
            if row is not None and not row.active:
                raise LoginRefused("this account is deactivated; ask an admin")
            if row is None:
                if any(
                    other.casefold() == name.casefold() for other in c.execute(sa.select(t.c.name)).scalars()
                ):
                    raise LoginRefused(
                        f"there is another user named {name}; an admin removes that one first: "
                        "dam-connector user remove NAME"
                    )
                values = {"name": name, "subject": subject, "role": role.value, "created_at": now}
                c.execute(sa.insert(t).values(id=new_id("usr", now), signed_on_at=now, **values))
                self._audit(c, "user_added", SIGN_ON, name, f"role {role.value}")
            elif row.role != role:
                c.execute(sa.update(t).where(t.c.id == row.id).values(role=role.value))
                self._audit(c, "user_changed", SIGN_ON, row.name, f"role {row.role} to {role.value}")
            c.execute(sa.update(t).where(t.c.subject == subject).values(signed_on_at=now))
            user = _user(c.execute(sa.select(t).where(t.c.subject == subject)).one())
            self._audit(c, "login", user.name, user.name, SIGN_ON)
            return self._insert_credential(c, user, "session", SIGN_ON, self._session_lifetime)

    def end_sign_on(self, subject: str) -> None:
        """Remove the user of a person to whom the provider grants no role any more, with all credentials."""
        with self._db.read() as c:
            name = c.execute(
                sa.select(t.c.name).where(t.c.subject == subject, t.c.active)
            ).scalar_one_or_none()
        if name is not None:
            self.remove(name, by=SIGN_ON)

    def by_session(self, secret: str) -> User | None:
        """Return the user of a session, or None when it is over."""
        row = self._credential("session", secret)
        return self.get(row.user_id) if row else None

    def end_session(self, secret: str) -> None:
        """End one session."""
        row = self._credential("session", secret)
        if row is None:
            return
        with self._db.write() as c:
            c.execute(sa.delete(credentials).where(credentials.c.id == row.id))
            name = c.execute(sa.select(t.c.name).where(t.c.id == row.user_id)).scalar_one()
            self._audit(c, "logout", name, name)

    def end_sessions(self, user: User, *, by: str = COMMAND_LINE) -> int:
        """End all sessions of a user and return how many."""
        with self._db.write() as c:
            count = self._end(c, user.id, "session")
            self._audit(c, "logout_everywhere", by, user.name, f"{count} sessions")
        return count

    def session_count(self, user: User) -> int:
        """Return how many sessions of a user are open."""
        query = sa.select(credentials.c.id).where(
            credentials.c.user_id == user.id,
            credentials.c.kind == "session",
            credentials.c.expires_at > self._clock.now(),
        )
        with self._db.read() as c:
            return self._db.count(c, query)

    def add_token(self, user: User, label: str, days: int | None = None, *, by: str = COMMAND_LINE) -> str:
        """Create an API token and return it. It is not stored and cannot be shown again.

        Args:
            user: whose token it is.
            label: its purpose.
            days: how long it is valid; None: as long as the settings say.
            by: the name of whoever does it.
        """
        days = days or self._token_days
        with self._db.write() as c:
            self._audit(c, "token_added", by, user.name, f"{label}, valid for {days} day{'s' * (days != 1)}")
            return self._insert_credential(c, user, "token", label, timedelta(days=days), TOKEN_PREFIX)

    def tokens(self) -> list[Token]:
        """Return the valid tokens of all users, the newest first."""
        query = (
            sa.select(credentials, t.c.name.label("user_name"), t.c.subject, t.c.signed_on_at)
            .join(t, t.c.id == credentials.c.user_id)
            .where(credentials.c.kind == "token", self._is_valid(), self._is_known())
            .order_by(credentials.c.id.desc())
        )
        with self._db.read() as c:
            return [token_from_row(row, self._max_age_days) for row in c.execute(query)]

    def revoke_token(self, token_id: str, *, by: str = COMMAND_LINE) -> bool:
        """Delete a token by its id; return False if there is none."""
        found = next((token for token in self.tokens() if token.id == token_id), None)
        if found is None:
            return False
        with self._db.write() as c:
            c.execute(sa.delete(credentials).where(credentials.c.id == token_id))
            self._audit(c, "token_revoked", by, found.user_name, f"{found.label} {token_id}")
        return True

    def add_login_link(self, user: User, *, by: str = COMMAND_LINE) -> str:
        """Create a login link and return its secret. It can be used once, within LINK_LIFETIME."""
        with self._db.write() as c:
            self._audit(c, "login_link_added", by, user.name)
            return self._insert_credential(c, user, "link", "one-time login", LINK_LIFETIME)

    def by_token(self, token: str) -> User | None:
        """Return the user of an API token, or None."""
        row = self._credential("token", token)
        current = sa.select(t).where(t.c.id == row.user_id, t.c.active, self._is_known()) if row else None
        with self._db.read() as c:
            found = c.execute(current).one_or_none() if current is not None else None
        if found is not None:
            record_use(self._db, row, self._clock.now())
        return _user(found) if found else None

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
        """Delete sessions, tokens and links that expired, and links that were used; return how many."""
        expired = sa.or_(credentials.c.expires_at <= self._clock.now(), credentials.c.used_at.is_not(None))
        with self._db.write() as c:
            return c.execute(sa.delete(credentials).where(expired)).rowcount

    def _insert_credential(
        self, c: sa.Connection, user: User, kind: str, label: str, lifetime: timedelta, prefix: str = ""
    ) -> str:
        secret, now = prefix + secrets.token_urlsafe(32), self._clock.now()
        c.execute(
            sa.insert(credentials).values(
                id=new_id("crd", now),
                user_id=user.id,
                kind=kind,
                hash=_hash(secret),
                label=label,
                created_at=now,
                expires_at=now + lifetime,
            )
        )
        return secret

    def _end(self, c: sa.Connection, user_id: str, *kinds: str) -> int:
        """Delete the credentials of some kinds of a user; return how many."""
        return c.execute(
            sa.delete(credentials).where(credentials.c.user_id == user_id, credentials.c.kind.in_(kinds))
        ).rowcount

    def _audit(self, c: sa.Connection, action: str, by: str, subject: str, detail: str = "") -> None:
        insert_entry(c, self._clock, action, by=by, subject=subject, detail=detail)

    def _is_valid(self) -> sa.ColumnElement[bool]:
        return sa.or_(credentials.c.expires_at.is_(None), credentials.c.expires_at > self._clock.now())

    def _is_known(self) -> sa.ColumnElement[bool]:
        return is_known_by_provider(self._clock.now(), self._max_age_days)

    def _credential(self, kind: str, secret: str) -> Any:
        with self._db.read() as c:
            return c.execute(
                sa.select(credentials).where(
                    credentials.c.kind == kind, credentials.c.hash == _hash(secret), self._is_valid()
                )
            ).one_or_none()


def _password_hash(password: str) -> str:
    return generate_password_hash(normalize_password(password))


def _changes(before: Any, changes: dict[str, Any]) -> str:
    """Return the changes of a user, for people; a password is only named."""
    parts = []
    if before is None or before.role != changes["role"]:
        parts.append(
            f"role {changes['role']}" if before is None else f"role {before.role} to {changes['role']}"
        )
    if before is not None and not before.active:
        parts.append("active again")
    if "password_hash" in changes:
        parts.append("a new password" if changes["password_hash"] else "no password")
    return ", ".join(parts)


def _hash(secret: str) -> str:
    # The secret has 256 random bits, so no slow hash is needed.
    return hashlib.sha256(secret.encode()).hexdigest()


def _user(row: Any) -> User:
    return User(id=row.id, name=row.name, role=UserRole(row.role))
