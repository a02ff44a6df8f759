"""An export tree in object storage: S3, Google Cloud Storage, Azure. Options: `url`, `public_url`.

Credentials are those of the environment, by each vendor's own names; docs/connections/storage.md.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from dam_connector.adapters.common import export_tree
from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.domain.listing import Listing
from dam_connector.errors import ConfigError, Refused, Unavailable
from dam_connector.ports import Blobs

CACHE_CONTROL = "public, max-age=31536000, immutable"  # a file's name holds its version
URL_SCHEMES = ("s3://", "gs://", "az://", "abfs://")


class Storage:
    """A bucket, below a prefix."""

    def __init__(self, store: Any, public_url: str) -> None:
        self._store, self._public_url = store, public_url

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        if ".." in listing.folder.split("/"):
            raise Refused("storage", "publish", "the folder pattern leads outside the export tree")
        export_tree.sync(self, listing, blobs)
        return f"{self._public_url.rstrip('/')}/{quote(listing.folder)}/"

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        return listing.file_names

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        return export_tree.live(self, listing)

    def read(self, path: str) -> bytes | None:
        with _told():
            try:
                return bytes(obstore.get(self._store, path).bytes())
            except FileNotFoundError:
                return None

    def write(self, path: str, data: bytes, mime: str) -> None:
        cache = "no-cache" if path.endswith(".index.json") else CACHE_CONTROL
        with _told():
            obstore.put(self._store, path, data, attributes={"Content-Type": mime, "Cache-Control": cache})

    def remove(self, path: str) -> None:
        with _told():
            try:
                obstore.delete(self._store, path)
            except FileNotFoundError:
                pass

    def has(self, path: str) -> bool:
        with _told():
            try:
                obstore.head(self._store, path)
            except FileNotFoundError:
                return False
        return True


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BaseError as error:
        raise Unavailable("storage", "publish", type(error).__name__) from error


def connect(options: Mapping[str, Any], context: AdapterContext) -> Storage:
    """Raises: ConfigError when the URL is of no known kind."""
    check_options(options, "url", "public_url")
    url = str(options.get("url", ""))
    if not url.startswith(URL_SCHEMES):
        raise ConfigError('url: the bucket and prefix, such as "s3://shop-media/products"')
    try:
        return Storage(from_url(url), str(options.get("public_url", url)))
    except (BaseError, ValueError) as error:
        raise ConfigError(f"url: {url!r} cannot be opened ({type(error).__name__})") from error
