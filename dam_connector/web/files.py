"""Files by content hash. Published files are public; others need a login or a guest link.

A file never changes.
"""

from contextlib import closing

from flask import Blueprint, Response, abort, request, url_for
from flask.typing import ResponseReturnValue

from dam_connector.domain.brought_model import BROUGHT_MODEL, MIME_BY_FORMAT, model_format
from dam_connector.domain.ids import Sha256, VersionId
from dam_connector.domain.product import SIGNATURE_BYTES, picture_mime
from dam_connector.domain.version import ORIGINAL_MODEL
from dam_connector.errors import NotFound
from dam_connector.store.products import ProductRecord
from dam_connector.store.users import UserRole
from dam_connector.web.guest_access import guest_may_read
from dam_connector.web.request_context import current_user, requires, services

bp = Blueprint("files", __name__)
SMALL_BYTES = 262_144  # a file of so many is read at once
_YEAR_S = 31_536_000
_PRIVATE_CACHE = "private, max-age=3600"


@bp.get("/files/<sha256>/<name>")
def file(sha256: str, name: str) -> ResponseReturnValue:
    """Send a file of a version."""
    store = services().assets
    public = store.find_file(sha256, public=True)
    may_read = public is None and (current_user() is not None or guest_may_read(sha256))
    found = public or (store.find_file(sha256, public=False) if may_read else None)
    if found is None:
        abort(404)
    return _file_response(sha256, found[0], _public_cache() if public else _PRIVATE_CACHE, found[1])


@bp.get("/sources/<product_id>/<view>")
@requires(UserRole.VIEWER)
def source(product_id: str, view: str) -> ResponseReturnValue:
    """Send a photo or the model of a product as it was fetched; with the type that its content shows."""
    record = services().products.by_id(product_id)
    return source_response(record.sources.get(view) if record else None, view)


@bp.get("/versions/<version_id>/photos/<view>")
@requires(UserRole.VIEWER)
def version_photo(version_id: str, view: str) -> ResponseReturnValue:
    """Send a photo, or a picture of a spin or walk, that a version was made from."""
    version = services().assets.get(VersionId(version_id))
    return source_response(version.sources.get(view) if version else None, view)


@bp.app_template_global("source_address")
def source_address(record: ProductRecord, key: str) -> str:
    """Return the address of a fetched picture of a product; another picture in its place has another one.

    Browsers keep a picture for an hour, and would show the one that was replaced.
    """
    return url_for("files.source", product_id=record.id, view=key, v=record.sources.get(key, "")[:12])


def source_response(sha256: Sha256 | None, view: str) -> Response:
    """Return the response with a photo of a product; abort with 404 without it."""
    if sha256 is None:
        abort(404)
    try:
        head = services().blobs.first_bytes(sha256, SIGNATURE_BYTES)
    except NotFound:
        abort(404)
    if view == BROUGHT_MODEL:
        return _model_response(sha256, "model")
    return _file_response(sha256, picture_mime(head) or "application/octet-stream", _PRIVATE_CACHE, view)


@bp.get("/originals/<version_id>")
@requires(UserRole.VIEWER)
def original(version_id: str) -> ResponseReturnValue:
    """Send the model of a version as its maker sent it, before our finishing."""
    version = services().assets.get(VersionId(version_id))
    sha256 = version.provenance.get(ORIGINAL_MODEL) if version else None
    if version is None or not isinstance(sha256, str):
        abort(404)
    return _model_response(Sha256(sha256), "original")


def _model_response(sha256: Sha256, name: str) -> Response:
    """Return the response with a model from elsewhere, named by its format; abort with 404 without it."""
    try:
        found = model_format(services().blobs.get(sha256)) or "bin"
    except NotFound:
        abort(404)
    mime = MIME_BY_FORMAT.get(found, "application/octet-stream")
    return _file_response(sha256, mime, _PRIVATE_CACHE, f"{name}.{found}")


def _public_cache() -> str:
    """Return the caching rule of published files: a withdrawn one is gone from caches after this time."""
    seconds = services().settings.public_cache_s
    return f"public, max-age={seconds}, {'immutable' if seconds >= _YEAR_S else 'must-revalidate'}"


def _file_response(sha256: str, mime: str, cache: str, name: str) -> Response:
    """Return the response with a stored file, or 304 when the browser has it; abort with 404 without it."""
    etag = f'"{sha256}"'
    if etag in request.headers.get("If-None-Match", ""):
        return Response(status=304, headers={"ETag": etag, "Cache-Control": cache})
    try:
        stream = services().blobs.stream(Sha256(sha256))
    except NotFound:
        abort(404)
    headers = {
        "Content-Length": str(stream.size),
        "ETag": etag,
        "Cache-Control": cache,
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "cross-origin" if "public" in cache else "same-origin",
        "Content-Disposition": f'inline; filename="{name}"',
    }
    if "public" in cache:
        headers["Access-Control-Allow-Origin"] = "*"  # AR viewers and shops fetch models from other origins
    # It is sent as it is read: neither a large file nor many at once fill the memory.
    if stream.size <= SMALL_BYTES:
        with closing(stream):
            return Response(b"".join(stream), mimetype=mime, headers=headers)
    response = Response(iter(stream), mimetype=mime, headers=headers)
    response.call_on_close(stream.close)
    return response
