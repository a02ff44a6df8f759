"""The versions of the schema that this release knows, as Alembic's scripts.

Alembic is imported when it is needed: it takes a tenth of the start of a command, and few commands migrate.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parent / "migrations"


@cache
def script_directory() -> "ScriptDirectory":
    """Return the scripts."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(_alembic())


def known_schemas() -> list[str]:
    """Return all versions of the schema that this release knows, the first one first."""
    return [script.revision for script in script_directory().walk_revisions()][::-1]


def upgrade(connection: sa.Connection, target: str) -> None:
    """Migrate to a schema, e.g. "0012" or "head", in a transaction that is open."""
    from alembic import command

    alembic = _alembic()
    alembic.attributes["connection"] = connection
    command.upgrade(alembic, target)


def _alembic() -> "Config":
    from alembic.config import Config

    alembic = Config()
    alembic.set_main_option("script_location", str(MIGRATIONS))
    return alembic
