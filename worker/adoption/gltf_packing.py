"""A glTF and its files as one GLB. Nothing but the places of the bytes changes."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from dam_connector.errors import InputError
from worker.gltf.container import MAX_JSON_BYTES, split_glb
from worker.gltf.data_uri import decode_data_uri
from worker.gltf.json_fields import Row, extension, object_list, unreadable, whole_number
from worker.gltf.mesh_compression import MESHOPT, MESHOPT_KHR

Read = Callable[[str], bytes]
_ALIGNMENT = 4
_PICTURES = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"RIFF": "image/webp",
    b"\xabKTX": "image/ktx2",
}


def pack_gltf(data: bytes, read: Read) -> bytes:
    """Return a .gltf with its buffers and images as GLB.

    Args:
        data: The JSON text.
        read: Returns the content of a file by its name.

    Raises:
        InputError: file.unreadable; source.not_a_model, from `read`.
    """
    if len(data) > MAX_JSON_BYTES:
        raise InputError("file.unreadable", f"The glTF is larger than {MAX_JSON_BYTES // 1_000_000} MB.")
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError("file.unreadable", f"The glTF cannot be read: {error}.") from error
    asset = document.get("asset") if isinstance(document, dict) else None
    if not isinstance(asset, dict) or not str(asset.get("version")).startswith("2."):
        raise InputError("file.unreadable", "The glTF is not of version 2.", limit="glTF 2.0")
    return _pack(document, b"", read)


def pack_glb(data: bytes, read: Read) -> bytes:
    """Return a GLB with the files that it names inside; the GLB itself where it names none."""
    document, binary = split_glb(data)
    rows = [*object_list(document, "buffers", ""), *object_list(document, "images", "")]
    if not any(_is_outside(row) for row in rows):
        return data
    return _pack(document, binary, read)


def _is_outside(row: Row) -> bool:
    uri = row.get("uri")
    return isinstance(uri, str) and not uri.startswith("data:")


def _pack(document: dict[str, Any], first: bytes, read: Read) -> bytes:
    binary = bytearray()
    starts, fallbacks = {}, {}
    extra: list[Row] = []
    for number, row in enumerate(object_list(document, "buffers", "")):
        if "uri" not in row and (number or not first):  # of streams that every reader must decode
            fallbacks[number] = len(extra) + 1
            extra.append(row)
            continue
        content = first if "uri" not in row else _content(row["uri"], f"/buffers/{number}", read)
        length = whole_number(row, "byteLength", f"/buffers/{number}")
        if len(content) < length:
            message = f"The buffer has {len(content):,} bytes instead of {length:,}."
            raise unreadable(message, f"/buffers/{number}")
        starts[number] = _append(binary, content[:length])
    for number, view in enumerate(object_list(document, "bufferViews", "")):
        streams = (extension(view, name) for name in (MESHOPT, MESHOPT_KHR))
        for part in (view, *filter(None, streams)):
            _move(part, starts, fallbacks, f"/bufferViews/{number}")
    _embed_images(document, binary, read)
    document["buffers"] = [{"byteLength": len(binary)}, *extra] if binary else extra
    if not document["buffers"]:
        document.pop("buffers")
    return _glb(document, bytes(binary))


def _move(part: Row, starts: dict[int, int], fallbacks: dict[int, int], where: str) -> None:
    number = whole_number(part, "buffer", where, 0)
    if number in starts:
        part["byteOffset"] = whole_number(part, "byteOffset", where, 0) + starts[number]
        part["buffer"] = 0
    elif number in fallbacks:
        part["buffer"] = fallbacks[number]
    else:
        raise unreadable(f"There is no buffer {number}.", where)


def _embed_images(document: dict[str, Any], binary: bytearray, read: Read) -> None:
    views = document.setdefault("bufferViews", [])
    for number, row in enumerate(object_list(document, "images", "")):
        if "uri" not in row:
            continue
        content = _content(row.pop("uri"), f"/images/{number}", read)
        found = next((mime for magic, mime in _PICTURES.items() if content.startswith(magic)), "")
        row["mimeType"] = found or row.get("mimeType") or "image/png"
        row["bufferView"] = len(views)
        views.append({"buffer": 0, "byteOffset": _append(binary, content), "byteLength": len(content)})
    if not views:
        document.pop("bufferViews")


def _content(uri: object, where: str, read: Read) -> bytes:
    if not isinstance(uri, str):
        raise unreadable("The uri is no text.", where)
    decoded = decode_data_uri(uri, where)
    return read(unquote(uri)) if decoded is None else decoded


def _append(binary: bytearray, content: bytes) -> int:
    start = len(binary)
    binary += content + b"\x00" * (-len(content) % _ALIGNMENT)
    return start


def _glb(document: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    chunks = len(text).to_bytes(4, "little") + b"JSON" + text
    if binary:
        chunks += len(binary).to_bytes(4, "little") + b"BIN\x00" + binary
    return b"glTF" + (2).to_bytes(4, "little") + (12 + len(chunks)).to_bytes(4, "little") + chunks
