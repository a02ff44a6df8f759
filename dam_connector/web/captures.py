"""The page "Take photos": a person with a phone takes a walk around a product, or a spin of it.

Each form works without JavaScript. capture.js sends the same forms and asks for JSON.
"""

from collections.abc import Callable
from typing import Any

import segno
from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from dam_connector.domain.capture_draft import MAX_PLACES, ROUND_PHOTOS, SPIN_FRAMES, CaptureDraft
from dam_connector.domain.capture_folders import MASK_WORDS
from dam_connector.domain.product import Capture
from dam_connector.errors import InputError, NotFound, Refused, StateConflict
from dam_connector.store.products import ProductRecord
from dam_connector.store.users import UserRole
from dam_connector.usecases import captures
from dam_connector.usecases.source_images import MAX_CAPTURED_BYTES
from dam_connector.web.files import source_response
from dam_connector.web.request_context import requires, services, signed_in_user
from schemas.captures import CaptureOut

bp = Blueprint("captures", __name__, url_prefix="/products")
MAX_FORM_BYTES = 100_000  # around an uploaded file


@bp.url_value_preprocessor
def allow_large_photos(endpoint: str | None, values: dict[str, object] | None) -> None:
    """Allow larger forms than elsewhere, for photos; runs before the CSRF check reads them."""
    if endpoint == "captures.add_photo":
        request.max_content_length = MAX_CAPTURED_BYTES + MAX_FORM_BYTES


@bp.get("/<product_id>/capture")
@requires(UserRole.MERCHANDISER)
def capture(product_id: str) -> ResponseReturnValue:
    """Show the photos that the user has taken so far, and what to do next."""
    record = _requested_product(product_id)
    draft = services().captures.get(record.product.sku, signed_in_user().name)
    if _wants_json():
        return _state(draft or abort(404, "no photos are being taken"))
    return render_template(
        "capture.html",
        record=record,
        draft=draft,
        state=CaptureOut().dump(draft) if draft else None,
        kinds=Capture,
        rounds=_rounds(draft) if draft else [],
        round_photos=ROUND_PHOTOS,
        spin_frames=SPIN_FRAMES,
        max_places=MAX_PLACES,
        max_bytes=MAX_CAPTURED_BYTES,
        mask_words=sorted(MASK_WORDS),
        phone_code=_phone_code(),
    )


def _phone_code() -> str:
    """Return the address of this page as a QR code in a data URI; empty where no phone could open it."""
    if request.host.partition(":")[0] in ("localhost", "127.0.0.1", "[", ""):
        return ""
    return str(segno.make(request.url, error="m").svg_data_uri(scale=3, border=2, dark="#111", light="#fff"))


def _rounds(draft: CaptureDraft) -> list[dict[str, Any]]:
    """Return the rings of the progress, the inner one first: name, places, and how many photos are there."""
    taken = {photo.place for photo in draft.photos}
    size = draft.planned if draft.kind is Capture.SPIN else ROUND_PHOTOS
    names = ["Spin"] if draft.kind is Capture.SPIN else ["Low round", "High round"]
    places = [range(number * size, (number + 1) * size) for number in range(len(names))]
    return [
        {"name": name, "places": those, "count": len(taken & set(those))}
        for name, those in zip(names, places, strict=True)
    ]


@bp.post("/<product_id>/capture")
@requires(UserRole.MERCHANDISER)
def begin(product_id: str) -> ResponseReturnValue:
    """Begin a walk or a spin, or plan the frames of a spin anew."""
    record = _requested_product(product_id)
    kind, frames = request.form.get("kind", ""), request.form.get("frames", "")
    if kind not in list(Capture):
        abort(400, "choose a walk or a spin")
    count = int(frames) if kind == Capture.SPIN and frames.isascii() and frames.isdigit() else None
    sku, by = record.product.sku, signed_in_user().name
    return _answer(product_id, lambda: captures.begin(services(), sku, Capture(kind), by=by, frames=count))


@bp.post("/<product_id>/capture/photos")
@requires(UserRole.MERCHANDISER)
def add_photo(product_id: str) -> ResponseReturnValue:
    """Add a photo, or take one anew."""
    sku, by = _requested_product(product_id).product.sku, signed_in_user().name
    file, replaces = request.files.get("file"), request.form.get("replaces", "")[:64]
    data, place = file.read() if file else b"", _requested_place()
    return _answer(
        product_id,
        lambda: captures.add_photo(services(), sku, data, by=by, place=place, replaces=replaces),
    )


@bp.post("/<product_id>/capture/remove")
@requires(UserRole.MERCHANDISER)
def remove_photo(product_id: str) -> ResponseReturnValue:
    """Remove a photo."""
    sku, by = _requested_product(product_id).product.sku, signed_in_user().name
    place = _requested_place()
    if place is None:
        abort(400, "say which photo is to be removed")
    return _answer(product_id, lambda: captures.remove_photo(services(), sku, place, by=by))


@bp.post("/<product_id>/capture/finish")
@requires(UserRole.MERCHANDISER)
def finish(product_id: str) -> ResponseReturnValue:
    """Give the photos to the product, and make its next versions from them."""
    record = _requested_product(product_id)
    try:
        taken = captures.finish(services(), record, by=signed_in_user().name)
    except (InputError, NotFound, StateConflict) as error:
        flash(_reason(error), "error")
        return redirect(url_for("captures.capture", product_id=product_id))
    flash(f"The photos are stored. {taken.summary}.", "info")
    return redirect(url_for("products.product", product_id=product_id))


@bp.post("/<product_id>/capture/cancel")
@requires(UserRole.MERCHANDISER)
def cancel(product_id: str) -> ResponseReturnValue:
    """Remove all photos that the user has taken."""
    captures.cancel(services(), _requested_product(product_id).product.sku, by=signed_in_user().name)
    flash("The photos were removed. Nothing of the product has changed.", "info")
    return redirect(url_for("products.product", product_id=product_id))


@bp.get("/<product_id>/capture/photos/<sha256>")
@requires(UserRole.MERCHANDISER)
def photo(product_id: str, sha256: str) -> Response:
    """Send a photo of the user's draft."""
    draft = services().captures.get(_requested_product(product_id).product.sku, signed_in_user().name)
    found = next((p for p in draft.photos if p.sha256 == sha256), None) if draft else None
    return source_response(found.sha256 if found else None, f"photo-{found.place + 1 if found else 0}")


def _answer(product_id: str, change: Callable[[], CaptureDraft]) -> ResponseReturnValue:
    """Carry out a change of a draft; answer with its state as JSON, or with the page."""
    if _wants_json():
        return _state(change())  # errors become JSON, too
    try:
        change()
    except (InputError, NotFound, Refused, StateConflict) as error:
        flash(_reason(error), "error")
    return redirect(url_for("captures.capture", product_id=product_id))


def _reason(error: Exception) -> str:
    """Return the reason of an error for a page, with the limit if there is one."""
    text = str(getattr(error, "reason", error)).rstrip(".")
    limit = getattr(error, "limit", "")
    text = f"{text[:1].upper()}{text[1:]}"
    return f"{text} ({limit})." if limit else f"{text}."


def _state(draft: CaptureDraft) -> ResponseReturnValue:
    body: dict[str, Any] = CaptureOut().dump(draft)
    return body


def _wants_json() -> bool:
    return request.accept_mimetypes.best == "application/json"


def _requested_product(product_id: str) -> ProductRecord:
    return services().products.by_id(product_id) or abort(404)


def _requested_place() -> int | None:
    """Return the place in the form; None without one."""
    text = request.form.get("place", "")[:4]
    return int(text) if text.isascii() and text.isdigit() else None
