"""The database: transactions on SQLite or PostgreSQL.

A use case that promises something opens `transaction()` once: every read and write of the same thread until
its end belongs to it, so that all of it is stored or nothing. What only makes sense afterwards, e.g. a
wake-up, waits in `after_commit`.

SQLite runs in WAL mode with synchronous FULL. A writing transaction begins IMMEDIATE, so that it waits when
it begins and never fails when it commits. Reading has an engine of its own, since one leaked read on the
writing engine gives "database is locked".
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from dam_connector.errors import ConfigError, StateConflict, StorageUnavailable
from dam_connector.private_files import make_private_dir
from dam_connector.store import revisions
from dam_connector.store.database_errors import DatabaseErrors
from dam_connector.store.sql_connections import open_postgresql, open_sqlite, parse_url

MAX_CONNECTIONS = 30  # of one process to PostgreSQL
MIGRATION_LOCK_S = 20.0  # a migration waits so long for a table that others read
MAX_COUNT = (
    10_000  # nobody reads a greater count, and counting up to it costs the same on any number of records
)


@dataclass(slots=True)
class _OpenTransaction:
    """The writing transaction that a thread has open."""

    connection: sa.Connection
    callbacks: list[Callable[[], object]] = field(default_factory=list)  # to be called after the commit


class Database:
    """A database with one transaction for each `read()` or `write()` block outside a `transaction()`."""

    def __init__(self, url: str, max_connections: int = MAX_CONNECTIONS) -> None:
        """Create a database; connect when it is used first.

        Args:
            url: Its SQLAlchemy URL.
            max_connections: How many connections to PostgreSQL this process may have at once.
        """
        self.url = parse_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._errors = DatabaseErrors()
        self._open: ContextVar[_OpenTransaction | None] = ContextVar("transaction", default=None)
        self._guard: ContextVar[Callable[[sa.Connection], None] | None] = ContextVar("guard", default=None)
        self._write_lock: AbstractContextManager[object]
        if self.is_sqlite:
            # Threads of this process wait here, which is cheap. SQLite would poll.
            self._write_lock = threading.Lock()
            self._reader = open_sqlite(self.url, "BEGIN")
            self._writer = open_sqlite(self.url, "BEGIN IMMEDIATE")
        else:
            self._write_lock = nullcontext()
            self._reader = self._writer = open_postgresql(self.url, max_connections)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a reading transaction: a consistent snapshot of the records.

        Raises:
            StorageUnavailable: The database does not answer.
        """
        current = self._open.get()
        if current:  # what the transaction wrote is seen by its own reads
            yield current.connection
            return
        with self._errors.translated("read"), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open a writing transaction: when the block ends all of it is durable, or nothing if it raises.

        Within a `transaction()` or another `write()` of this thread, the block is a part of it: with SQLite,
        a transaction of its own would wait for the outer one for ever.

        Raises:
            StorageUnavailable: The database does not answer, or cannot write.
        """
        current = self._open.get()
        if current:
            yield current.connection
            return
        with self._transaction() as opened:
            yield opened.connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make one transaction of all reads and writes of this thread until the block ends.

        A block within a block is a savepoint: if it raises, its writes are undone, and the outer block may go
        on. Nothing remote is asked in the block, since others wait for it.

        Raises:
            StorageUnavailable: The database does not answer, or cannot write.
        """
        current = self._open.get()
        if current:
            count = len(current.callbacks)
            try:
                with current.connection.begin_nested():
                    yield
            except BaseException:
                del current.callbacks[count:]
                raise
            return
        with self._transaction():
            yield

    @contextmanager
    def _transaction(self) -> Iterator[_OpenTransaction]:
        with self._begin() as connection:
            opened = _OpenTransaction(connection)
            token = self._open.set(opened)
            try:
                yield opened
            finally:
                self._open.reset(token)
        for callback in opened.callbacks:
            callback()

    @contextmanager
    def guarded(self, check: Callable[[sa.Connection], None]) -> Iterator[None]:
        """Call `check` at the begin of each writing transaction of this thread until the block ends.

        It raises when this thread may write no more, e.g. since its lease was taken over. Within another such
        block, both checks are called.
        """
        outer = self._guard.get()

        def check_both(connection: sa.Connection) -> None:
            if outer:
                outer(connection)
            check(connection)

        token = self._guard.set(check_both)
        try:
            yield
        finally:
            self._guard.reset(token)

    @contextmanager
    def unguarded(self) -> Iterator[None]:
        """Let this thread write until the block ends, although it may have lost its lease.

        It is for the record of what a late worker has done already in an outside system.
        """
        token = self._guard.set(None)
        try:
            yield
        finally:
            self._guard.reset(token)

    def check_guard(self) -> None:
        """Call the check of `guarded`, if there is one.

        Raises:
            StateConflict: This thread may write no more.
        """
        if guard := self._guard.get():
            with self.read() as connection:
                guard(connection)

    def in_transaction(self) -> bool:
        """Return whether this thread has a `transaction()` or a `write()` open."""
        return self._open.get() is not None

    def after_commit(self, callback: Callable[[], object]) -> bool:
        """Call a function once the open transaction is durable, and not at all if it is undone.

        Returns:
            False when no transaction is open: the function is not called.
        """
        current = self._open.get()
        if current:
            current.callbacks.append(callback)
        return current is not None

    @contextmanager
    def _begin(self) -> Iterator[sa.Connection]:
        with self._errors.translated("write"), self._write_lock, self._writer.begin() as connection:
            if guard := self._guard.get():
                guard(connection)
            yield connection

    def insert_new(self, connection: sa.Connection, table: sa.Table, values: dict[str, Any]) -> bool:
        """Insert a row and return True, or return False if a row with one of its unique keys exists."""
        return connection.execute(_insert_new(table, self.is_sqlite), values).first() is not None

    def insert_new_ids(
        self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]
    ) -> set[str]:
        """Insert those rows whose unique keys do not exist yet; return the ids of the inserted rows."""
        return set(
            connection.execute(
                _insert_new(table, self.is_sqlite), rows[0] if len(rows) == 1 else rows
            ).scalars()
        )

    def upsert(self, connection: sa.Connection, table: sa.Table, values: dict[str, Any]) -> None:
        """Insert a row, or overwrite the row with its primary key."""
        insert = sqlite.insert if self.is_sqlite else postgresql.insert
        keys = [c.name for c in table.primary_key]
        rest = {k: v for k, v in values.items() if k not in keys}
        connection.execute(insert(table).values(values).on_conflict_do_update(index_elements=keys, set_=rest))

    def count(self, connection: sa.Connection, query: Any, limit: int = MAX_COUNT) -> int:
        """Return how many rows a query gives, counted up to `limit`."""
        return int(
            connection.execute(
                sa.select(sa.func.count()).select_from(query.limit(limit).subquery())
            ).scalar_one()
        )

    def counts(self, column: Any, values: Iterable[str], *only: Any) -> dict[str, int]:
        """Return how many rows have each of these values in an indexed column, counted up to MAX_COUNT.

        Args:
            column: The column.
            values: The values.
            only: Further conditions on the rows.
        """
        with self.read() as c:
            return {value: self.count(c, sa.select(column).where(column == value, *only)) for value in values}

    def migrate(self, revision: str = "head") -> None:
        """Create or update the tables. One process at a time does it; the others wait."""
        with self.schema_change() as connection:
            self.upgrade(connection, revision)

    @contextmanager
    def schema_change(self) -> Iterator[sa.Connection]:
        """Open a transaction that changes tables. One process at a time does it; the others wait.

        Raises:
            ConfigError: Afterwards, records would name others that do not exist. Nothing is changed.
            StorageUnavailable: Somebody reads a table for long, e.g. a backup. Nothing is changed.
        """
        if self.is_sqlite and self.url.database:
            make_private_dir(Path(self.url.database).parent)
        with (
            self._errors.translated("migrate"),
            self._writer.connect() as connection,
            self._without_foreign_keys(connection),
            connection.begin(),
        ):
            if not self.is_sqlite:
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(2718281828)"))
                # Behind a change that waits for a long reader, e.g. a backup, everybody would wait.
                connection.execute(sa.text(f"SET LOCAL lock_timeout = {int(MIGRATION_LOCK_S * 1000)}"))
            yield connection
            if self.is_sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
                raise ConfigError(f"the change was undone: {len(broken)} records name others that are gone")

    def upgrade(self, connection: sa.Connection, revision: str) -> None:
        """Migrate to a revision in the transaction of `schema_change`."""
        revisions.upgrade(connection, revision)

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """Open a reading transaction in which all statements see the records of one moment.

        Rows are streamed. On SQLite `read` gives the same.

        Raises:
            StorageUnavailable: The database does not answer.
        """
        with self._errors.translated("read"), self._reader.connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection.execution_options(yield_per=500)

    @contextmanager
    def _without_foreign_keys(self, connection: sa.Connection) -> Iterator[None]:
        """Let a migration replace tables of SQLite that others refer to; PostgreSQL needs no such thing."""
        if not self.is_sqlite:
            yield
            return
        raw: Any = connection.connection.dbapi_connection
        raw.execute("PRAGMA foreign_keys=OFF")  # within a transaction it would do nothing
        try:
            yield
        finally:
            raw.execute("PRAGMA foreign_keys=ON")

    def ping(self) -> None:
        """Check that the database answers and has tables.

        Raises:
            StorageUnavailable: It does not.
        """
        try:
            with self.read() as c:
                c.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()
        except sa.exc.SQLAlchemyError as error:
            raise StorageUnavailable("database", "ping", type(error).__name__) from error

    def missing_migration(self) -> str:
        """Return the newest migration of this release if the database does not have it yet, else empty.

        Raises:
            StorageUnavailable: The database does not answer.
        """
        newest = revisions.script_directory().get_current_head() or ""
        return newest if self.current_migration() < newest else ""

    def current_migration(self) -> str:
        """Return the migration that the database has; empty if there are no tables yet."""
        try:
            with self.read() as c:
                return c.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() or ""
        except sa.exc.DBAPIError:  # there is no table yet
            return ""

    def require_schema(self) -> None:
        """Check that the database has the schema of this release; create the tables of a new SQLite file.

        Raises:
            ConfigError: It has the schema of an earlier release, or is a new database of PostgreSQL.
            StorageUnavailable: It does not answer.
        """
        missing = self.missing_migration()
        if not missing:
            return
        if not self.is_sqlite or self.current_migration():
            raise ConfigError(f"the database needs migration {missing}: run dam-connector migrate")
        self.migrate()

    def close(self) -> None:
        """Close all connections."""
        self._reader.dispose()
        self._writer.dispose()


@cache
def _insert_new(table: sa.Table, is_sqlite: bool) -> Any:
    """Build an insert that skips rows whose unique key exists and returns the keys of the others.

    It is built once a table, which halves the time of an insert.
    """
    insert = sqlite.insert if is_sqlite else postgresql.insert
    return insert(table).on_conflict_do_nothing().returning(*table.primary_key)


def require_one_row(result: sa.CursorResult[Any], subject: str) -> None:
    """Check that a statement changed exactly one row, i.e. that a compare-and-set won.

    Args:
        result: The result of the statement.
        subject: What was to be changed, for the message, e.g. "version ver_01k9".

    Raises:
        StateConflict: No row was changed.
    """
    if result.rowcount != 1:
        raise StateConflict(f"{subject} was changed by somebody else meanwhile")


def check_url(url: str) -> None:
    """Check that a database URL is of a supported kind.

    Raises:
        ConfigError: It is not.
    """
    parse_url(url)
