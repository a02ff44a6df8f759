"""An export tree on disk: approved files under the names and folders of the rules. Option: `path`."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dam_connector.adapters.kit import Kit, only
from dam_connector.catalog.product import Product
from dam_connector.catalog.version import ApprovedVersion, Version
from dam_connector.errors import ConfigError, Unavailable
from dam_connector.ports import Blobs


class Folder:
    """A directory; each asset's live version has an index file that says what belongs to it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def publish(self, approved: ApprovedVersion, product: Product, folder: str, blobs: Blobs) -> str:
        target, version = self._inside(folder), approved.version
        try:
            target.mkdir(parents=True, exist_ok=True)
            old = self._read_index(target, version)
            for file in version.shipped:
                _write(target / file.name, blobs.get(file.sha256))
            index = {
                "sku": product.sku,
                "version": version.number,
                "approved_by": approved.approved_by,
                "files": {f.name: f.sha256 for f in version.shipped},
            }
            _write(self._index(target, version), json.dumps(index, indent=2, sort_keys=True).encode())
            for name in old - {f.name for f in version.shipped}:
                (target / Path(name).name).unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable("folder", "publish", type(error).__name__) from error
        return target.as_uri()

    def withdraw(self, version: Version, product: Product, folder: str) -> None:
        target = self._inside(folder)
        names = self._read_index(target, version)
        for name in names:
            (target / Path(name).name).unlink(missing_ok=True)
        self._index(target, version).unlink(missing_ok=True)

    def _inside(self, folder: str) -> Path:
        target = (self._root / folder).resolve()
        if not target.is_relative_to(self._root.resolve()):
            raise Unavailable("folder", "publish", "the folder pattern leads outside the export tree")
        return target

    def _index(self, target: Path, version: Version) -> Path:
        return target / f"{version.asset.deliverable}-{version.asset.slot}.json"

    def _read_index(self, target: Path, version: Version) -> set[str]:
        try:
            return set(json.loads(self._index(target, version).read_text())["files"])
        except FileNotFoundError:
            return set()


def _write(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)


def connect(options: Mapping[str, Any], kit: Kit) -> Folder:
    """Raises: ConfigError when no path is given."""
    only(options, "path")
    if not options.get("path"):
        raise ConfigError('say where to: "path": "/srv/export"')
    return Folder(Path(str(options["path"])))
