"""Pictures: from where a record says they are into the blobs; and a look at them before that.

An address is `http(s)://...`, `dam:FILE` or `dam:CONNECTION/FILE` for what lies in a DAM, `pim:CONNECTION/FILE` for what only its PIM's connection can fetch, or
`held:SHA256` for what came beside a sheet.
"""

from dam_connector.adapters.http import AddressBlocked, ResponseTooLarge
from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.product import INSPIRATION, SIGNATURE_BYTES, Product, picture_mime
from dam_connector.errors import RETRYABLE, AdapterError, ConfigError, NotFound, Refused, Unsupported
from dam_connector.wiring import Services

HELD_PREFIX = "held:"
DAM_PREFIX = "dam:"
PIM_PREFIX = "pim:"
CHECK_TIMEOUT_S = 5.0


def is_image_url(text: str) -> bool:
    """Whether this is an address, not the name of a file beside a sheet."""
    return "://" in text or text.startswith((HELD_PREFIX, DAM_PREFIX, PIM_PREFIX))


def image_urls(product: Product) -> dict[str, tuple[str, str]]:
    """The product's pictures by name, each with its address and where the record names it."""
    wanted = {image.view.value: (image.url, f"/images/{image.view.value}") for image in product.images}
    return (
        {**wanted, INSPIRATION: (product.inspiration_image, "/inspiration_image")}
        if product.inspiration_image
        else wanted
    )


def store_source_images(
    services: Services, product: Product, *, last_try: bool
) -> tuple[dict[str, Sha256], list[Issue]]:
    """The product's pictures by view, stored, and what is wrong with those that are not; of an incomplete product too: its page shows them.

    Raises: Unavailable or RateLimited when a picture's server is away, unless it is the last try.
    """
    sources: dict[str, Sha256] = {}
    issues = []
    for name, (url, where) in image_urls(product).items():
        try:
            found = _stored(services, url, where)
        except RETRYABLE as error:
            if not last_try:
                raise
            found = issue("source.unreachable", f"{_name(where)}: {error}.", pointer=where, measured=url)
        if not isinstance(found, Issue):
            sources[name] = found
        elif name == INSPIRATION:
            issues.append(
                issue(
                    "source.inspiration",
                    found.message,
                    pointer=where,
                    measured=found.measured,
                    limit=found.limit,
                )
            )
        else:
            issues.append(found)
    return sources, issues


def check_image_url(services: Services, url: str, where: str) -> Issue | None:
    """What is wrong with a picture's address, as far as its first bytes tell."""
    try:
        if url.startswith((HELD_PREFIX, DAM_PREFIX, PIM_PREFIX)):
            found = _stored(services, url, where)
            return found if isinstance(found, Issue) else None
        head = services.http.get_first_bytes(url, count=SIGNATURE_BYTES, vendor="picture", timeout_s=CHECK_TIMEOUT_S)
    except AdapterError as error:
        return _wrong(error, url, where, services.settings.max_picture_bytes)
    if not picture_mime(head):
        return issue(
            "source.not_an_image",
            f"{_name(where)}: what lies there is no picture.",
            pointer=where,
            measured=url,
        )
    return None


def _stored(services: Services, url: str, where: str) -> Sha256 | Issue:
    """The picture's hash, its bytes being stored; or what is wrong with its address. Raises: Unavailable, RateLimited."""
    if url.startswith(HELD_PREFIX):
        held = Sha256(url.removeprefix(HELD_PREFIX))
        return (
            held
            if services.blobs.has(held)
            else issue("source.not_found", f"{_name(where)}: the picture is no longer stored.", pointer=where)
        )
    limit = services.settings.max_picture_bytes
    try:
        data = _fetched(services, url, limit)
    except RETRYABLE:
        raise
    except (AdapterError, ConfigError) as error:
        return _wrong(error, url, where, limit)
    if not data:
        return issue("source.damaged", f"{_name(where)}: the file is empty.", pointer=where, measured=url)
    return services.blobs.put(data)


def _fetched(services: Services, url: str, limit: int) -> bytes:
    """Raises: AdapterError, ConfigError."""
    if url.startswith(DAM_PREFIX):
        return _from_dam(services, url)
    if url.startswith(PIM_PREFIX):
        connection, _, name = url.removeprefix(PIM_PREFIX).partition("/")
        return services.pim(connection).fetch_picture(name)
    return services.http.get(url, max_bytes=limit, vendor="picture")


def _from_dam(services: Services, url: str) -> bytes:
    """Raises: NotFound, Unsupported, Unavailable, RateLimited, ConfigError."""
    connection, slash, name = url.removeprefix(DAM_PREFIX).partition("/")
    dam = services.dam(connection) if slash else services.dam(services.rules.current().review.dam)
    return dam.fetch_picture(name if slash else connection, services.blobs)


def _wrong(error: Exception, url: str, where: str, limit: int) -> Issue:
    """An address that cannot be used, as an Issue."""
    name = _name(where)
    if isinstance(error, AddressBlocked):
        return issue("source.url_refused", f"{name}: {error}.", pointer=where, measured=url)
    if isinstance(error, ResponseTooLarge):
        return issue(
            "source.too_large", f"{name}: more than {limit} bytes.", pointer=where, limit=f"{limit} bytes"
        )
    if isinstance(error, (NotFound, Refused, Unsupported, ConfigError)):
        return issue("source.not_found", f"{name}: {error}.", pointer=where, measured=url)
    return issue("source.unreachable", f"{name}: {error}.", pointer=where, measured=url)


def _name(where: str) -> str:
    return where.rpartition("/")[2]
