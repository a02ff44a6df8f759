"""Errors of the database: which of them pass, and the log of its outages."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from dam_connector.errors import StorageUnavailable
from dam_connector.outages import OutageLog

LOCK_STATES = ("55P03", "40P01", "40001")  # of PostgreSQL: lock timeout, deadlock, serialization
AWAY_STATES = ("57P", "08")  # it stops or starts, or the connection is gone


class DatabaseErrors:
    """The errors of one database.

    Its outages are logged here, once for all callers: `database_away` and `database_back`.
    """

    def __init__(self) -> None:
        self.outage = OutageLog("database")
        self._ends_by_write = False  # a database whose disk is full may be read all the same

    @contextmanager
    def translated(self, operation: str) -> Iterator[None]:
        """Raise StorageUnavailable for errors that pass: it is away, locked, or its disk is full.

        Errors of our own statements stay as they are.
        """
        try:
            yield
        except sa.exc.DBAPIError as error:
            if not _is_passing(error):
                raise
            cause = str(error.orig).strip().partition("\n")[0]
            if not _is_lock(error):
                self._ends_by_write = operation != "read" and not _is_away(error)
                self.outage.away(cause)
            raise StorageUnavailable("database", operation, cause) from error
        except sa.exc.TimeoutError as error:  # every connection of the pool is in use
            raise StorageUnavailable("database", operation, "too many connections are open") from error
        if self.outage.is_away and (operation != "read" or not self._ends_by_write):
            self.outage.back()


def _is_passing(error: sa.exc.DBAPIError) -> bool:
    """Return whether an error may be gone at the next try, and does not lie in our statement."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return isinstance(error, sa.exc.OperationalError) and code != sqlite3.SQLITE_ERROR
    return isinstance(error, (sa.exc.OperationalError, sa.exc.InterfaceError)) or error.connection_invalidated


def _is_lock(error: sa.exc.DBAPIError) -> bool:
    """Return whether a statement waited too long for others, or was chosen to end a deadlock."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return getattr(error.orig, "sqlstate", None) in LOCK_STATES


def _is_away(error: sa.exc.DBAPIError) -> bool:
    """Return whether there is no connection, so that nothing can be read either."""
    if getattr(error.orig, "sqlite_errorcode", None) is not None:
        return False
    return error.connection_invalidated or (getattr(error.orig, "sqlstate", None) or "08").startswith(
        AWAY_STATES
    )
