"""Database: units of reading and writing on SQLite or PostgreSQL.

SQLite: WAL, synchronous FULL; a write unit begins IMMEDIATE, so that it waits at its begin and never fails at its
commit; reads have an engine of their own, since one leaked read on the writing engine gives "database is locked".
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.dialects import postgresql, sqlite

from dam_connector.errors import ConfigError, StateConflict, Unavailable

BUSY_TIMEOUT_S = 30
MAX_COUNT = (
    10_000  # nobody reads a greater count, and counting up to it costs the same on any number of records
)
MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """The records' database; `read()` and `write()` are its only doors."""

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._turn: AbstractContextManager[object]
        if self.is_sqlite:
            self._turn = threading.Lock()  # this process' threads wait here, where waiting is cheap, not in SQLite, which asks again and again
            self._reader, self._writer = (
                _sqlite_engine(self.url, "BEGIN"),
                _sqlite_engine(self.url, "BEGIN IMMEDIATE"),
            )
        else:
            self._turn = nullcontext()
            self._reader = self._writer = sa.create_engine(
                self.url, pool_pre_ping=True, pool_size=10, max_overflow=20
            )

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A consistent look at the records."""
        with self._reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A unit of writing: all of it is durable when the block ends, or nothing."""
        with self._turn, self._writer.begin() as connection:
            yield connection

    def insert_new(self, connection: sa.Connection, table: sa.Table, values: dict[str, Any]) -> bool:
        """Whether the row was new; one with any of its unique keys stays as it is."""
        return connection.execute(_insert_new(table, self.is_sqlite), values).first() is not None

    def insert_new_ids(
        self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]
    ) -> set[str]:
        """The ids of those rows that were new."""
        return set(
            connection.execute(
                _insert_new(table, self.is_sqlite), rows[0] if len(rows) == 1 else rows
            ).scalars()
        )

    def upsert(self, connection: sa.Connection, table: sa.Table, values: dict[str, Any]) -> None:
        """Insert a row or overwrite the one with its primary key."""
        insert = sqlite.insert if self.is_sqlite else postgresql.insert
        keys = [c.name for c in table.primary_key]
        rest = {k: v for k, v in values.items() if k not in keys}
        connection.execute(insert(table).values(values).on_conflict_do_update(index_elements=keys, set_=rest))

    def count(self, connection: sa.Connection, query: Any, limit: int = MAX_COUNT) -> int:
        """How many rows a query gives, counted up to `most`."""
        return int(
            connection.execute(
                sa.select(sa.func.count()).select_from(query.limit(limit).subquery())
            ).scalar_one()
        )

    def counts(self, column: Any, values: Iterable[str]) -> dict[str, int]:
        """How many rows have each of these values in an indexed column, each counted up to MANY."""
        with self.read() as c:
            return {value: self.count(c, sa.select(column).where(column == value)) for value in values}

    def migrate(self, revision: str = "head") -> None:
        """Bring the tables up to date, or to a revision. One process at a time does it; the others wait."""
        if self.is_sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self._writer.begin() as connection:
            if not self.is_sqlite:
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(2718281828)"))
            config.attributes["connection"] = connection
            command.upgrade(config, revision)

    def ping(self) -> None:
        """Raises: Unavailable when the database does not answer, or has no tables yet."""
        try:
            with self.read() as c:
                c.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()
        except sa.exc.SQLAlchemyError as error:
            raise Unavailable("database", "ping", type(error).__name__) from error

    def close(self) -> None:
        """Close every connection, at the end."""
        self._reader.dispose()
        self._writer.dispose()


@cache
def _insert_new(table: sa.Table, is_sqlite: bool) -> Any:
    """Insert unless a unique key is taken, giving the keys of what went in; built once, which halves what it costs to run."""
    insert = sqlite.insert if is_sqlite else postgresql.insert
    return insert(table).on_conflict_do_nothing().returning(*table.primary_key)


def _sqlite_engine(url: sa.URL, begin: str) -> sa.Engine:
    engine = sa.create_engine(
        url, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False, "isolation_level": None}
    )

    @sa.event.listens_for(engine, "connect")
    def configure(dbapi_connection: Any, _: object) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            dbapi_connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def start(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def require_one_row(result: sa.CursorResult[Any], subject: str) -> None:
    """Raises: StateConflict unless exactly one row was changed: the compare-and-set won."""
    if result.rowcount != 1:
        raise StateConflict(f"{subject} was changed by somebody else meanwhile")


def check_url(url: str) -> None:
    """Raises: ConfigError when this is no database we run on."""
    try:
        backend = sa.make_url(url).get_backend_name()
    except sa.exc.ArgumentError as error:
        raise ConfigError(
            "DATABASE_URL is not a database URL; use postgresql+psycopg://user@host/name"
        ) from error
    if backend not in ("sqlite", "postgresql"):
        raise ConfigError(f"DATABASE_URL names {backend}; PostgreSQL and SQLite are supported")
