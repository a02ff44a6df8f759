"""An export tree on disk, as a channel.

Option: `path`, the folder to export into, e.g. "/srv/export". Facts: docs/connections/folder.md.
"""

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.adapters.common.export_tree import ExportTree
from dam_connector.errors import ConfigError, Refused

# The tree is for other users, e.g. a web server, whatever the umask of the worker that writes it.
PUBLIC_DIR, PUBLIC_FILE = 0o755, 0o644


class FolderChannel(ExportTree):
    """An export tree below one folder of this machine."""

    vendor = "folder"

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def _address(self, folder: str) -> str:
        return self._resolve(folder).as_uri()

    def _read(self, path: str) -> bytes:
        return self._resolve(path).read_bytes()

    def _write(self, path: str, data: bytes, mime: str) -> None:
        target = self._resolve(path)
        _make_public_dir(target.parent)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(temporary, PUBLIC_FILE)
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _remove(self, path: str) -> None:
        self._resolve(path).unlink()

    def _exists(self, path: str) -> bool:
        return self._resolve(path).exists()

    def _resolve(self, path: str) -> Path:
        target = (self._root / path).resolve()
        if not target.is_relative_to(self._root):
            raise Refused("folder", "publish", "the folder pattern leads outside the export tree")
        return target


def _make_public_dir(path: Path) -> None:
    """Create a directory, and the missing ones above it, that everybody may read."""
    if not path.is_dir():
        _make_public_dir(path.parent)
        with suppress(FileExistsError):
            path.mkdir()
            path.chmod(PUBLIC_DIR)


def connect(options: Mapping[str, Any], context: AdapterContext) -> FolderChannel:
    """Open the adapter.

    Raises:
        ConfigError: `path` is missing.
    """
    check_options(options, "path")
    if not options.get("path"):
        raise ConfigError('path: must be the folder to export into, e.g. "path": "/srv/export"')
    return FolderChannel(Path(str(options["path"])))
