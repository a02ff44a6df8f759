"""Files that lie beside a brought model, such as the buffers of a glTF: they are stored with it, as a ZIP."""

import io
import posixpath
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from dam_connector.domain.brought_model import (
    MAX_GLTF_VALUES,
    MAX_MODEL_BYTES,
    is_too_complex,
    model_format,
    sibling_names,
)
from dam_connector.errors import NotFound, Refused, Unavailable

MAX_SIBLINGS = 200
MAX_SECONDS = 60.0  # for all files of a model together; a slow host holds up others so long
_NO_DATE = (1980, 1, 1, 0, 0, 0)  # the same files have the same hash


def with_siblings(data: bytes, max_bytes: int, fetch: Callable[[str, int], bytes]) -> bytes:
    """Return a glTF or an OBJ with the files that it names as a ZIP; any other file as it is.

    Args:
        data: the model.
        max_bytes: of all files together.
        fetch: returns the content of a file by its name, as the model sees it, and the bytes that it may
            have.

    Raises:
        Refused: it names too many files, or they are too large.
        Unavailable: its files took too long.
        AdapterError: a file cannot be fetched.
    """
    found, until = model_format(data), time.monotonic() + MAX_SECONDS
    if is_too_complex(data):
        raise Refused("model", "fetch", f"its glTF has more than {MAX_GLTF_VALUES:,} values; bring a GLB")
    waiting = list(sibling_names(data)) if found in ("gltf", "obj") else []
    if not waiting:
        return data
    files = {f"model.{found}": data}
    while waiting:
        name = posixpath.normpath(waiting.pop(0))
        if name in files:
            continue
        left = max_bytes - sum(map(len, files.values()))
        if len(files) > MAX_SIBLINGS or left <= 0:
            raise Refused("model", "fetch", f"it needs more than {MAX_SIBLINGS} files or {max_bytes} bytes")
        if time.monotonic() > until:
            raise Unavailable("model", "fetch", f"its files took more than {MAX_SECONDS:.0f} s")
        files[name] = fetch(name, left)
        if name.lower().endswith(".mtl"):
            folder = posixpath.dirname(name)
            waiting += [posixpath.join(folder, picture) for picture in sibling_names(files[name])]
    return _zipped(files)


def read_model(path: Path) -> bytes:
    """Return a model on this machine, with the files beside it that it names.

    Raises:
        NotFound: a file that it names is not there.
        Refused: they are too many or too large.
    """

    def fetch(name: str, max_bytes: int) -> bytes:
        sibling = path.parent / name
        if not sibling.resolve().is_relative_to(path.parent.resolve()) or not sibling.is_file():
            raise NotFound("model", "read", f"it needs {sibling}")
        if sibling.stat().st_size > max_bytes:
            raise Refused("model", "read", f"{sibling} is too large")
        return sibling.read_bytes()

    if path.stat().st_size > MAX_MODEL_BYTES:
        raise Refused("model", "read", f"it has more than {MAX_MODEL_BYTES} bytes")
    return with_siblings(path.read_bytes(), MAX_MODEL_BYTES, fetch)


def _zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        for name, content in files.items():
            package.writestr(zipfile.ZipInfo(name, _NO_DATE), content)
    return out.getvalue()
