"""Kept: what the steps of a run look at again, and what other runs do.

Within a process, the photos decoded and the models read last. For all of them, each photo's cut-out: made once, whatever is made from it
and however often. Cut-outs lie beside the data, as plain arrays, named by the photo's hash and by the code that made them; the oldest go
when there are too many. Losing any of it costs time only.
"""

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

from numpy.lib.format import read_array, write_array

from dam_connector.domain.ids import Sha256
from dam_connector.wiring import Services
from worker.imaging import background, cutout, plane_arithmetic, segmentation
from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.decode import MAX_SIDE_PX, Photo, decode
from worker.modeling.glb_import import read_glb
from worker.modeling.textured_mesh import TexturedMesh

T = TypeVar("T")
MAX_PHOTOS, MAX_MODELS = 6, 2  # of one product, at the most, and a model before and after a step
MAX_CUTOUT_BYTES = 1_000_000_000  # about 100 photos of 1600 px
CODE_DIGEST = hashlib.sha256(
    b"".join(Path(str(m.__file__)).read_bytes() for m in (background, cutout, segmentation, plane_arithmetic))
).hexdigest()[:12]


class LruCache(Generic[T]):
    """The last few of something, by hash."""

    def __init__(self, max_entries: int) -> None:
        self._most, self._known = max_entries, OrderedDict[Sha256, T]()

    def get(self, sha256: Sha256) -> T | None:
        if sha256 in self._known:
            self._known.move_to_end(sha256)
        return self._known.get(sha256)

    def put(self, sha256: Sha256, value: T) -> T:
        self._known[sha256] = value
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return value


_PHOTOS: LruCache[tuple[Photo, int, int]] = LruCache(MAX_PHOTOS)
_MODELS: LruCache[TexturedMesh] = LruCache(MAX_MODELS)


def cached_photo(
    services: Services, sha256: Sha256, pointer: str = "", longest_px: int = MAX_SIDE_PX
) -> Photo:
    """The stored photo, decoded (`decode.decode`). Raises: InputError source.*"""
    limit = services.settings.max_picture_pixels
    photo, reduced_to, limited_to = _PHOTOS.get(sha256) or (None, 0, 0)
    as_wanted = photo is not None and (
        reduced_to == longest_px or max(photo.size) < min(longest_px, reduced_to)
    )
    if photo is None or not as_wanted or limited_to != limit:
        photo = decode(services.blobs.get(sha256), max_pixels=limit, pointer=pointer, max_side_px=longest_px)
        _PHOTOS.put(sha256, (photo, longest_px, limit))
    return photo


def cached_model(services: Services, sha256: Sha256) -> TexturedMesh:
    """The stored GLB as a model (`foreign.read_glb`). Raises: InputError file.unreadable, file.*, geometry.empty."""
    return _MODELS.get(sha256) or _MODELS.put(sha256, read_glb(services.blobs.get(sha256)))


def cached_cutter(services: Services, sha256: Sha256) -> Callable[[Photo, str], Cutout]:
    """`cut_out` for the photo with this hash, which remembers."""
    folder = services.settings.data_dir / "cache" / "cutouts"

    def cut(photo: Photo, pointer: str = "") -> Cutout:
        path = folder / f"{sha256}-{photo.size[0]}x{photo.size[1]}-{CODE_DIGEST}.cutout"
        found = _read(path)
        if found is None:
            found = cut_out(photo, pointer)
            with suppress(OSError):  # a full disk must not stop the work
                _write(path, found)
                _evict_oldest(folder)
        return found

    return cut


def _read(path: Path) -> Cutout | None:
    try:
        with path.open("rb") as file:
            rgb, alpha = read_array(file, allow_pickle=False), read_array(file, allow_pickle=False)
            said = json.loads(file.read())
        found = Cutout(
            rgb=rgb,
            alpha=alpha,
            confidence=said["confidence"],
            busy_share=said["busy"],
            touched_sides=tuple(said["touches"]),
        )
        path.touch()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found


def _write(path: Path, made: Cutout) -> None:
    said = {"confidence": made.confidence, "busy": made.busy_share, "touches": made.touched_sides}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    with temporary.open("wb") as file:
        for array in (made.rgb, made.alpha):
            write_array(file, array, allow_pickle=False)
        file.write(json.dumps(said).encode())
    temporary.replace(path)


def _evict_oldest(folder: Path) -> None:
    known = sorted(((p.stat().st_mtime, p.stat().st_size, p) for p in folder.iterdir()), reverse=True)
    room = MAX_CUTOUT_BYTES
    for _, size, path in known:
        room -= size
        if room < 0:
            path.unlink(missing_ok=True)
