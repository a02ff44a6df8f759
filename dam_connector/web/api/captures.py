"""Endpoints of the API for photos of products: named ones, and those of a spin or a walk."""

from typing import Any

from flask import abort, request
from flask_smorest.fields import Upload
from marshmallow import Schema

from dam_connector.domain.capture_draft import MAX_PLACES, CaptureDraft
from dam_connector.domain.product import Capture, View
from dam_connector.store.products import ProductRecord
from dam_connector.store.users import UserRole
from dam_connector.usecases import captures, photo_uploads
from dam_connector.usecases.source_images import MAX_CAPTURED_BYTES
from dam_connector.web.api.blueprint import bp, idempotent_with_fetches, record_response
from dam_connector.web.request_context import requires, services, signed_in_user
from schemas import captures as c
from schemas.api import TakenOut

MAX_FORM_BYTES = 100_000  # around an uploaded file


class PhotoIn(Schema):
    """A photo."""

    file = Upload(required=True)


@bp.url_value_preprocessor
def allow_large_photos(endpoint: str | None, values: dict[str, object] | None) -> None:
    """Allow larger bodies for photos than elsewhere."""
    limits = {
        "api.upload_photo": services().settings.max_picture_bytes,
        "api.add_capture_photo": MAX_CAPTURED_BYTES,
    }
    if endpoint in limits:
        request.max_content_length = limits[endpoint] + MAX_FORM_BYTES


@bp.post("/products/<path:sku>/photos/<view>")
@requires(UserRole.MERCHANDISER)
@bp.arguments(PhotoIn, location="files")
@bp.response(202, TakenOut)
def upload_photo(files: dict[str, Any], sku: str, view: str) -> dict[str, Any]:
    """Upload or replace the photo of a view, and make next versions of the assets that this changes.

    Views: front, back, left, right, top, hero, detail. JPEG, PNG, WebP, TIFF or AVIF. The same photo again
    makes nothing new. A later photo of this view in the product's PIM replaces it.
    """
    stored = _requested_product(sku)
    if view not in list(View):
        abort(404, f"there is no view {view!r}; the views are {', '.join(View)}")
    data = files["file"].read()
    taken = photo_uploads.upload_photo(services(), stored, View(view), data, by=signed_in_user().name)
    return {"sku": sku, "outcome": taken.summary, "planned": taken.planned, "ignored": []}


@bp.get("/products/<path:sku>/capture")
@requires(UserRole.MERCHANDISER)
@bp.response(200, c.CaptureOut)
def capture(sku: str) -> CaptureDraft:
    """Return the spin or walk of a product that the user is taking. 404: there is none."""
    return captures.get(services(), sku, by=signed_in_user().name)


@bp.post("/products/<path:sku>/capture")
@requires(UserRole.MERCHANDISER)
@bp.arguments(c.CaptureIn)
@bp.response(200, c.CaptureOut)
def begin_capture(data: dict[str, Any], sku: str) -> CaptureDraft:
    """Begin a spin or a walk of a product, or go on with the one that is there.

    Its photos are a draft of the user. It ends 14 days after its last change. 409: the one that is there is
    of the other kind.
    """
    _requested_product(sku)
    kind = Capture(data["kind"])
    return captures.begin(services(), sku, kind, by=signed_in_user().name, frames=data["frames"])


@bp.post("/products/<path:sku>/capture/photos")
@requires(UserRole.MERCHANDISER)
@bp.arguments(PhotoIn, location="files")
@bp.arguments(c.CapturePhotoArgs, location="query")
@bp.response(200, c.CaptureOut)
def add_capture_photo(files: dict[str, Any], args: dict[str, Any], sku: str) -> CaptureDraft:
    """Add a photo to the spin or walk: JPEG, PNG or WebP of at most 16 MB.

    The same photo at the same place again changes nothing. 409: there is another one at the place.
    """
    by = signed_in_user().name
    return captures.add_photo(services(), sku, files["file"].read(), by=by, **args)


@bp.delete("/products/<path:sku>/capture/photos/<place>")
@requires(UserRole.MERCHANDISER)
@bp.response(200, c.CaptureOut)
def remove_capture_photo(sku: str, place: str) -> CaptureDraft:
    """Remove a photo from the spin or walk. Its place is free then."""
    if not (place.isascii() and place.isdigit()) or int(place[:4]) >= MAX_PLACES:
        abort(404, f"the places are 0 to {MAX_PLACES - 1}")
    return captures.remove_photo(services(), sku, int(place), by=signed_in_user().name)


@bp.post("/products/<path:sku>/capture/finish")
@requires(UserRole.MERCHANDISER)
@idempotent_with_fetches
@bp.response(202, TakenOut)
def finish_capture(sku: str) -> dict[str, Any]:
    """Make the product's next versions from the spin or walk; the draft ends.

    422: photos are missing. 409: photos or the product were changed meanwhile.
    """
    stored, body = _requested_product(sku), dict[str, Any]()

    def record(result: Any) -> None:
        body.update(sku=sku, outcome=result.summary, planned=result.planned, ignored=[])
        record_response(body, 202)

    captures.finish(services(), stored, by=signed_in_user().name, record=record)
    return body


@bp.delete("/products/<path:sku>/capture")
@requires(UserRole.MERCHANDISER)
@bp.response(204)
def cancel_capture(sku: str) -> None:
    """Cancel the spin or walk that the user is taking: its photos are removed."""
    captures.cancel(services(), sku, by=signed_in_user().name)


def _requested_product(sku: str) -> ProductRecord:
    return services().products.get(sku) or abort(404, "there is no such product")
