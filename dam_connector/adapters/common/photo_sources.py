"""The option `sources` of DAM connections, as adapters read it."""

import hashlib
from collections.abc import Mapping
from typing import Any

from dam_connector.domain.photo_sources import FOLDER, PhotoSources, read_photo_sources
from dam_connector.errors import ConfigError

NO_SOURCES = PhotoSources()


def row_key(row: object) -> str:
    """Return a short text that is another one for a row of a list whose values differ.

    Cursors hold those of the rows of the last moment: some systems know times to the second only, and a file
    may change twice in one.
    """
    return hashlib.sha256(repr(row).encode()).hexdigest()[:12]


def photo_sources_option(options: Mapping[str, Any], *, has_folders: bool = True) -> PhotoSources:
    """Read the option `sources`; without it, what all files are looked at for.

    Args:
        options: all options of the connection.
        has_folders: the DAM has folders.

    Raises:
        ConfigError: it is wrong.
    """
    try:
        sources = read_photo_sources(options) or NO_SOURCES
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if not has_folders and (sources.folder or sources.sku_from == FOLDER):
        raise ConfigError("sources: this DAM has no folders; use sku_from field or name")
    return sources
