"""Locks and leases that all processes share through the database."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256

import sqlalchemy as sa
import structlog

from dam_connector.domain.ids import new_id
from dam_connector.errors import Busy, StateConflict, StorageUnavailable
from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.tables import leases

log = structlog.get_logger()
LOCK_LEASE_S = 20.0  # after this long a lock is free again if its process died without releasing it
LOCK_HEARTBEAT_S = 5.0
LOCK_RETRY_S = 1.0  # when to try again for a lock that somebody else holds


class NamedLocks:
    """Named leases (held for a time, renewable) and locks (held for a block of code)."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        """Take or renew a lease; return False when another owner holds it.

        Args:
            name: What is leased, e.g. "sweeper"; at most 40 characters.
            owner: Who takes it, unique for a process.
            seconds: How long the lease lasts from now, unless it is renewed or released.
        """
        now = self._clock.now()
        row = {"name": name, "owner": owner, "until": now + timedelta(seconds=seconds)}
        with self._db.write() as c:
            if self._db.insert_new(c, leases, row):
                return True
            ours_or_expired = sa.or_(leases.c.owner == owner, leases.c.until < now)
            renewed = sa.update(leases).where(leases.c.name == name, ours_or_expired).values(row)
            return c.execute(renewed).rowcount == 1

    def release(self, name: str, owner: str) -> None:
        """Give up a lease; do nothing when this owner does not hold it."""
        with self._db.write() as c:
            c.execute(sa.delete(leases).where(leases.c.name == name, leases.c.owner == owner))

    @contextmanager
    def lock(self, resource: str) -> Iterator[Callable[[sa.Connection], None]]:
        """Hold the lock on a resource while the block runs.

        A lock whose process died is free again after `LOCK_LEASE_S` seconds. The block gets a check for
        `Database.guarded`, which raises StateConflict once somebody else has the lock.

        Args:
            resource: Any text that names the resource, e.g. "shop CH123".

        Raises:
            Busy: Somebody else holds the lock.
        """
        name = f"turn:{sha256(resource.encode()).hexdigest()[:32]}"
        owner = new_id("own", self._clock.now())
        if not self.lease(name, owner, LOCK_LEASE_S):
            raise Busy(
                "connector",
                "lock",
                "somebody else is changing the same thing now",
                retry_after_s=LOCK_RETRY_S,
            )
        try:
            with repeat_every(LOCK_HEARTBEAT_S, lambda: self._renew(name, owner)):
                yield lambda connection: _check_owner(connection, name, owner)
        finally:
            self.release(name, owner)

    def _renew(self, name: str, owner: str) -> None:
        """Renew a lock.

        Raises:
            StateConflict: it was lost.
        """
        if not self.lease(name, owner, LOCK_LEASE_S):
            raise StateConflict(f"the lock {name} was lost")


def _check_owner(connection: sa.Connection, name: str, owner: str) -> None:
    held = sa.select(leases.c.name).where(leases.c.name == name, leases.c.owner == owner)
    if connection.execute(held).first() is None:
        raise StateConflict("the lock was lost: this process was paused for too long")


@contextmanager
def repeat_every(seconds: float, action: Callable[[], object]) -> Iterator[None]:
    """Call an action in a thread at intervals while the block runs, e.g. to renew a lease.

    It ends when the action raises StateConflict, and goes on while the database is away.
    """
    stop = threading.Event()

    def repeat() -> None:
        while not stop.wait(seconds):
            try:
                action()
            except StateConflict:
                return
            except StorageUnavailable as error:
                log.warning("lease_not_renewed", error=str(error))

    thread = threading.Thread(target=repeat, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
