"""The mark of a database, by which the queue server tells the services apart that use it."""

import hashlib
import socket
from pathlib import Path

import sqlalchemy as sa

from dam_connector.store.database import Database

_PLACE = sa.text("SELECT system_identifier || '/' || current_database() FROM pg_control_system()")


def database_mark(db: Database) -> str:
    """Return a mark of a database, the same for all who use it, under whatever address.

    Raises:
        StorageUnavailable: The database does not answer.
    """
    place = f"{socket.gethostname()}:{Path(db.url.database or '').resolve()}"
    if not db.is_sqlite:
        try:
            with db.read() as c:
                place = str(c.execute(_PLACE).scalar_one())
        except sa.exc.DBAPIError:  # this user may not ask
            place = f"{db.url.host}:{db.url.port}/{db.url.database}"
    return hashlib.sha256(place.encode()).hexdigest()[:16]
