"""Pictures of a row of a sheet: those that it needs, and the faults by which it is bad.

The check of a sheet and its batch judge by the same functions, so a row that is bad in the check is not taken
in, and its product keeps the photos and facts that it has.
"""

from collections.abc import Iterator

from dam_connector.domain.completeness import product_issues
from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import Issue, Severity
from dam_connector.domain.product import INSPIRATION, Capture, Product
from dam_connector.errors import NotFound
from dam_connector.store.batch_records import NewBatchRow, RowState
from dam_connector.usecases.dam_photos import with_dam_photos
from dam_connector.usecases.picture_faults import damage_fault, picture_fault, size_fault
from dam_connector.usecases.source_images import (
    HELD_PREFIX,
    MODEL_POINTER,
    Fetched,
    image_urls,
    store_source_images,
)
from dam_connector.usecases.stored_facts import Keep, merged_facts
from dam_connector.wiring import Services
from schemas.uploads import PictureList

_LATER_FRAMES = {kind.key(n) for kind in Capture for n in range(2, kind.counts[1] + 1)}
TAKEN_IN_STATES = (RowState.WAITING, RowState.MAKES_NOTHING)  # rows whose products are stored


def is_taken_in(row: NewBatchRow) -> bool:
    """Return whether the product of a row is stored by what is known of the row."""
    return row.state in TAKEN_IN_STATES and row.product is not None


def required_images(product: Product | None) -> list[tuple[str, str]]:
    """Return address and JSON pointer of the images without which a row cannot be made."""
    if product is None:
        return []
    optional = {INSPIRATION, *_LATER_FRAMES}  # the first frame is checked
    return [pair for name, pair in image_urls(product).items() if name not in optional]


def _later_frames(product: Product | None) -> list[tuple[str, str]]:
    """Return address and JSON pointer of the pictures of a spin or a walk after the first one."""
    return [pair for name, pair in image_urls(product).items() if name in _LATER_FRAMES] if product else []


class FilesAtHand:
    """Judges the pictures of rows whose bytes are at hand: files beside the sheet, and stored ones."""

    def __init__(self, services: Services, listed: PictureList) -> None:
        """Prepare for the rows of a sheet; `listed` are the files beside it."""
        self._services, self._listed = services, listed
        self._paths = {f"{HELD_PREFIX}{sha256}": path for path, sha256 in listed.files.items()}

    def judges(self, row: NewBatchRow, url: str) -> bool:
        """Return whether `faults` judges the image at this address, so that it is not looked at again."""
        return url in self._paths or self._named_blob(row, url) is not None

    def faults(self, row: NewBatchRow) -> Iterator[Issue]:
        """Yield an issue for each picture at hand that is no good; frames beside the sheet are all looked at.

        One of a spin or a walk that is damaged spoils the whole: the model would be made without it.
        """
        needed = required_images(row.product)
        frames = [(url, pointer) for url, pointer in _later_frames(row.product) if url in self._paths]
        for url, pointer in [*needed, *frames]:
            if found := self._fault(row, url, pointer):
                yield found

    def _fault(self, row: NewBatchRow, url: str, pointer: str) -> Issue | None:
        settings = self._services.settings
        if url in self._paths:
            sha256 = Sha256(url.removeprefix(HELD_PREFIX))
            if damage := self._listed.damage.get(sha256):
                return damage_fault(self._paths[url], damage, pointer)
            return size_fault(settings, self._listed.sizes.get(sha256), pointer)
        held = self._named_blob(row, url)
        if held is None or pointer == MODEL_POINTER:
            return None
        return picture_fault(settings, self._services.blobs.get(held), pointer)

    def _named_blob(self, row: NewBatchRow, url: str) -> Sha256 | None:
        """Return the hash of a stored file that a row itself names; photos that stay were judged before."""
        said = row.as_read
        if not url.startswith(HELD_PREFIX) or said is None:
            return None
        if all(url != named for named, _ in image_urls(said).values()):
            return None
        held = Sha256(url.removeprefix(HELD_PREFIX))
        try:
            return held if self._services.blobs.has(held) else None
        except NotFound:  # it is no hash
            return None


def try_product(
    services: Services, product: Product, *, connection: str = "", last_try: bool = True
) -> tuple[Fetched, tuple[Issue, ...]]:
    """Fetch the images of a row's product before anything of the product is stored.

    Args:
        product: the product as the row alone says it.
        connection: the watched folder of the sheet; empty: it was uploaded.
        last_try: an image whose server is away becomes an issue instead of an exception.

    Returns:
        The stored images for `ingest_product`, and the issues by which the row fails as a whole.

    Raises:
        StorageUnavailable: our own storage is away or full.
        Unavailable, RateLimited, Busy: the server of an image is away, and it is not the last try.
    """
    merged = merged_facts(product, services.products.get(product.sku), Keep.ALL)
    sources, found = store_source_images(services, merged, connection=connection, last_try=last_try)
    needed = {pointer for _, pointer in required_images(merged)}
    wrong = product_issues(with_dam_photos(services, merged), services.rules.current().products)
    faults = [each for each in wrong if each.severity is Severity.ERROR]
    faults += [each for each in found if each.severity is Severity.ERROR or each.pointer in needed]
    urls = image_urls(merged)
    return {urls[name]: sha256 for name, sha256 in sources.items() if name in urls}, tuple(faults)
