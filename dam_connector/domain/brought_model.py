"""Models that a product brings along: their formats by content, and the names that files of models have."""

import json
import posixpath
import re
from urllib.parse import unquote

from dam_connector.domain.picture_names import clean_path

BROUGHT_MODEL = "model"  # the model's key among a product's fetched files, which are keyed by view
MAX_MODEL_BYTES = 200_000_000  # of the file, or of all its files together
MODEL_SUFFIXES = (".glb", ".gltf", ".usdz", ".obj", ".step", ".stp", ".zip")
LAYER_SUFFIXES = (".usdc", ".usda", ".usd")
MIME_BY_FORMAT = {
    "glb": "model/gltf-binary",
    "gltf": "model/gltf+json",
    "usdz": "model/vnd.usdz+zip",
    "obj": "model/obj",
    "step": "model/step",
    "zip": "application/zip",
}
FORMATS_TEXT = "GLB, glTF, USDZ, OBJ, STEP, or a ZIP with one of them and its files"
_STEP_MAGIC = b"ISO-10303-21;"
_ZIP_MAGIC = b"PK\x03\x04"
_ZIP_NAME_START = 30  # of the first member's name
_HEAD_BYTES = 1000  # in which a text begins
_OBJ_HEAD_BYTES = 200_000  # in which an OBJ has its first vertex
_OBJ_VERTEX = re.compile(rb"(?m)^v[ \t]+[-+0-9.]")
# Each part is bounded: the time of a search grows with the length of the file, not with its square.
_OBJ_LIBRARY = re.compile(rb"(?m)^mtllib[ \t]([^\r\n]{1,1000})")
_MTL_PICTURE = re.compile(rb"(?mi)^[ \t]{0,40}(?:map_\w{1,40}|bump|norm|disp|refl)[ \t]([^\r\n]{1,1000})")
# JSON of many small values takes fifty times its size in memory. A real file has few thousand of them.
MAX_GLTF_BYTES = 64_000_000
MAX_GLTF_VALUES = 1_000_000


def is_model_name(path: str) -> bool:
    """Return whether a path is that of a model, and not of macOS's own data beside it."""
    parts = clean_path(path).split("/")
    hidden = parts[-1].startswith("._") or "__MACOSX" in parts
    return path.lower().endswith(MODEL_SUFFIXES) and not hidden


def model_format(data: bytes) -> str:
    """Return a key of `MIME_BY_FORMAT` by a file's content; empty if it is none of them."""
    if data.startswith(b"glTF"):
        return "glb"
    if data.startswith(_ZIP_MAGIC):
        end = _ZIP_NAME_START + int.from_bytes(data[26:28], "little")
        name = data[_ZIP_NAME_START:end].decode(errors="replace").lower()
        return "usdz" if name.endswith(LAYER_SUFFIXES) else "zip"
    if data[:_HEAD_BYTES].lstrip().startswith(_STEP_MAGIC):
        return "step"
    head = data[:_OBJ_HEAD_BYTES]
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return "gltf" if b'"asset"' in data else ""
    return "obj" if b"\x00" not in head and _OBJ_VERTEX.search(head) else ""


def may_be_model(head: bytes) -> bool:
    """Return whether the first `SIGNATURE_BYTES` of a file may be those of a model."""
    is_text = all(byte >= 0x20 or byte in b"\t\r\n" for byte in head)
    return head.startswith((b"glTF", _ZIP_MAGIC)) or (is_text and not head.lstrip().startswith(b"<"))


def is_too_complex(data: bytes) -> bool:
    """Return whether a glTF is larger, or has more values, than its names may be read from."""
    values = data.count(b",") + data.count(b"[") + data.count(b"{")
    return model_format(data) == "gltf" and (len(data) > MAX_GLTF_BYTES or values > MAX_GLTF_VALUES)


def sibling_names(data: bytes) -> tuple[str, ...]:
    """Return the relative names of the files that a glTF, an OBJ or an MTL needs, each once.

    Names that lead out of the file's folder, and whole addresses, are left out. A glTF that `is_too_complex`
    names none.
    """
    found = _gltf_names(data) if model_format(data) == "gltf" else _text_names(data)
    return tuple(name for name in dict.fromkeys(found) if _is_relative(name))


def _gltf_names(data: bytes) -> list[str]:
    if is_too_complex(data):
        return []
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return []
    rows = [row for key in ("buffers", "images") for row in _list(document, key)]
    uris = [row.get("uri") for row in rows if isinstance(row, dict)]
    return [unquote(uri) for uri in uris if isinstance(uri, str) and not uri.startswith("data:")]


def _list(document: object, key: str) -> list[object]:
    found = document.get(key) if isinstance(document, dict) else None
    return found if isinstance(found, list) else []


def _text_names(data: bytes) -> list[str]:
    names = [*_OBJ_LIBRARY.findall(data), *_MTL_PICTURE.findall(data)]
    return [name.decode(errors="replace").replace("\\", "/").split()[-1] for name in names if name.split()]


def _is_relative(name: str) -> bool:
    plain = posixpath.normpath(name)
    return bool(name) and "://" not in name and not plain.startswith(("/", ".."))
