"""All records as lines of JSON that either kind of database reads, and the addresses of blobs in them.

A blob is referenced when its address occurs anywhere in any record: in a column, within JSON, or in the body
of a delivery. So no list of places can be incomplete.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dam_connector.errors import ConfigError
from dam_connector.store import tables as _tables  # noqa: F401 - fills the metadata
from dam_connector.store.columns import metadata
from dam_connector.store.database import Database

TRANSIENT_TABLES = frozenset({"leases"})  # of processes that run now
# A start of the service fills these; a database that has nothing else counts as empty.
START_TABLES = frozenset({"leases", "notes", "rules_seen", "alembic_version"})
# Triggers add to it while others are stored: it comes last, in place of what they added.
TRIGGERED_TABLE = "batch_marks"
ROWS_PER_INSERT = 500
_HEX_RUN = re.compile(rb"[0-9a-f]{64,}")


class TableDump:
    """The records of one moment, table by table. The references are complete when all rows were read."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self.references: set[bytes] = set()  # addresses of blobs, as 32 bytes; others are among them
        self.version_files: set[bytes] = set()  # the addresses of the files of versions
        self.schema: str = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()

    def tables(self) -> list[str]:
        """Return the names of the tables, referenced ones before those that refer to them."""
        names = [table.name for table in metadata.sorted_tables if table.name not in TRANSIENT_TABLES]
        return sorted(names, key=lambda name: name == TRIGGERED_TABLE)

    def lines(self, table: str) -> Iterator[bytes]:
        """Yield the records of a table, each as a line of JSON."""
        columns = metadata.tables[table].columns
        names = [column.name for column in columns]
        for row in self._connection.execute(sa.select(*columns)):
            for value in row:
                if isinstance(value, (bytes, memoryview)):
                    self.references.update(addresses_in(bytes(value)))
            if table == "version_files":
                self.version_files.update(addresses_in(row.sha256.encode()))
            line = json.dumps(dict(zip(names, row, strict=True)), default=_encode).encode()
            self.references.update(addresses_in(line))
            yield line + b"\n"


@contextmanager
def open_dump(db: Database) -> Iterator[TableDump]:
    """Open a dump of all records as they are now.

    Raises:
        StorageUnavailable: The database does not answer.
    """
    with db.snapshot() as connection:
        yield TableDump(connection)


def referenced_blobs(db: Database) -> set[bytes]:
    """Return the addresses, as 32 bytes, of all blobs that any record names."""
    with open_dump(db) as dump:
        for table in dump.tables():
            for _ in dump.lines(table):
                pass
        return dump.references


def addresses_in(data: bytes) -> Iterator[bytes]:
    """Yield each SHA-256 in hexadecimal that a text contains, as 32 bytes, whatever is beside it."""
    for run in _HEX_RUN.finditer(data):
        text = run.group().decode()
        for start in range(len(text) - 63):
            yield bytes.fromhex(text[start : start + 64])


def load_tables(
    db: Database, schema: str, tables: Iterable[tuple[str, Callable[[], Iterable[bytes]]]]
) -> int:
    """Store dumped records in an empty database and migrate them to the newest schema, in one transaction.

    Args:
        db: The database, of either kind.
        schema: The schema that the records are of.
        tables: The name of each table and a function that gives its lines, in the order of the dump.

    Returns:
        The number of records.

    Raises:
        ConfigError: The database has records already, or a record does not fit. Nothing is changed.
    """
    count = 0
    with db.schema_change() as connection:
        _drop_empty_tables(db, connection)
        db.upgrade(connection, schema)
        found = sa.MetaData()
        found.reflect(connection)
        for name, lines in tables:
            if name not in found.tables:
                raise ConfigError(f"the backup has a table {name!r}, which schema {schema} does not have")
            try:
                if name == TRIGGERED_TABLE:
                    connection.execute(sa.delete(found.tables[name]))
                count += _insert_lines(connection, found.tables[name], lines())
            except (sa.exc.SQLAlchemyError, ValueError, TypeError, AttributeError) as error:
                cause = str(getattr(error, "orig", error)).strip().partition("\n")[0]
                raise ConfigError(f"a record of {name} cannot be stored: {cause}") from error
        db.upgrade(connection, "head")
    return count


def require_empty(db: Database) -> None:
    """Check that a database has no records but those of a start of the service.

    Raises:
        ConfigError: it has others.
    """
    if db.is_sqlite and db.url.database and not Path(db.url.database).exists():
        return
    with db.read() as connection:
        _reflect_empty(connection)


def _reflect_empty(connection: sa.Connection) -> sa.MetaData:
    """Return the tables of a database that is empty, or raise ConfigError."""
    found = sa.MetaData()
    found.reflect(connection)
    ours = {"alembic_version", *metadata.tables}
    filled = sorted(
        name
        for name in found.tables.keys() - START_TABLES
        if name not in ours
        or connection.execute(sa.select(sa.literal(1)).select_from(found.tables[name]).limit(1)).first()
    )
    if filled:
        raise ConfigError(
            f"the database is not empty: it has {', '.join(filled)}",
            "restore into a new --data-dir, or into a new database with DATABASE_URL",
        )
    return found


def _drop_empty_tables(db: Database, connection: sa.Connection) -> None:
    """Drop the tables of an empty database: those of the backup's schema take their place."""
    _reflect_empty(connection).drop_all(connection)
    if not db.is_sqlite:
        connection.execute(sa.text("DROP FUNCTION IF EXISTS refuse_audit_change()"))


def _insert_lines(connection: sa.Connection, table: sa.Table, lines: Iterable[bytes]) -> int:
    count, rows = 0, list[dict[str, Any]]()
    for line in lines:
        rows.append({name: _decode(table.columns[name], value) for name, value in json.loads(line).items()})
        if len(rows) == ROWS_PER_INSERT:
            connection.execute(sa.insert(table), rows)
            count, rows = count + len(rows), []
    if rows:
        connection.execute(sa.insert(table), rows)
    return count + len(rows)


def _encode(value: Any) -> str:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat()
    if isinstance(value, (bytes, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    raise TypeError(type(value).__name__)


def _decode(column: sa.Column[Any], value: Any) -> Any:
    """Return a value of JSON as its column has it."""
    if value is None:
        return None
    if isinstance(column.type, sa.DateTime):
        return datetime.fromisoformat(value)
    return base64.b64decode(value) if isinstance(column.type, sa.LargeBinary) else value
