"""How connections to SQLite and PostgreSQL are opened."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dam_connector.errors import ConfigError
from dam_connector.private_files import create_private_file

BUSY_TIMEOUT_S = 30
IDLE_CONNECTIONS = 10  # of these, how many stay open
# Then PostgreSQL ends a transaction of a process that was cut off, and frees its locks.
IDLE_TRANSACTION_S = 120
URL_FORM = (
    "use postgresql+psycopg://user:password@host/name, with @ : / ? # % in the password written as "
    "%40 %3A %2F %3F %23 %25"
)


def open_postgresql(url: sa.URL, max_connections: int) -> sa.Engine:
    """Return a pool of connections, which notice within a minute that the other side is gone."""
    idle = min(IDLE_CONNECTIONS, max_connections)
    return sa.create_engine(
        url,
        pool_pre_ping=True,
        pool_size=idle,
        max_overflow=max_connections - idle,
        pool_timeout=10,
        connect_args={
            "connect_timeout": 5,
            "application_name": "dam-connector",
            **(
                {}
                if "options" in url.query
                else {"options": f"-c idle_in_transaction_session_timeout={IDLE_TRANSACTION_S * 1000}"}
            ),
            "keepalives_idle": 20,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 40_000,
        },
    )


def open_sqlite(url: sa.URL, begin: str) -> sa.Engine:
    """Return connections to a SQLite file, whose transactions start with the statement `begin`."""
    pool = sa.create_engine(
        url, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False, "isolation_level": None}
    )

    @sa.event.listens_for(pool, "do_connect")
    def create_file(*_: object) -> None:
        if url.database:
            create_private_file(Path(url.database))  # its -wal and -shm get the same mode

    @sa.event.listens_for(pool, "connect")
    def configure(dbapi_connection: Any, _: object) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            dbapi_connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(pool, "begin")
    def begin_transaction(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return pool


def parse_url(url: str) -> sa.URL:
    """Return the parts of a database URL of a supported kind.

    Raises:
        ConfigError: It is no such URL. No part of it is in the message: it may be one of the password.
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigError(f"DATABASE_URL is not a database URL; {URL_FORM}") from None
    if "@" in (parsed.host or ""):
        raise ConfigError(f"the password in DATABASE_URL has a character @; {URL_FORM}")
    dialect = parsed.get_backend_name()
    if dialect not in ("sqlite", "postgresql"):
        raise ConfigError(f"DATABASE_URL names {dialect}; PostgreSQL and SQLite are supported")
    return parsed
