"""Data URIs: buffers and images that the JSON of a glTF holds as base64 text."""

import binascii
from base64 import b64decode
from urllib.parse import unquote_to_bytes

from worker.gltf.json_fields import unreadable


def decode_data_uri(uri: object, where: str) -> bytes | None:
    """Return the bytes of a data URI; None for anything else.

    Raises:
        InputError: file.unreadable, the text is no base64.
    """
    if not isinstance(uri, str) or not uri.startswith("data:") or "," not in uri:
        return None
    head, _, text = uri.partition(",")
    content = unquote_to_bytes(text)
    if not head.endswith(";base64"):
        return content
    try:
        return b64decode(content + b"=" * (-len(content) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise unreadable("The data URI holds no valid base64.", f"{where}/uri") from error
