"""The check of `dam-connector doctor` whether the storage is the one of the database. It marks nothing."""

from collections.abc import Iterator

from dam_connector.errors import ConfigError, ConnectorError
from dam_connector.ops.doctor import PartStatus
from dam_connector.settings import Settings
from dam_connector.usecases.storage_owner import compare_owner
from dam_connector.wiring import build_services

PART = "owner of the storage"


def check_storage_owner(settings: Settings) -> Iterator[PartStatus]:
    """Yield whether the storage belongs to the database; nothing where either cannot be read."""
    if not settings.database_url and not (settings.data_dir / "connector.db").exists():
        return
    try:
        services = build_services(settings)
    except ConnectorError:
        return  # the checks of the database and the storage say it
    try:
        if not services.db.missing_migration():
            yield PartStatus(PART, True, f"this database uses {compare_owner(services)}")
    except ConfigError as error:
        yield PartStatus(PART, False, str(error), "Correct STORAGE_URL or DATABASE_URL.")
    except ConnectorError:
        return
    finally:
        services.db.close()
