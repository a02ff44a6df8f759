"""An export tree on disk: approved files under the names and folders of the rules. Option: `path`."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dam_connector.adapters.kit import Kit, only
from dam_connector.catalog.listing import Listing
from dam_connector.errors import ConfigError, Refused, Unavailable
from dam_connector.ports import Blobs


class Folder:
    """A directory tree; a product's index says which files are ours, and of which version."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        target, wanted = self._inside(listing.folder), index_of(listing)
        names = _names(wanted)
        try:
            old = _read(target / _index(listing))
            if wanted["assets"]:
                target.mkdir(parents=True, exist_ok=True)
            for name, sha256 in names.items():
                if _names(old).get(name) != sha256 or not (target / name).exists():
                    _write(target / name, blobs.get(sha256))
            if wanted["assets"]:
                _write(target / _index(listing), json.dumps(wanted, indent=2, sort_keys=True).encode())
            else:
                (target / _index(listing)).unlink(missing_ok=True)
            for name in _names(old).keys() - names.keys():
                (target / Path(name).name).unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable("folder", "publish", type(error).__name__) from error
        return target.as_uri()

    def live(self, listing: Listing) -> tuple[str, ...]:
        target = self._inside(listing.folder)
        return tuple(name for name in _names(_read(target / _index(listing))) if (target / Path(name).name).exists())

    def _inside(self, folder: str) -> Path:
        target = (self._root / folder).resolve()
        if not target.is_relative_to(self._root.resolve()):
            raise Refused("folder", "publish", "the folder pattern leads outside the export tree")
        return target


def _index(listing: Listing) -> str:
    """The name of a product's index: several may share a folder."""
    return f"{quote(listing.product.sku, safe='')}.index.json"


def index_of(listing: Listing) -> dict[str, Any]:
    """What is live of a product: its assets with their versions, who approved them, and their files by name."""
    assets = {}
    for placement in listing.placements:
        approved, version = placement.approved, placement.approved.version
        assets[f"{version.asset.deliverable}/{version.asset.slot}"] = {
            "version": version.number,
            "approved_by": approved.approved_by,
            "alt_text": placement.alt_text,
            "files": {f.name: f.sha256 for f in version.shipped},
        }
    return {"sku": listing.product.sku, "name": listing.product.name, "assets": assets}


def _names(index: Mapping[str, Any]) -> dict[str, Any]:
    return {name: sha256 for asset in index.get("assets", {}).values() for name, sha256 in asset["files"].items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


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
