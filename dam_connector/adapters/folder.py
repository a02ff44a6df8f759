"""An export tree on disk: approved files under the names and folders of the rules. Option: `path`."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dam_connector.adapters.common import export_tree
from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.domain.listing import Listing
from dam_connector.errors import ConfigError, Refused, Unavailable
from dam_connector.ports import Blobs


class Folder:
    """A directory tree; files are replaced in one step, so that nobody reads half of one."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        home = self._inside(listing.folder)
        export_tree.sync(self, listing, blobs)
        return home.as_uri()

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        return listing.file_names

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        return export_tree.live(self, listing)

    def read(self, path: str) -> bytes | None:
        with _told():
            try:
                return self._inside(path).read_bytes()
            except FileNotFoundError:
                return None

    def write(self, path: str, data: bytes, mime: str) -> None:
        target = self._inside(path)
        with _told():
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".new-")
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.chmod(temporary, 0o644)
            os.replace(temporary, target)

    def remove(self, path: str) -> None:
        with _told():
            self._inside(path).unlink(missing_ok=True)

    def has(self, path: str) -> bool:
        return self._inside(path).exists()

    def _inside(self, path: str) -> Path:
        target = (self._root / path).resolve()
        if not target.is_relative_to(self._root):
            raise Refused("folder", "publish", "the folder pattern leads outside the export tree")
        return target


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable("folder", "publish", type(error).__name__) from error


def connect(options: Mapping[str, Any], context: AdapterContext) -> Folder:
    """Raises: ConfigError when no path is given."""
    check_options(options, "path")
    if not options.get("path"):
        raise ConfigError('say where to: "path": "/srv/export"')
    return Folder(Path(str(options["path"])))
