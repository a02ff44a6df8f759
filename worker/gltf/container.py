"""The GLB container: a header, a JSON chunk and a binary chunk. Its lengths are verified.

Source: the glTF 2.0 specification, "GLB File Format Specification".
"""

import json
from typing import Any

from dam_connector.errors import InputError

MAX_JSON_BYTES = 32_000_000
_HEADER_BYTES = 12
_JSON_START = 20  # the container's header and the header of the first chunk
_CHUNK_HEADER_BYTES = 8


def read_json(data: bytes) -> dict[str, Any]:
    """Return the JSON chunk of a GLB.

    Raises:
        InputError: file.unreadable.
    """
    return split_glb(data)[0]


def split_glb(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the JSON chunk and the bytes of the binary chunk, which are empty where there is none.

    Raises:
        InputError: file.unreadable.
    """
    try:
        if data[:4] != b"glTF" or int.from_bytes(data[4:8], "little") != 2 or data[16:20] != b"JSON":
            raise ValueError("not a glTF 2.0 binary")
        data, length = without_padding(data), _json_bytes(data)
        if int.from_bytes(data[8:12], "little") != len(data) or _JSON_START + length > len(data):
            raise ValueError("the lengths in its header are not those of the file")
        if length > MAX_JSON_BYTES:
            raise ValueError(f"its JSON is larger than {MAX_JSON_BYTES // 1_000_000} MB")
        document = json.loads(data[_JSON_START : _JSON_START + length])
        if not isinstance(document, dict):
            raise ValueError("its JSON chunk is not an object")
        rest = data[_JSON_START + length :]
        size = int.from_bytes(rest[:4], "little")
        if rest and _CHUNK_HEADER_BYTES + size > len(rest):
            raise ValueError("its second chunk is longer than the file")
        is_binary = rest[4:8] == b"BIN\x00"
        return document, rest[_CHUNK_HEADER_BYTES : _CHUNK_HEADER_BYTES + size] if is_binary else b""
    except (ValueError, RecursionError) as error:
        raise InputError("file.unreadable", f"The GLB cannot be read: {error}.") from error


def without_padding(data: bytes) -> bytes:
    """Return a GLB without bytes behind the end that its header states: viewers do not read them."""
    stated = int.from_bytes(data[8:12], "little")
    return data[:stated] if data[:4] == b"glTF" and _JSON_START <= stated < len(data) else data


def replace_json(data: bytes, document: dict[str, Any]) -> bytes:
    """Return the GLB with another JSON chunk. The other chunks stay as they are."""
    text = json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 4)
    data = without_padding(data)
    rest = data[_JSON_START + _json_bytes(data) :]
    header = b"glTF" + (2).to_bytes(4, "little") + (_JSON_START + len(text) + len(rest)).to_bytes(4, "little")
    return header + len(text).to_bytes(4, "little") + b"JSON" + text + rest


def _json_bytes(data: bytes) -> int:
    """Return the length of the JSON chunk, as its header states it."""
    return int.from_bytes(data[_HEADER_BYTES : _HEADER_BYTES + 4], "little")
