"""Compression of the public responses: static text and the AR page.

Pages of people who are logged in are not compressed, since their size would give away the secrets in them
(BREACH).
"""

import gzip
from functools import lru_cache

from flask import Response, request

MIN_BYTES = 500  # smaller bodies gain nothing
ENDPOINTS = ("viewer.page", "static_files.static_file")
TEXT_TYPES = ("text/", "application/javascript", "application/json", "application/wasm", "image/svg+xml")


def compress_public(response: Response) -> Response:
    """Compress the body of a public response with gzip where the browser takes it."""
    if (
        request.endpoint not in ENDPOINTS
        or response.status_code not in (200, 404)
        or "Content-Encoding" in response.headers
        or not (response.mimetype or "").startswith(TEXT_TYPES)
    ):
        return response
    response.vary.add("Accept-Encoding")
    if not request.accept_encodings.quality("gzip"):
        return response
    response.direct_passthrough = False  # of a file, whose bytes are needed here
    data = response.get_data()
    if len(data) < MIN_BYTES:
        return response
    packed = _pack(data) if request.endpoint != "viewer.page" else gzip.compress(data, 6, mtime=0)
    response.set_data(packed)
    response.headers["Content-Encoding"] = "gzip"
    if (etag := response.get_etag()[0]) is not None:
        response.set_etag(etag, weak=True)  # one file, two encodings
    return response


@lru_cache(maxsize=64)
def _pack(data: bytes) -> bytes:
    """Compress a static file, once."""
    return gzip.compress(data, 9, mtime=0)
