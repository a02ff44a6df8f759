"""Source images and brought models: they are fetched from the addresses in a product's record, and stored.

An address is one of:

- `http://...` or `https://...`;
- `dam:FILE` or `dam:CONNECTION/FILE`, a file in a DAM;
- `pim:CONNECTION/FILE`, a file that only the connection of its PIM can fetch;
- `held:SHA256`, a blob that was uploaded beside a sheet.

A record names files of its own PIM, of the DAM in which versions are reviewed, and of DAMs with the option
`sources`. Files of other connections stay closed to whoever sends records: they may be another team's.
"""

import posixpath
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from urllib.parse import quote, urljoin, urlsplit

from dam_connector import tracing
from dam_connector.adapters.common.http_session import Slots
from dam_connector.adapters.http import AddressBlocked, ResponseTooLarge
from dam_connector.domain.brought_model import (
    BROUGHT_MODEL,
    FORMATS_TEXT,
    MAX_MODEL_BYTES,
    may_be_model,
    model_format,
)
from dam_connector.domain.capture_folders import named, no_frames
from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.issue_codes import IssueCode
from dam_connector.domain.photo_sources import read_photo_sources
from dam_connector.domain.picture_names import unread_text
from dam_connector.domain.product import (
    INSPIRATION,
    SIGNATURE_BYTES,
    SWATCH,
    Capture,
    Product,
    View,
    capture_of_key,
    picture_mime,
    unread_kind,
)
from dam_connector.errors import (
    RETRYABLE,
    AdapterError,
    ConfigError,
    NotFound,
    Refused,
    StorageUnavailable,
    Unsupported,
)
from dam_connector.model_siblings import with_siblings
from dam_connector.usecases.picture_faults import HEAD_BYTES, pixels_fault
from dam_connector.wiring import Services

HELD_PREFIX = "held:"
DAM_PREFIX = "dam:"
PIM_PREFIX = "pim:"
MAX_CAPTURED_BYTES = 16_000_000  # of one picture of a spin or walk; 24 megapixels as a good JPEG have 10
MODEL_POINTER = "/model_url"
CAPTURE_CODES: Mapping[Capture, IssueCode] = {Capture.SPIN: "source.spin", Capture.WALK: "source.walk"}
CAPTURED = {Capture.SPIN: "frames of the spin", Capture.WALK: "photos of the walk"}
CHECK_TIMEOUT_S = 5.0
CHECKED_BYTES = 16_384  # of a picture behind an address: most show their size in these
IMAGES_AT_ONCE = 4  # of one product
IMAGES_PER_PROCESS = 16  # at once; each may have DAM_CONNECTOR_MAX_PICTURE_BYTES in memory
# At once, in one process. A host that is slow then has so many threads of intake at most.
IMAGES_PER_HOST = 8
SLOT_WAIT_S = 1.0  # for one of these to end, before the delivery is put off
Fetched = Mapping[tuple[str, str], Sha256]  # stored images by address and JSON pointer
NONE_FETCHED: Fetched = MappingProxyType({})
_SLOTS = Slots(IMAGES_PER_PROCESS, IMAGES_PER_HOST)


def is_image_url(text: str) -> bool:
    """Return whether a text is an address, and not the name of a file beside a sheet."""
    return "://" in text or text.startswith((HELD_PREFIX, DAM_PREFIX, PIM_PREFIX))


def image_urls(product: Product) -> dict[str, tuple[str, str]]:
    """Return the addresses of a product's images, and of the model that it brings along.

    Returns:
        By view, `INSPIRATION`, `BROUGHT_MODEL` or the key of a captured picture: the address, and the JSON
        pointer of the field that holds it, e.g. `/images/front`. A spin or a walk with too few or too many
        pictures is left out.
    """
    urls = {image.view.value: (image.url, f"/images/{image.view.value}") for image in product.images}
    if product.inspiration_image:
        urls[INSPIRATION] = (product.inspiration_image, "/inspiration_image")
    if product.swatch_url:
        urls[SWATCH] = (product.swatch_url, "/swatch")
    if product.model_url:
        urls[BROUGHT_MODEL] = (product.model_url, MODEL_POINTER)
    for kind in Capture:
        least, most = kind.counts
        addresses = product.captured(kind)
        for index, url in enumerate(addresses if least <= len(addresses) <= most else ()):
            urls[kind.key(index + 1)] = (url, f"/{kind.field_name}/{index}")
    return urls


def expected_images(product: Product) -> set[str]:
    """Return the keys of `store_source_images` if all images of a product can be fetched."""
    keys = set(image_urls(product))
    has_photo = has_side(keys)
    is_captured = any(kind.key(1) in keys for kind in Capture)
    return keys if has_photo or not is_captured else keys | {View.FRONT.value}


def has_side(views: Collection[str]) -> bool:
    """Return whether a photo among these views shows the product: a detail shows a part of it."""
    return any(view in views for view in View if view is not View.DETAIL)


def store_source_images(
    services: Services, product: Product, *, connection: str, last_try: bool, fetched: Fetched = NONE_FETCHED
) -> tuple[dict[str, Sha256], list[Issue]]:
    """Fetch and store a product's images; those of an incomplete product too, since its page shows them.

    Args:
        connection: the PIM of the record; empty for products that people add.
        last_try: an image whose server is away becomes an issue instead of an exception.
        fetched: images that are stored already, and are not fetched again.

    Returns:
        The stored images by view, or by the key of a captured picture, and the issues of those that cannot
        be used. A spin or a walk counts only as a whole. Where there is no photo but a detail, its first
        picture is the front.

    Raises:
        Unavailable, RateLimited: the server of an image is away, and it is not the last try.
        Busy: its host has enough to do with our other requests, and it is not the last try.
        StorageUnavailable: our own storage is away or full.
    """
    urls = image_urls(product)
    wait_s = services.settings.fetch_timeout_s if last_try else SLOT_WAIT_S

    def store(name: str) -> Sha256 | Issue:
        url, pointer = urls[name]
        if stored := fetched.get((url, pointer)):
            return stored
        try:
            with _SLOTS.hold(_host(url), "picture", "fetch", wait_s):
                return _store_image(services, connection, url, pointer)
        except StorageUnavailable:  # ours, and no fault of the image
            raise
        except RETRYABLE as error:
            if not last_try:
                raise
            return _url_issue(error, url, pointer, services.settings.max_picture_bytes)

    found_by_name = dict(zip(urls, _map_at_once(store, list(urls)), strict=True))
    captured: dict[str, Sha256] = {}
    captured_issues: list[Issue] = []
    for kind in Capture:
        pictures, wrong = _whole_capture(kind, product, found_by_name)
        captured |= pictures
        captured_issues += wrong
    sources: dict[str, Sha256] = {}
    issues = []
    for name, found in found_by_name.items():
        if capture_of_key(name):
            continue
        if not isinstance(found, Issue):
            sources[name] = found
        else:
            issues.append(_as_optional(found) if name == INSPIRATION else found)
    if captured and not has_side(sources):
        sources = {View.FRONT.value: next(iter(captured.values())), **sources}
    return {**sources, **captured}, [*issues, *captured_issues]


def _whole_capture(
    kind: Capture, product: Product, found: Mapping[str, Sha256 | Issue]
) -> tuple[dict[str, Sha256], list[Issue]]:
    """Return the pictures of a product's spin or walk, if all are there, and the issue of one left out."""
    pictures = {name: each for name, each in found.items() if capture_of_key(name) is kind}
    wrong = [each for each in pictures.values() if isinstance(each, Issue)]
    count, code = len(product.captured(kind)), CAPTURE_CODES[kind]
    if masks := no_frames(product.captured(kind)):
        message = f"{len(masks)} of {count} {CAPTURED[kind]} are no frames by their names: {named(masks)}."
        return {}, [issue(code, message, pointer=f"/{kind.field_name}", measured=masks[0])]
    if wrong:
        message = f"{len(wrong)} of {count} {CAPTURED[kind]} cannot be used; the first: {wrong[0].message}"
        return {}, [issue(code, message, pointer=wrong[0].pointer, measured=wrong[0].measured)]
    if count and not pictures:
        limit = "{} to {}".format(*kind.counts)
        message = f"There are {count} {CAPTURED[kind]}."
        return {}, [issue(code, message, pointer=f"/{kind.field_name}", measured=count, limit=limit)]
    return {name: each for name, each in pictures.items() if not isinstance(each, Issue)}, []


def _map_at_once(store: Callable[[str], Sha256 | Issue], names: list[str]) -> list[Sha256 | Issue]:
    """Call a function for each name, several at once; raise the first exception when all have ended."""
    if len(names) < 2:
        return [store(name) for name in names]
    with ThreadPoolExecutor(IMAGES_AT_ONCE, thread_name_prefix="image") as pool:
        return list(pool.map(tracing.carried(store), names))


def _host(url: str) -> str:
    """Return the host of an address, or the connection that fetches it."""
    kind, _, rest = url.partition(":")
    return urlsplit(url).netloc if rest.startswith("//") else f"{kind}:{rest.partition('/')[0]}"


def _as_optional(found: Issue) -> Issue:
    """Return the issue of an inspiration image: no run waits for it."""
    return issue(
        "source.inspiration",
        found.message,
        pointer=found.pointer,
        measured=found.measured,
        limit=found.limit,
    )


def check_image_url(services: Services, url: str, pointer: str) -> Issue | None:
    """Check an image's address in a sheet by reading the first bytes behind it; return the issue, or None if
    it is usable.

    Args:
        pointer: the JSON pointer of the field that holds the address.
    """
    try:
        if url.startswith((HELD_PREFIX, DAM_PREFIX, PIM_PREFIX)):
            found = _store_image(services, "", url, pointer)
            return found if isinstance(found, Issue) else None
        head = services.http.get_first_bytes(
            url, count=CHECKED_BYTES, vendor="picture", timeout_s=CHECK_TIMEOUT_S
        )
    except AdapterError as error:
        return _url_issue(error, url, pointer, services.settings.max_picture_bytes)
    if pointer == MODEL_POINTER:
        return None if may_be_model(head) else _not_a_model(url)
    return _picture_issue(services, head, url, pointer)


def _store_image(services: Services, pim: str, url: str, pointer: str) -> Sha256 | Issue:
    """Fetch and store an image; return its hash, or the issue of its address. RETRYABLE errors are raised.

    Args:
        pim: the connection of the record that names the address.
    """
    if not _may_name(services, pim, url):
        message = f"{_field_name(pointer)}: this record may not use files of the connection."
        return issue("source.other_connection", message, pointer=pointer, measured=url[:200])
    if url.startswith(HELD_PREFIX):
        held = Sha256(url.removeprefix(HELD_PREFIX))
        with suppress(NotFound):  # it is no hash
            if services.blobs.has(held):
                if pointer == MODEL_POINTER:
                    return held
                head = services.blobs.first_bytes(held, HEAD_BYTES)
                return _picture_issue(services, head, "", pointer) or held
        message = f"{_field_name(pointer)}: the file is no longer stored."
        return issue("source.not_found", message, pointer=pointer)
    limit = MAX_MODEL_BYTES if pointer == MODEL_POINTER else services.settings.max_picture_bytes
    if pointer.startswith(tuple(f"/{kind.field_name}/" for kind in Capture)):
        limit = min(limit, MAX_CAPTURED_BYTES)
    try:
        data = _fetch_image(services, url, limit)
        if pointer == MODEL_POINTER:
            data = with_siblings(data, limit, partial(_fetch_sibling, services, url))
    except RETRYABLE:
        raise
    except (AdapterError, ConfigError) as error:
        return _url_issue(error, url, pointer, limit)
    if not data:
        message = f"{_field_name(pointer)}: the file is empty."
        return issue("source.damaged", message, pointer=pointer, measured=url)
    if pointer == MODEL_POINTER and not model_format(data):
        return _not_a_model(url)
    if pointer != MODEL_POINTER and (found := _picture_issue(services, data, url, pointer)):
        return found
    return services.blobs.put(data)


def _picture_issue(services: Services, head: bytes, url: str, pointer: str) -> Issue | None:
    """Return the issue of a file that is no picture, or has too many or too few pixels."""
    if not picture_mime(head[:SIGNATURE_BYTES]):
        return _not_a_picture(url, pointer, head[:SIGNATURE_BYTES])
    return pixels_fault(services.settings, head, pointer)


def _may_name(services: Services, pim: str, url: str) -> bool:
    """Return whether a record of a PIM may name this address."""
    if url.startswith(PIM_PREFIX):
        return url.removeprefix(PIM_PREFIX).partition("/")[0] == pim != ""
    name, slash, _ = url.removeprefix(DAM_PREFIX).partition("/")
    if not url.startswith(DAM_PREFIX) or not slash:
        return True
    rules = services.rules.current()
    dam = rules.dam.get(name)
    return dam is not None and (name == rules.review.dam or read_photo_sources(dam.options) is not None)


def _not_a_model(url: str) -> Issue:
    message = "The file at this address is no model that can be read."
    return issue("source.not_a_model", message, pointer=MODEL_POINTER, measured=url[:200], limit=FORMATS_TEXT)


def _not_a_picture(url: str, pointer: str, head: bytes) -> Issue:
    kind = unread_kind(head)
    reason = unread_text(kind) if kind else "is not a picture"
    message = f"{_field_name(pointer)}: the file at this address {reason}."
    return issue("source.not_an_image", message, pointer=pointer, measured=url[:200])


def _fetch_sibling(services: Services, url: str, name: str, max_bytes: int) -> bytes:
    """Return a file that lies beside a model."""
    if url.startswith(PIM_PREFIX):
        connection, _, model = url.removeprefix(PIM_PREFIX).partition("/")
        return services.pim(connection).fetch_picture(posixpath.join(posixpath.dirname(model), name))
    if url.startswith(DAM_PREFIX):
        raise Unsupported("dam", "fetch", f"the model needs {name}; store them together as a ZIP")
    return services.http.get(urljoin(url, quote(name)), max_bytes=max_bytes, vendor="model")


def _fetch_image(services: Services, url: str, max_bytes: int) -> bytes:
    if url.startswith(DAM_PREFIX):
        return _fetch_from_dam(services, url)
    if url.startswith(PIM_PREFIX):
        connection, _, name = url.removeprefix(PIM_PREFIX).partition("/")
        return services.pim(connection).fetch_picture(name)
    return services.http.get(url, max_bytes=max_bytes, vendor="picture")


def _fetch_from_dam(services: Services, url: str) -> bytes:
    """Return a file of the DAM that the address names, or else of the DAM in which versions are reviewed."""
    connection, slash, name = url.removeprefix(DAM_PREFIX).partition("/")
    dam = services.dam(connection) if slash else services.dam(services.rules.current().review.dam)
    return dam.fetch_picture(name if slash else connection, services.blobs)


def _url_issue(error: Exception, url: str, pointer: str, max_bytes: int) -> Issue:
    """Return the issue of an address that raised an error."""
    name, reason = _field_name(pointer), getattr(error, "reason", str(error))
    if isinstance(error, AddressBlocked):
        return issue("source.url_refused", f"{name}: {reason}.", pointer=pointer, measured=url)
    if isinstance(error, ResponseTooLarge):
        message = f"{name}: more than {max_bytes:,} bytes."
        return issue("source.too_large", message, pointer=pointer, limit=f"at most {max_bytes:,} bytes")
    if isinstance(error, (NotFound, Refused, Unsupported, ConfigError)):
        return issue("source.not_found", f"{name}: {reason}.", pointer=pointer, measured=url)
    return issue("source.unreachable", f"{name}: {reason}.", pointer=pointer, measured=url)


def _field_name(pointer: str) -> str:
    name = pointer.rpartition("/")[2]
    if not name.isdigit():
        return name
    return f"{'photo' if pointer.startswith('/walk') else 'frame'} {int(name) + 1}"
