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

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.adapters.common.export_tree import INDEX_SUFFIX, ExportTree
from dam_connector.errors import ConfigError, Refused
from dam_connector.object_storage import object_error_cause, open_store

DEFAULT_CACHE_S = 300  # so long may caches serve a file that was withdrawn
YEAR_S = 31_536_000  # then they never ask again; a file's name holds its version
URL_SCHEMES = ("s3://", "gs://", "az://", "abfs://")


class StorageChannel(ExportTree):
    """An export tree in a bucket, below a prefix."""

    vendor = "storage"
    io_error = BaseError
    cause = staticmethod(object_error_cause)

    def __init__(self, store: Any, public_url: str, cache_s: int = DEFAULT_CACHE_S) -> None:
        self._store, self._public_url = store, public_url.rstrip("/")
        rule = "immutable" if cache_s >= YEAR_S else "must-revalidate"
        self._cache_control = f"public, max-age={cache_s}, {rule}"

    def _address(self, folder: str) -> str:
        if ".." in folder.split("/"):
            raise Refused("storage", "publish", "the folder pattern leads outside the export tree")
        return f"{self._public_url}/{quote(folder)}/"

    def _read(self, path: str) -> bytes:
        return bytes(obstore.get(self._store, path).bytes())

    def _write(self, path: str, data: bytes, mime: str) -> None:
        cache_control = "no-cache" if path.endswith(INDEX_SUFFIX) else self._cache_control
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
        ConfigError: an option is wrong, or the bucket cannot be opened.
    """
    check_options(options, "url", "public_url", "cache_s")
    url = str(options.get("url", ""))
    if not url.startswith(URL_SCHEMES):
        raise ConfigError('url: must be the bucket and prefix, e.g. "s3://shop-media/products"')
    cache_s = options.get("cache_s", DEFAULT_CACHE_S)
    if isinstance(cache_s, bool) or not isinstance(cache_s, int) or not 0 <= cache_s <= YEAR_S:
        raise ConfigError(f"cache_s: must be a whole number of seconds from 0 to {YEAR_S}")
    try:
        return StorageChannel(open_store(url), str(options.get("public_url", url)), cache_s)
    except ValueError as error:
        raise ConfigError(f"url: {url!r} cannot be opened: {error}") from error
