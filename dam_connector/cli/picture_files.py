"""Pictures and models in a folder or ZIP beside a sheet."""

import hashlib
from pathlib import Path

from dam_connector.domain.brought_model import is_model_name
from dam_connector.domain.ids import Sha256
from dam_connector.domain.picture_names import is_picture_name, unread_reason
from dam_connector.errors import AdapterError
from dam_connector.model_siblings import read_model
from dam_connector.usecases import batches
from dam_connector.wiring import Services
from schemas.uploads import PictureList, list_pictures, look_at, refused_size


def list_picture_files(services: Services, path: Path | None) -> PictureList:
    """Return the pictures in a folder or ZIP, and which are damaged; nothing is stored.

    Raises:
        InputError: the file is no ZIP that can be read, or exceeds a limit.
    """
    if path is None:
        return PictureList()
    if path.is_dir():
        return _list_folder(services, path)
    return list_pictures(path.read_bytes(), services.settings.max_picture_bytes)


def store_pictures(services: Services, path: Path | None, wanted: set[Sha256]) -> None:
    """Store the pictures in a folder or ZIP that a sheet names."""
    if path is None:
        return
    if not path.is_dir():
        batches.store_zip_pictures(services, path.read_bytes(), wanted)
        return
    for name, sha256 in _list_folder(services, path).files.items():
        if sha256 in wanted:
            services.blobs.put(_read(path / name))


def _list_folder(services: Services, path: Path) -> PictureList:
    """Return the pictures in a folder and in those below it, and why other files are not read."""
    found, most = PictureList(), services.settings.max_picture_bytes
    for p in sorted(path.rglob("*")):
        if not p.is_file():
            continue
        name, is_read = p.relative_to(path).as_posix(), is_picture_name(p.name) or is_model_name(p.name)
        reason = refused_size(p.name, p.stat().st_size, most) if is_read else unread_reason(p.name)
        if reason:
            found.unread[name] = reason
        elif is_read:
            data = _read(p)
            found.add([name], Sha256(hashlib.sha256(data).hexdigest()), *look_at(p.name, data))
    return found


def _read(path: Path) -> bytes:
    """Return a picture, or a model with the files beside it; a model without them is refused later."""
    if not is_model_name(path.name):
        return path.read_bytes()
    try:
        return read_model(path)
    except AdapterError:
        return path.read_bytes()
