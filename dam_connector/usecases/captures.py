"""Captures: a person takes a spin or a walk photo by photo, and makes the model when all are there.

The photos are a draft until then, which outlasts reloads and other phones. Pages and API use these functions.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from dam_connector.domain.capture_draft import (
    MAX_PLACES,
    SPIN_FRAMES,
    WALK_PHOTOS,
    CaptureDraft,
    CapturePhoto,
)
from dam_connector.domain.product import SIGNATURE_BYTES, Capture, picture_mime
from dam_connector.errors import InputError, NotFound, StateConflict
from dam_connector.settings import Settings
from dam_connector.store.products import ProductRecord
from dam_connector.usecases import intake
from dam_connector.usecases.photo_uploads import held_address
from dam_connector.usecases.picture_faults import check_picture
from dam_connector.usecases.product_intake import IntakeResult
from dam_connector.usecases.source_images import CAPTURE_CODES, MAX_CAPTURED_BYTES
from dam_connector.wiring import Services

MIMES = ("image/jpeg", "image/png", "image/webp")  # what the browsers of phones show and send


def begin(services: Services, sku: str, kind: Capture, *, by: str, frames: int | None = None) -> CaptureDraft:
    """Begin a draft, or go on with the one that a person has of a product.

    Args:
        sku: the product.
        kind: of the capture.
        by: the name of the person.
        frames: the frames of a spin, 8 to 72; a spin that is there is planned anew with them. None: 24, or
            as many as it has already.

    Raises:
        InputError: source.spin: the number of frames is none, or there are photos beyond it.
        StateConflict: the draft is of the other kind.
    """
    least, most = Capture.SPIN.counts
    if kind is Capture.SPIN and frames is not None and not least <= frames <= most:
        raise _not_usable(kind, f"A spin needs {least} to {most} frames, and not {frames}.", frames)
    planned = WALK_PHOTOS if kind is Capture.WALK else frames or SPIN_FRAMES
    with services.transaction():
        draft = services.captures.begin(sku, by, kind, planned)
        if draft.kind is not kind:
            raise StateConflict(f"a {draft.kind} of this product is under way; finish or cancel it first")
        if frames is None or kind is Capture.WALK or draft.planned == planned:
            return draft
        if draft.photos and draft.photos[-1].place >= planned:
            message = f"Frame {draft.photos[-1].place + 1} is there already; remove it first."
            raise _not_usable(kind, message, draft.photos[-1].place + 1)
        services.captures.plan(draft.id, planned)
        return replace(draft, planned=planned)


def get(services: Services, sku: str, *, by: str) -> CaptureDraft:
    """Return the draft that a person has of a product.

    Raises:
        NotFound: there is none.
    """
    return services.captures.get(sku, by) or _no_draft()


def add_photo(
    services: Services, sku: str, data: bytes, *, by: str, place: int | None = None, replaces: str = ""
) -> CaptureDraft:
    """Store a photo in the draft of a product.

    The same photo at the same place again changes nothing, so a request can be repeated.

    Args:
        sku: the product.
        data: the file: JPEG, PNG or WebP.
        by: the name of the person.
        place: its place, from 0 on; None: the first free one.
        replaces: the SHA-256 of the photo at this place that it replaces; empty: the place is free.

    Raises:
        InputError: source.not_an_image, source.damaged, source.too_large; source.spin or source.walk: there
            is no such place.
        NotFound: there is no draft.
        StateConflict: there is another photo at the place.
        StorageUnavailable: there is less free disk than the reserve, or the database does not answer.
    """
    services.disk.require()
    get(services, sku, by=by)  # before anything is stored
    _check_photo(services.settings, data)
    sha256 = services.blobs.put(data)
    with services.transaction():
        draft = services.captures.lock(sku, by) or _no_draft()
        place = draft.next_place if place is None else place
        limit = draft.planned if draft.kind is Capture.SPIN else MAX_PLACES
        if place is None or not 0 <= place < limit:
            raise _not_usable(draft.kind, f"There is no place for more than {limit} photos.", limit)
        there = next((photo.sha256 for photo in draft.photos if photo.place == place), "")
        if there not in (replaces, sha256):
            raise StateConflict(f"photo {place + 1} was taken or removed by another device meanwhile")
        services.captures.put_photo(draft.id, CapturePhoto(place=place, sha256=sha256, bytes=len(data)))
        return get(services, sku, by=by)


def remove_photo(services: Services, sku: str, place: int, *, by: str) -> CaptureDraft:
    """Remove a photo from the draft of a product, and return the draft. Its place is free then.

    Raises:
        NotFound: there is no draft.
    """
    with services.transaction():
        draft = services.captures.lock(sku, by) or _no_draft()
        services.captures.remove_photo(draft.id, place)
        return get(services, sku, by=by)


def cancel(services: Services, sku: str, *, by: str) -> None:
    """Delete the draft that a person has of a product, if there is one."""
    draft = services.captures.get(sku, by)
    if draft:
        services.captures.delete(draft.id)


def finish(
    services: Services,
    stored: ProductRecord,
    *,
    by: str,
    record: Callable[[IntakeResult], object] = lambda _: None,
) -> IntakeResult:
    """Give the photos of a draft to the product, and make the next versions from them.

    The photos become the product's spin or walk like an edit of it. In the transaction that plans the next
    versions the draft is deleted; a fault before leaves the draft, and the same request does the rest.

    Args:
        stored: the product as it is stored.
        by: the name of the person.
        record: as in `product_intake.ingest_product`.

    Raises:
        InputError: source.spin, source.walk: too few photos, or frames are missing.
        NotFound: there is no draft.
        StateConflict: photos or the product were changed meanwhile; nothing is planned.
        StorageUnavailable: there is less free disk than the reserve, or the database does not answer.
    """
    sku = stored.product.sku
    draft = get(services, sku, by=by)
    if draft.problem:
        message = f"The {draft.kind} is not complete: {draft.problem}."
        raise _not_usable(draft.kind, message, len(draft.photos))
    addresses = tuple(held_address(photo.sha256) for photo in draft.photos)
    product = replace(stored.product, **{draft.kind.field_name: addresses})  # type: ignore[arg-type]

    def end_draft(result: IntakeResult) -> None:
        newest = services.products.get(sku)
        now = services.captures.lock(sku, by)
        if now is None or now.photos != draft.photos:
            raise StateConflict(f"photos of this {draft.kind} were changed meanwhile")
        if newest is None or newest.product.captured(draft.kind) != addresses:
            raise StateConflict("the product was changed meanwhile; try again")
        services.captures.delete(draft.id)
        record(result)

    return intake.edit_product(services, stored, product, by=by, record=end_draft)


def _check_photo(settings: Settings, data: bytes) -> None:
    check_picture(settings, data, "/file", max_bytes=MAX_CAPTURED_BYTES)
    if (mime := picture_mime(data[:SIGNATURE_BYTES])) not in MIMES:
        message = "The photo is in a format that browsers of phones do not send."
        raise InputError(
            "source.not_an_image", message, pointer="/file", measured=mime, limit="JPEG, PNG, WebP"
        )


def _no_draft() -> NoReturn:
    message = "no photos of this product are being taken; begin a walk or a spin"
    raise NotFound("product", "capture", message)


def _not_usable(kind: Capture, message: str, measured: int) -> InputError:
    limit = "{} to {}".format(*kind.counts)
    pointer = f"/{kind.field_name}"
    return InputError(CAPTURE_CODES[kind], message, pointer=pointer, measured=str(measured), limit=limit)
