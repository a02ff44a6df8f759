"""Base class of channels that export files into a tree: folders and names by the naming rules, and an index.

Each product has an index `SKU.index.json` beside its files, its SKU written as in their names. It lists
the files that the connector wrote, so that files of others are never touched. Several products may share a
folder.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from dam_connector.domain.listing import Listing
from dam_connector.domain.outside_values import decode_json
from dam_connector.domain.sku_tokens import apart_folder, sku_token
from dam_connector.domain.version import Role
from dam_connector.errors import Unavailable
from dam_connector.ports import Blobs

INDEX_SUFFIX = ".index.json"
PENDING = "pending"  # in an index: names of files that an interrupted export may have left


class ExportTree(ABC):
    """A `Channel` that writes files by path; a subclass adds the input and output of one kind of storage.

    Paths are relative and use `/`.
    """

    vendor = ""  # the name in errors
    io_error: type[Exception] = OSError  # the base class of the storage's own exceptions
    cause: Callable[[Exception], str] = staticmethod(lambda error: type(error).__name__)  # in one line

    @abstractmethod
    def _address(self, folder: str) -> str:
        """Return the public address of a folder.

        Raises:
            Refused: the folder is outside the tree.
        """

    @abstractmethod
    def _read(self, path: str) -> bytes:
        """Return a file's bytes, or raise FileNotFoundError."""

    @abstractmethod
    def _write(self, path: str, data: bytes, mime: str) -> None:
        """Write a file in one step, so that no reader sees half of it."""

    @abstractmethod
    def _remove(self, path: str) -> None:
        """Delete a file, or raise FileNotFoundError."""

    @abstractmethod
    def _exists(self, path: str) -> bool:
        """Return whether a file exists, or raise FileNotFoundError."""

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        """Write the product's files and remove earlier ones, also in former folders; write the index last.

        Before any file, the old index gets the names that are about to be written. If this is interrupted,
        it lists all files that a later listing must remove.
        """
        listing = self._apart(listing)
        address = self._address(listing.folder)
        index = self._load_index(listing)
        existing = {**dict.fromkeys(index.get(PENDING, ())), **_hashes_by_name(index)}
        files = {f.name: f for p in listing.placements for f in p.approved.version.channel_files}
        if files.keys() - existing.keys():
            begun = {**index, "sku": listing.product.sku, PENDING: sorted({*existing, *files})}
            self._put(_index_path(listing), _index_bytes(begun), "application/json")
        for name, file in files.items():
            path = f"{listing.folder}/{name}"
            if existing.get(name) != file.sha256 or not self._has(path):
                self._put(path, blobs.get(file.sha256), file.mime)
        for name in existing.keys() - files.keys():
            self._discard(_path_of(listing, name))
        if files:
            self._put(_index_path(listing), _index_bytes(_index_of(listing)), "application/json")
        else:
            self._discard(_index_path(listing))
        self._discard_former_index(listing)
        for folder in listing.former_folders:
            self.sync(replace(listing, folder=folder, placements=(), former_folders=()), blobs)
        return address

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        return listing.file_names

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        listing = self._apart(listing)
        names = _hashes_by_name(self._load_index(listing))
        return tuple(name for name in names if self._has(_path_of(listing, name)))

    def _apart(self, listing: Listing) -> Listing:
        """Return the listing in a folder of its own where the disk takes two SKUs for one.

        Disks of macOS and Windows do not distinguish `A1` and `a1`.
        """
        sku = listing.product.sku
        apart = replace(listing, folder=apart_folder(listing.folder, sku))
        is_apart = self._load_index(apart).get("sku") == sku
        return apart if is_apart or self._load_index(listing).get("sku", sku) != sku else listing

    def _load_index(self, listing: Listing) -> dict[str, Any]:
        """Return a product's index; an empty one if there is none, or if it cannot be parsed."""
        return self._read_index(_index_path(listing)) or self._former_index(listing)

    def _former_index(self, listing: Listing) -> dict[str, Any]:
        """Return the index that an earlier release wrote, whose path another SKU may have today."""
        path = _former_index_path(listing)
        found = self._read_index(path) if path != _index_path(listing) else {}
        return found if found.get("sku") == listing.product.sku else {}

    def _discard_former_index(self, listing: Listing) -> None:
        if self._former_index(listing):
            self._discard(_former_index_path(listing))

    def _read_index(self, path: str) -> dict[str, Any]:
        try:
            with self._translate_errors():
                found = decode_json(self._read(path))
        except (FileNotFoundError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _put(self, path: str, data: bytes, mime: str) -> None:
        try:
            with self._translate_errors():
                self._write(path, data, mime)
        except FileNotFoundError as error:  # the folder or bucket was removed meanwhile
            raise Unavailable(self.vendor, "publish", self.cause(error)) from error

    def _has(self, path: str) -> bool:
        with suppress(FileNotFoundError), self._translate_errors():
            return self._exists(path)
        return False

    def _discard(self, path: str) -> None:
        with suppress(FileNotFoundError), self._translate_errors():
            self._remove(path)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Turn the storage's exceptions into Unavailable, except for FileNotFoundError."""
        try:
            yield
        except FileNotFoundError:
            raise
        except self.io_error as error:
            raise Unavailable(self.vendor, "publish", self.cause(error)) from error


def _index_bytes(index: Mapping[str, Any]) -> bytes:
    return json.dumps(index, indent=2, sort_keys=True).encode()


def _index_path(listing: Listing) -> str:
    """Return the path of a product's index; its SKU is written as in the names of its files."""
    return f"{listing.folder}/{sku_token(listing.product.sku)}{INDEX_SUFFIX}"


def _former_index_path(listing: Listing) -> str:
    """Return the path that earlier releases gave to the index, e.g. `A%2F1.index.json`."""
    return f"{listing.folder}/{quote(listing.product.sku, safe='')}{INDEX_SUFFIX}"


def _path_of(listing: Listing, name: str) -> str:
    """Return the path of a file that an index lists; an index that was tampered with leads nowhere else."""
    return f"{listing.folder}/{name.rpartition('/')[2]}"


def _index_of(listing: Listing) -> dict[str, Any]:
    assets = {}
    for placement in listing.placements:
        approved, version = placement.approved, placement.approved.version
        assets[f"{version.asset.deliverable}/{version.asset.slot}"] = {
            "version": version.number,
            "approved_by": approved.approved_by,
            "alt_text": placement.alt_text,
            "files": {file.name: file.sha256 for file in version.channel_files},
            "sizes": {f.name: int(f.view) for f in version.channel_files if f.role is Role.SIZE},
        }
    return {"sku": listing.product.sku, "name": listing.product.name, "assets": assets}


def _hashes_by_name(index: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: sha256 for asset in index.get("assets", {}).values() for name, sha256 in asset["files"].items()
    }
