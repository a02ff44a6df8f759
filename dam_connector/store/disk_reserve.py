"""The reserve of free disk: below it, nothing is taken in or made, so that decisions can still be stored."""

import shutil
from pathlib import Path

from dam_connector.errors import StorageUnavailable


class DiskReserve:
    """The disks on which SQLite and a folder of files are. Without either there is nothing to watch."""

    def __init__(self, database_url: str, storage_url: str, min_free_bytes: int) -> None:
        """Watch the disks of a database and a storage.

        Args:
            database_url: As in the settings; only SQLite's file is watched.
            storage_url: As in the settings; only a folder is watched.
            min_free_bytes: The reserve; 0: none is kept.
        """
        self._min_free_bytes = min_free_bytes
        self._folders: list[Path] = []
        if database_url.startswith("sqlite") and (file := database_url.partition("///")[2]):
            self._folders.append(Path(file).absolute().parent)
        if "://" not in storage_url or storage_url.startswith("file://"):
            self._folders.append(Path(storage_url.removeprefix("file://")).absolute())

    def shortage(self) -> str:
        """Return which disk has less than the reserve, for people; empty when all have enough."""
        for folder in self._folders:
            existing = next(p for p in (folder, *folder.parents) if p.exists())
            free = shutil.disk_usage(existing).free
            if free < self._min_free_bytes:
                return (
                    f"{free / 1e9:.2f} GB are free on the disk of {folder}, "
                    f"and {self._min_free_bytes / 1e9:g} GB are kept in reserve"
                )
        return ""

    def require(self) -> None:
        """Check that there is room for more.

        Raises:
            StorageUnavailable: There is less than the reserve.
        """
        if shortage := self.shortage():
            raise StorageUnavailable("disk", "reserve", shortage)
