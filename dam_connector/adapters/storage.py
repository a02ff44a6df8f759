"""An export tree in object storage, as a channel: Amazon S3, Google Cloud Storage, Azure Blob Storage.

Options: `url`, the bucket and prefix, e.g. "s3://shop-media/products"; `public_url`, the address that it
is served at, by default `url`. The credentials come from the environment, by each vendor's own variable
names. Facts: docs/connections/storage.md.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.adapters.common.export_tree import INDEX_SUFFIX, ExportTree
from dam_connector.errors import ConfigError, Refused

CACHE_CONTROL = "public, max-age=31536000, immutable"  # a file's name holds its version
URL_SCHEMES = ("s3://", "gs://", "az://", "abfs://")


class StorageChannel(ExportTree):
    """An export tree in a bucket, below a prefix."""

    vendor = "storage"
    io_error = BaseError

    def __init__(self, store: Any, public_url: str) -> None:
        self._store, self._public_url = store, public_url.rstrip("/")

    def _address(self, folder: str) -> str:
        if ".." in folder.split("/"):
            raise Refused("storage", "publish", "the folder pattern leads outside the export tree")
        return f"{self._public_url}/{quote(folder)}/"

    def _read(self, path: str) -> bytes:
        return bytes(obstore.get(self._store, path).bytes())

    def _write(self, path: str, data: bytes, mime: str) -> None:
        cache_control = "no-cache" if path.endswith(INDEX_SUFFIX) else CACHE_CONTROL
        attributes = {"Content-Type": mime, "Cache-Control": cache_control}
        obstore.put(self._store, path, data, attributes=attributes)

    def _remove(self, path: str) -> None:
        obstore.delete(self._store, path)

    def _exists(self, path: str) -> bool:
        obstore.head(self._store, path)
        return True


def connect(options: Mapping[str, Any], context: AdapterContext) -> StorageChannel:
    """Open the adapter.

    Raises:
        ConfigError: `url` has an unknown scheme, or the bucket cannot be opened.
    """
    check_options(options, "url", "public_url")
    url = str(options.get("url", ""))
    if not url.startswith(URL_SCHEMES):
        raise ConfigError('url: must be the bucket and prefix, e.g. "s3://shop-media/products"')
    try:
        return StorageChannel(from_url(url), str(options.get("public_url", url)))
    except (BaseError, ValueError) as error:
        raise ConfigError(f"url: {url!r} cannot be opened ({type(error).__name__})") from error
