"""Photos in DAMs as sources: a photo that is new, replaced or gone there makes the product's next versions.

A webhook and a poll are the same hint: the file is always read from the DAM. Its bytes are stored, then its
record, then the product is taken in again; what a crash leaves undone is done by the next poll.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from dam_connector.domain.ids import Sha256
from dam_connector.domain.photo_sources import place_of
from dam_connector.domain.picture_size import picture_size
from dam_connector.domain.product import SIGNATURE_BYTES, picture_mime
from dam_connector.errors import RETRYABLE, AdapterError, ConfigError, NotFound, StorageUnavailable
from dam_connector.ports import DamPhoto, SuppliesPhotos
from dam_connector.store.source_photos import SourcePhoto
from dam_connector.usecases.dam_photos import sources_option
from dam_connector.usecases.product_intake import ingest_again
from dam_connector.wiring import Services

log = structlog.get_logger()
MAX_TRIES = 5  # of a photo that cannot be read; a later change of it is read all the same
WAITING_AT_ONCE = 50
WAITING_GRACE = timedelta(minutes=2)  # somebody else may be taking it in
MAX_REF_LENGTH = 500


def photo_supplier(services: Services, dam: str) -> SuppliesPhotos | None:
    """Return the adapter of a DAM whose photos are sources, else None."""
    if sources_option(services, dam) is None:
        return None
    adapter = services.dam(dam)
    return adapter if isinstance(adapter, SuppliesPhotos) else None


def sync_photo(
    services: Services,
    dam: str,
    ref: str,
    photo: DamPhoto | None,
    *,
    last_try: bool = True,
    bulk: bool = False,
) -> str:
    """Bring what we know of a photo in line with the DAM, and take its product in again if it changed.

    Args:
        dam: the DAM's name in plugin.json.
        ref: the DAM's reference of the file.
        photo: the file as it is now; None: it is gone or is none.
        last_try: another image of the product whose server is away becomes an issue instead of an exception.
        bulk: the photo is one of many; its runs wait behind those of single products.

    Returns:
        A summary for people; empty when the file is no photo of a product and never was.

    Raises:
        Refused: do not retry.
        Unavailable, RateLimited: retry later.
    """
    known = services.source_photos.get(dam, ref)
    wanted, reason = SourcePhoto(dam=dam, ref=ref, sku=""), ""
    if photo and len(ref) <= MAX_REF_LENGTH:
        try:
            wanted = _read_photo(services, dam, photo, known)
        except _Unusable as error:
            if known and known.sha256:
                return f"{photo.facts.name}: {error}; the earlier photo stays in use"
            reason = f"{photo.facts.name}: {error}"
        except _NotASource as error:
            reason = f"{photo.facts.name}: {error}"
    if known is None and not wanted.sku:
        return reason
    if known and _is_same(known, wanted):
        if known.taken_in:
            return f"{known.sku}: the photo {known.name} is known"
        stored = known
    else:
        stored = services.source_photos.put(wanted)
    return _take_in(services, stored, last_try=last_try, bulk=bulk)


class _NotASource(Exception):
    """A file is no photo of a product; the message says why."""


class _Unusable(_NotASource):
    """The bytes of a file cannot be used."""


def _is_same(known: SourcePhoto, wanted: SourcePhoto) -> bool:
    names = ("sku", "view", "name", "fingerprint", "sha256")
    return all(getattr(known, name) == getattr(wanted, name) for name in names)


def _read_photo(services: Services, dam: str, photo: DamPhoto, known: SourcePhoto | None) -> SourcePhoto:
    """Return a photo with its product; its bytes are stored.

    Raises:
        _NotASource: it is no photo of a product.
    """
    sources = sources_option(services, dam)
    if sources is None:
        raise _NotASource(f"plugin.json has no option sources of {dam}")
    place = place_of(photo.facts, sources)
    if place.problem:
        raise _NotASource(place.problem)
    has_same_bytes = known is not None and known.sha256 and known.fingerprint == photo.fingerprint
    return SourcePhoto(
        dam=dam,
        ref=photo.ref,
        sku=place.sku,
        view=place.view,
        name=photo.facts.name,
        fingerprint=photo.fingerprint,
        sha256=known.sha256 if known and has_same_bytes else _store_bytes(services, dam, photo),
    )


def _store_bytes(services: Services, dam: str, photo: DamPhoto) -> Sha256:
    """Store the bytes of a photo.

    Raises:
        _Unusable: they are no picture, too many, or those of a version of ours.
    """
    supplier = photo_supplier(services, dam)
    try:
        data = supplier.photo_bytes(photo.ref) if supplier else b""
    except NotFound as error:
        raise _Unusable(f"the file is gone ({error})") from error
    limit = services.settings.max_picture_bytes
    if not picture_mime(data[:SIGNATURE_BYTES]):
        raise _Unusable("the file is not a picture that can be read")
    if len(data) > limit:
        raise _Unusable(f"the file has more than {limit} bytes (DAM_CONNECTOR_MAX_PICTURE_BYTES)")
    size = picture_size(data)
    if size and math.prod(size) > (most := services.settings.max_picture_pixels):
        raise _Unusable(f"the file has more than {most:,} pixels (DAM_CONNECTOR_MAX_PICTURE_PIXELS)")
    sha256 = services.blobs.put(data)
    if own := services.assets.find_file(sha256, public=False):
        raise _Unusable(f"the file is {own[1]}, which the connector made")
    return sha256


def _take_in(services: Services, photo: SourcePhoto, *, last_try: bool, bulk: bool) -> str:
    """Take in again the products that a photo concerns; record that it was done."""
    done = [_take_in_product(services, sku, last_try=last_try, bulk=bulk) for sku in photo.skus]
    services.source_photos.mark_taken_in(photo)
    return "; ".join(done)


def _take_in_product(services: Services, sku: str, *, last_try: bool, bulk: bool) -> str:
    record = services.products.get(sku)
    if record is None:
        return f"{sku}: the photo is used when its record arrives"
    if record.deleted:
        return f"{sku}: the photo is used if the product comes back"
    result = ingest_again(services, record, last_try=last_try, bulk=bulk)
    return f"{result.summary} (photos in a DAM)"


def poll_photos(services: Services) -> int:
    """Ask each DAM whose photos are sources for changes since the last poll; return how many.

    The first polls list all files that are there, a page each.
    """
    found = 0
    for name in services.rules.current().dam:
        try:
            if supplier := photo_supplier(services, name):
                found += _poll(services, name, supplier)
        except (AdapterError, ConfigError) as error:
            log.warning("photo_poll_failed", dam=name, error=str(error))
    return found


def _poll(services: Services, name: str, supplier: SuppliesPhotos) -> int:
    note, now = f"photo-poll:{name}", services.clock.now()
    last: dict[str, Any] = services.notes.get(note) or {}
    option = repr(sources_option(services, name))
    if last and last.get("option") != option:  # other photos may count now: begin anew
        services.source_photos.recheck(name)
        last = {}
    interval_s = services.dam(name).capabilities.poll_interval_s
    is_first = not last.get("is_complete")
    if not is_first and now < datetime.fromisoformat(last["at"]) + timedelta(seconds=interval_s):
        return 0
    tries: dict[str, int] = last.get("tries", {})
    waiting = services.source_photos.waiting(name, now - WAITING_GRACE, WAITING_AT_ONCE)
    again = {ref: partial(supplier.photo, ref) for ref in [*tries, *(each.ref for each in waiting)]}
    changes, cursor = supplier.changed_photos(last.get("cursor", ""))
    away = _sync_all(services, name, again, bulk=False)
    away += _sync_all(
        services, name, {each.ref: partial(_given, each.photo) for each in changes}, bulk=is_first
    )
    tries = {ref: tries.get(ref, 0) + 1 for ref in away}
    for ref in [ref for ref, count in tries.items() if count >= MAX_TRIES]:
        log.warning("photo_given_up", dam=name, ref=ref)
        del tries[ref]
    is_complete = not is_first or not changes or cursor == last.get("cursor")
    found = {"cursor": cursor, "is_complete": is_complete, "tries": tries, "option": option}
    if interval_s or found != {key: last.get(key) for key in found}:
        services.notes.set(note, {**found, "at": now.isoformat()})
    return len(changes)


def _given(photo: DamPhoto | None) -> DamPhoto | None:
    return photo


def _sync_all(
    services: Services, name: str, photos: Mapping[str, Callable[[], DamPhoto | None]], *, bulk: bool
) -> list[str]:
    """Sync some photos, read by these functions; return the references of those that could not be read."""
    away = []
    for ref, read in photos.items():
        try:
            if not services.assets.by_dam_ref(name, ref):
                sync_photo(services, name, ref, read(), bulk=bulk)
        except StorageUnavailable:  # ours: the next poll begins where this one did
            raise
        except RETRYABLE as error:
            log.warning("photo_put_off", dam=name, ref=ref, error=str(error))
            away.append(ref)
        except AdapterError as error:
            log.warning("photo_skipped", dam=name, ref=ref, error=str(error))
    return away
