"""Static files under an address with the hash of all of them, so that browsers may keep them for ever."""

import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, current_app, request, send_from_directory, url_for
from flask.typing import ResponseReturnValue

bp = Blueprint("static_files", __name__)
_IMMUTABLE = "public, max-age=31536000, immutable"
_FOLDER = Path(__file__).parent / "static"
PACKED_SUFFIX = ".br"  # of files that `make frontend` compressed with Brotli


@cache
def static_digest() -> str:
    """Return the hash of all static files. A change of one changes the addresses of all."""
    digest = hashlib.sha256()
    for path in sorted(p for p in _FOLDER.rglob("*") if p.is_file() and p.suffix != PACKED_SUFFIX):
        digest.update(path.relative_to(_FOLDER).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


@bp.app_template_global("asset")
def asset_address(filename: str) -> str:
    """Return the address of a static file. Modules that import each other stay in one folder."""
    return url_for("static_files.static_file", digest=static_digest(), filename=filename)


@bp.get("/static/<digest>/<path:filename>")
def static_file(digest: str, filename: str) -> ResponseReturnValue:
    """Send a static file, compressed with Brotli where the browser takes it and `make frontend` made it.

    An address of another release answers with the file of this one, which is not kept.
    """
    mime = None
    packed = (_FOLDER / (filename + PACKED_SUFFIX)).is_file() and request.accept_encodings.quality("br") > 0
    if packed:
        mime = mimetypes.guess_type(filename)[0]
    name = filename + PACKED_SUFFIX if packed else filename
    response: Response = send_from_directory(current_app.static_folder or _FOLDER, name, mimetype=mime)
    if packed:
        response.headers["Content-Encoding"] = "br"
        response.vary.add("Accept-Encoding")
    response.headers["Cache-Control"] = _IMMUTABLE if digest == static_digest() else "no-cache"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
