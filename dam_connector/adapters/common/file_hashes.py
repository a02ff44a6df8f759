"""Files that lie in a DAM: whether they are still ours."""

import hashlib
from collections.abc import Callable

from dam_connector.domain.version import VersionFile
from dam_connector.errors import NotFound, Refused


def holds(file: VersionFile, read: Callable[[], bytes]) -> bool:
    """Whether the bytes that `read` gives are this file's; not when there are none. Raises: what `read` does beyond NotFound and Refused."""
    try:
        return hashlib.sha256(read()).hexdigest() == file.sha256
    except (NotFound, Refused):
        return False
