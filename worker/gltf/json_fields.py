"""Fields of glTF's JSON, read without trust: each is verified before it is used.

`where` is always the JSON pointer of the place, e.g. `/meshes/0/primitives/0`. It becomes the pointer of the
InputError.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dam_connector.errors import InputError

F64 = NDArray[np.float64]
Row = dict[str, Any]
MAX_COORDINATE_M = 1e15


class Tables:
    """The top-level lists of a glTF document, such as `meshes` and `accessors`."""

    def __init__(self, document: Row) -> None:
        self._document = document
        self._rows: dict[str, list[Row]] = {}

    def rows(self, key: str) -> list[Row]:
        """Return a list of objects; an empty one where the document has none.

        Raises:
            InputError: file.unreadable.
        """
        if key not in self._rows:
            self._rows[key] = object_list(self._document, key, "")
        return self._rows[key]

    def row(self, key: str, index: object, where: str) -> Row:
        """Return the element of a list that an index names.

        Raises:
            InputError: file.unreadable.
        """
        return self.rows(key)[self.index(key, index, where)]

    def index(self, key: str, index: object, where: str) -> int:
        """Return the index, when the list has such an element.

        Raises:
            InputError: file.unreadable.
        """
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(self.rows(key)):
            raise unreadable(f"`{key}` has no element {str(index)[:20]}.", where)
        return index


def unreadable(message: str, where: str) -> InputError:
    """Return the error for a file that contradicts the specification."""
    return InputError("file.unreadable", message, pointer=where)


def object_list(row: Row, key: str, where: str) -> list[Row]:
    """Return a field that is a list of objects; an empty list where it is absent."""
    found = row.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise unreadable(f"`{key}` is not a list of objects.", f"{where}/{key}")
    return found


def extension(row: Row, name: str) -> Row | None:
    """Return the object of an extension, or None where it is absent or not an object."""
    extensions = row.get("extensions")
    found = extensions.get(name) if isinstance(extensions, dict) else None
    return found if isinstance(found, dict) else None


def whole_number(row: Row, key: str, where: str, default: int | None = None) -> int:
    """Return a field that is an integer from 0 to 2**32 - 1."""
    found = row.get(key, default)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < 2**32:
        raise unreadable(f"`{key}` is not a whole number from 0 on.", f"{where}/{key}")
    return found


def index_list(found: object, where: str) -> list[int]:
    """Return a value that is a list of integers."""
    if not isinstance(found, list) or not all(isinstance(n, int) for n in found):
        raise unreadable("A list of indices is not a list of whole numbers.", where)
    return found


def finite_numbers(found: object, count: int, where: str) -> F64:
    """Return a value that is a list of `count` finite numbers, (count,)."""
    if (
        not isinstance(found, list)
        or len(found) != count
        or not all(
            isinstance(n, int | float) and math.isfinite(n) and abs(n) < MAX_COORDINATE_M for n in found
        )
    ):
        raise unreadable(f"It is not a list of {count} finite numbers.", where)
    return np.array(found, np.float64)
