"""Caches of decoded photos, of models, of cut-outs and of the issues of photos.

Photos and models are cached in memory, the last few of a process. Cut-outs are cached on disk for all
processes, under the data directory, as plain arrays; the file's name holds the photo's hash and a digest of
the code that cuts out. The issues of a photo lie beside its cut-out, as JSON. The oldest are evicted. Losing
any of it costs time only.
"""

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import IO, Generic, TypeVar

from numpy.lib.format import read_array, write_array

from dam_connector.domain import issue_codes
from dam_connector.domain.codec import from_plain, to_plain
from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import Issue
from dam_connector.domain.picture_size import MIN_SIDE_PX
from dam_connector.domain.rules import ImagingRules
from dam_connector.errors import InputError
from dam_connector.net_file import NETS, NO_NET
from dam_connector.private_files import make_private_dir, open_private
from dam_connector.wiring import Services
from worker.gltf.document import Document
from worker.gltf.features import features
from worker.imaging import (
    background,
    clean_background,
    cutout,
    cutout_evidence,
    cutout_probability,
    guided_filter,
    lost_parts,
    lost_print,
    mask_repair,
    mirror_image,
    net_cutout,
    open_mesh,
    person,
    photo_quality,
    plane_arithmetic,
    salient_net,
    see_through,
    segmentation,
    shown_objects,
    touch_up,
)
from worker.imaging.cutout import Cutout
from worker.imaging.decode import MAX_SIDE_PX, Photo, decode
from worker.imaging.net_cutout import cut_out_product
from worker.imaging.photo_quality import fingerprint, source_issues
from worker.imaging.salient_net import SalientNet, find_net
from worker.modeling.glb_import import read_glb
from worker.modeling.textured_mesh import TexturedMesh

T = TypeVar("T")
MAX_PHOTOS = 6  # of one product, at most
MAX_FINGERPRINTS = 64  # the photos of some products
FINGERPRINT_PX = 512  # longer side at which a photo is compared with others
MAX_MODELS = 2  # before and after a step
MAX_CUTOUT_BYTES = 1_000_000_000  # about 100 photos of 1600 px
CUTOUT_MODULES = (
    background,
    clean_background,
    cutout,
    cutout_evidence,
    cutout_probability,
    guided_filter,
    lost_parts,
    lost_print,
    mask_repair,
    net_cutout,
    open_mesh,
    person,
    plane_arithmetic,
    salient_net,
    see_through,
    segmentation,
    touch_up,
)
QUALITY_MODULES = (*CUTOUT_MODULES, photo_quality, mirror_image, shown_objects, issue_codes)


def _code_digest(modules: Iterable[ModuleType]) -> str:
    return hashlib.sha256(b"".join(Path(str(m.__file__)).read_bytes() for m in modules)).hexdigest()[:12]


CODE_DIGEST, QUALITY_DIGEST = _code_digest(CUTOUT_MODULES), _code_digest(QUALITY_MODULES)


class LruCache(Generic[T]):
    """The most recently used values, by hash."""

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._entries = OrderedDict[Sha256, T]()

    def get(self, sha256: Sha256) -> T | None:
        """Return a value and mark it as used; None where it is not there."""
        if sha256 in self._entries:
            self._entries.move_to_end(sha256)
        return self._entries.get(sha256)

    def put(self, sha256: Sha256, value: T) -> T:
        """Add a value, drop the least recently used ones, and return the value."""
        self._entries[sha256] = value
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
        return value


_PHOTOS: LruCache[tuple[Photo, int, int]] = LruCache(MAX_PHOTOS)  # photo, its max_side_px, its max_pixels
_FINGERPRINTS: LruCache[int] = LruCache(MAX_FINGERPRINTS)
_MODELS: LruCache[TexturedMesh] = LruCache(MAX_MODELS)
_FEATURES: LruCache[tuple[str, ...]] = LruCache(MAX_MODELS)


def cached_photo(
    services: Services,
    sha256: Sha256,
    pointer: str = "",
    max_side_px: int = MAX_SIDE_PX,
    min_side_px: int = MIN_SIDE_PX,
) -> Photo:
    """Return a stored photo, decoded; see `decode`.

    Args:
        services: The services, for their blobs and settings.
        sha256: The photo's hash.
        pointer: The place for errors, e.g. `/images/front`.
        max_side_px: A larger photo is reduced to this.
        min_side_px: A smaller photo is refused.

    Raises:
        InputError: source.*
    """
    max_pixels = services.settings.max_picture_pixels
    photo, known_side_px, known_pixels = _PHOTOS.get(sha256) or (None, 0, 0)
    if photo is not None and known_pixels == max_pixels:
        was_reduced = max(photo.size) >= min(max_side_px, known_side_px)
        if known_side_px == max_side_px or not was_reduced:
            return photo
    data = services.blobs.get(sha256)
    photo = decode(
        data, max_pixels=max_pixels, pointer=pointer, max_side_px=max_side_px, min_side_px=min_side_px
    )
    _PHOTOS.put(sha256, (photo, max_side_px, max_pixels))
    return photo


def cached_fingerprint(services: Services, sha256: Sha256) -> int:
    """Return the fingerprint of a stored photo; see `fingerprint`.

    Raises:
        InputError: source.*
    """
    known = _FINGERPRINTS.get(sha256)
    if known is not None:
        return known
    max_pixels, data = services.settings.max_picture_pixels, services.blobs.get(sha256)
    return _FINGERPRINTS.put(
        sha256, fingerprint(decode(data, max_pixels=max_pixels, max_side_px=FINGERPRINT_PX))
    )


def cached_model(services: Services, sha256: Sha256) -> TexturedMesh:
    """Return a stored GLB, read; see `read_glb`.

    Raises:
        InputError: file.*, geometry.empty.
    """
    return _MODELS.get(sha256) or _MODELS.put(sha256, read_glb(services.blobs.get(sha256)))


def cached_features(services: Services, sha256: Sha256) -> tuple[str, ...]:
    """Return what a stored GLB has beyond one mesh with one opaque material; see `features`.

    Raises:
        InputError: file.*
    """
    found = _FEATURES.get(sha256)
    return _FEATURES.put(sha256, features(Document(services.blobs.get(sha256)))) if found is None else found


def cached_cut_out(
    services: Services, imaging: ImagingRules, sha256: Sha256, photo: Photo, pointer: str = ""
) -> Cutout:
    """Return the product cut out of a photo, corrected by the strokes that people painted on it.

    See `cut_out_product` and `touch_up`.

    Args:
        services: The services, for their data directory and the touch-ups.
        imaging: The rules that name the net. Each net has a cut-out of its own.
        sha256: The hash of the encoded photo.
        photo: The photo, decoded. Each size has a cut-out of its own.
        pointer: The place for errors, e.g. `/images/front`.

    Raises:
        InputError: cutout.empty.
    """
    width, height = photo.size
    net = _net(services, imaging) if photo.alpha is None else None
    by = f"{CODE_DIGEST}-{net.sha256[:12] if net else NO_NET}"
    path = _folder(services) / f"{sha256}-{width}x{height}-{by}.cutout"

    def automatic() -> Cutout:
        return _cached(path, lambda: cut_out_product(photo, net, pointer))

    strokes = services.touch_ups.strokes(sha256)
    if not strokes:
        return automatic()
    digest = hashlib.sha256(repr(strokes).encode()).hexdigest()[:12]
    touched = path.with_name(f"{path.stem}-{digest}.cutout")
    return _cached(touched, lambda: touch_up.touch_up(_or_none(automatic), photo, strokes, pointer))


def cached_source_issues(
    services: Services, sha256: Sha256, photo: Photo, cutout: Cutout, view: str, imaging: ImagingRules
) -> tuple[Issue, ...]:
    """Return the issues of a photo and of its cut-out; see `source_issues`.

    Each deliverable that is made from a photo reports them.

    Args:
        services: The services, for their data directory.
        sha256: The hash of the encoded photo.
        photo: The photo, decoded.
        cutout: The product, cut out of it.
        view: The view that the photo shows, e.g. `front`.
        imaging: The rules with the limit of doubt.
    """
    seen = cutout.confidence, cutout.net, cutout.doubts, cutout.busy_share, cutout.lost_letters
    given = repr((view, imaging, photo.size, seen)).encode()
    digest = hashlib.sha256(given + cutout.alpha.tobytes()).hexdigest()[:24]
    path = _folder(services) / f"{sha256}-{QUALITY_DIGEST}-{digest}.issues"
    with suppress(OSError, ValueError, KeyError, TypeError):  # there are none, or the file is damaged
        return from_plain(tuple[Issue, ...], json.loads(path.read_bytes()))
    found = tuple(source_issues(photo, cutout, view, imaging))
    with suppress(OSError), _replacing(path) as file:
        file.write(json.dumps(to_plain(found)).encode())
    return found


def load_net(services: Services, imaging: ImagingRules) -> None:
    """Read the net of the cut-outs: processes that are forked afterwards need not, and save .05 CPU-seconds.

    Raises:
        ConfigError: The file holds no net.
    """
    if net := _net(services, imaging):
        net.load()


def _folder(services: Services) -> Path:
    return services.settings.data_dir / "cache" / "cutouts"


def _net(services: Services, imaging: ImagingRules) -> SalientNet | None:
    return find_net(imaging.net, (services.settings.data_dir / NETS,))


def _or_none(cut_out: Callable[[], Cutout]) -> Cutout | None:
    """Return a cut-out; None where no product is found."""
    try:
        return cut_out()
    except InputError:
        return None


def _cached(path: Path, cut_out: Callable[[], Cutout]) -> Cutout:
    """Return the cut-out in a file; make it and write the file where there is none."""
    found = _read(path)
    if found is None:
        found = cut_out()
        with suppress(OSError):  # a full disk must not stop the work
            _write(path, found)
            _evict_oldest(path.parent)
    return found


def _read(path: Path) -> Cutout | None:
    """Return a stored cut-out; None where there is none, or where its file is damaged."""
    try:
        with path.open("rb") as file:
            rgb, alpha = read_array(file, allow_pickle=False), read_array(file, allow_pickle=False)
            fields = json.loads(file.read())
        found = Cutout(
            rgb=rgb,
            alpha=alpha,
            confidence=fields["confidence"],
            busy_share=fields["busy"],
            touched_sides=tuple(fields["touches"]),
            net=fields["net"],
            doubts=tuple(fields["doubts"]),
            lifted=fields["lifted"],
            lost_letters=fields["lost_letters"],
            may_fray=fields["may_fray"],
        )
        path.touch()  # the oldest are evicted first
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found


def _write(path: Path, found: Cutout) -> None:
    fields = {
        "confidence": found.confidence,
        "busy": found.busy_share,
        "touches": found.touched_sides,
        "net": found.net,
        "doubts": found.doubts,
        "lifted": found.lifted,
        "lost_letters": found.lost_letters,
        "may_fray": found.may_fray,
    }
    with _replacing(path) as file:
        for array in (found.rgb, found.alpha):
            write_array(file, array, allow_pickle=False)
        file.write(json.dumps(fields).encode())


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file under a temporary name and rename it at the end: readers never see half of it."""
    make_private_dir(path.parent)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    with open_private(temporary, "wb") as file:
        yield file
    temporary.replace(path)


def _evict_oldest(folder: Path) -> None:
    """Delete the oldest cut-outs until the rest fits into MAX_CUTOUT_BYTES."""
    entries = sorted(((p.stat().st_mtime, p.stat().st_size, p) for p in folder.iterdir()), reverse=True)
    remaining = MAX_CUTOUT_BYTES
    for _, size, path in entries:
        remaining -= size
        if remaining < 0:
            path.unlink(missing_ok=True)
