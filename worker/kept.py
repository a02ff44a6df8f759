"""Kept cut-outs: each photo is cut out once, whatever is made from it and however often.

They lie beside the data, as plain arrays, named by the photo's hash and by the code that made them; the oldest go when there are
too many. Losing them costs time only.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from dam_connector.catalog.ids import Sha256
from dam_connector.wiring import Services
from worker.imaging import background, cutout, segment
from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.decode import Photo

MAX_BYTES = 1_000_000_000  # about 100 photos of 1600 px
METHOD = hashlib.sha256(b"".join(Path(str(m.__file__)).read_bytes() for m in (background, cutout, segment))).hexdigest()[:12]


def keeper(services: Services, sha256: Sha256) -> Callable[[Photo, str], Cutout]:
    """`cut_out` for the photo with this hash, which remembers."""
    folder = services.settings.data_dir / "cache" / "cutouts"

    def cut(photo: Photo, pointer: str = "") -> Cutout:
        path = folder / f"{sha256}-{photo.size[0]}x{photo.size[1]}-{METHOD}.npz"
        found = _read(path)
        if found is None:
            found = cut_out(photo, pointer)
            with suppress(OSError):  # a full disk must not stop the work
                _write(path, found)
                _make_room(folder)
        return found

    return cut


def _read(path: Path) -> Cutout | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            said = json.loads(str(kept["said"]))
            touches = tuple(said["touches"])
            found = Cutout(rgb=kept["rgb"], alpha=kept["alpha"], confidence=said["confidence"], busy=said["busy"], touches=touches)
        path.touch()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return found


def _write(path: Path, made: Cutout) -> None:
    out = io.BytesIO()
    said = {"confidence": made.confidence, "busy": made.busy, "touches": made.touches}
    np.savez(out, rgb=made.rgb, alpha=made.alpha, said=np.array(json.dumps(said)))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{id(made)}.new")
    temporary.write_bytes(out.getvalue())
    temporary.replace(path)


def _make_room(folder: Path) -> None:
    known = sorted(((p.stat().st_mtime, p.stat().st_size, p) for p in folder.iterdir()), reverse=True)
    room = MAX_BYTES
    for _, size, path in known:
        room -= size
        if room < 0:
            path.unlink(missing_ok=True)
