"""Media: what kind of picture some bytes are, by how they begin."""

_MAGIC = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG": "image/png",
    b"RIFF": "image/webp",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
}
HEAD = 16  # bytes that tell


def picture_mime(head: bytes) -> str:
    """The MIME type of a picture that begins so; empty for what does not look like one."""
    return next(
        (mime for magic, mime in _MAGIC.items() if head.startswith(magic)),
        "image/avif" if head[4:8] == b"ftyp" else "",
    )
