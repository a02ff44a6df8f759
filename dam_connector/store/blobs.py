"""The storage of files that STORAGE_URL names: a folder, or object storage."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from dam_connector.errors import ConfigError
from dam_connector.object_storage import open_store
from dam_connector.ports import Blobs
from dam_connector.store.folder_blobs import FolderBlobs
from dam_connector.store.object_blobs import ObjectBlobs

__all__ = ["FolderBlobs", "ObjectBlobs", "open_blobs", "shown_location"]


def open_blobs(location: str, at_once: int = 0) -> Blobs:
    """Open the blob storage at a folder or an object storage URL.

    Args:
        location: A path, or a URL that begins with s3://, gs://, az:// or file://.
        at_once: The most threads that may wait for object storage at once. 0: any number.

    Raises:
        ConfigError: The URL is of an unknown kind, or a setting of that kind is missing.
    """
    if location.startswith("file://") or "://" not in location:
        if scheme := re.match("([A-Za-z0-9+]{2,}):", location.removeprefix("file://")):
            kind = scheme.group(1)
            raise ConfigError(f"STORAGE_URL={location}: write {kind}:// with two slashes; ./ before a folder")
        return FolderBlobs(Path(location.removeprefix("file://")))
    try:
        store = open_store(location)
    except ValueError as error:
        raise ConfigError(f"STORAGE_URL={shown_location(location)}: {error}") from error
    return ObjectBlobs(store, shown_location(location), at_once)


def shown_location(location: str) -> str:
    """Return a storage's location for people: a folder as a whole path, a URL without passwords."""
    if "://" not in location or location.startswith("file://"):
        return str(Path(location.removeprefix("file://")).absolute())
    parts = urlsplit(location)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
