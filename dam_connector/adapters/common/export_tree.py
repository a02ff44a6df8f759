"""An export tree: a product's live files under the names and folders of the rules, and an index that says which of what lies there is ours."""

import json
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote

from dam_connector.domain.listing import Listing
from dam_connector.ports import Blobs


class Tree(Protocol):
    """Where files are put, by path with `/`. Everything raises Unavailable, or Refused for a path outside."""

    def read(self, path: str) -> bytes | None: ...
    def write(self, path: str, data: bytes, mime: str) -> None: ...
    def remove(self, path: str) -> None: ...
    def has(self, path: str) -> bool: ...


def sync(tree: Tree, listing: Listing, blobs: Blobs) -> None:
    """Make these files of a product what lies there of ours: the index is written last, so that a repeat finds what is left to do."""
    home, known = listing.folder, _names(_read(tree, listing))
    names = {f.name: f for p in listing.placements for f in p.approved.version.channel_files}
    for name, file in names.items():
        if known.get(name) != file.sha256 or not tree.has(f"{home}/{name}"):
            tree.write(f"{home}/{name}", blobs.get(file.sha256), file.mime)
    for name in known.keys() - names.keys():
        tree.remove(f"{home}/{name.rpartition('/')[2]}")
    if names:
        tree.write(
            _path(listing),
            json.dumps(_index_of(listing), indent=2, sort_keys=True).encode(),
            "application/json",
        )
    else:
        tree.remove(_path(listing))


def live(tree: Tree, listing: Listing) -> tuple[str, ...]:
    """The names of our files that lie there."""
    return tuple(
        name
        for name in _names(_read(tree, listing))
        if tree.has(f"{listing.folder}/{name.rpartition('/')[2]}")
    )


def _path(listing: Listing) -> str:
    """Of a product's index: several products may share a folder."""
    return f"{listing.folder}/{quote(listing.product.sku, safe='')}.index.json"


def _index_of(listing: Listing) -> dict[str, Any]:
    assets = {}
    for placement in listing.placements:
        approved, version = placement.approved, placement.approved.version
        assets[f"{version.asset.deliverable}/{version.asset.slot}"] = {
            "version": version.number,
            "approved_by": approved.approved_by,
            "alt_text": placement.alt_text,
            "files": {f.name: f.sha256 for f in version.channel_files},
        }
    return {"sku": listing.product.sku, "name": listing.product.name, "assets": assets}


def _names(index: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: sha256 for asset in index.get("assets", {}).values() for name, sha256 in asset["files"].items()
    }


def _read(tree: Tree, listing: Listing) -> dict[str, Any]:
    try:
        found = json.loads(tree.read(_path(listing)) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
