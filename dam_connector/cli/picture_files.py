"""Pictures and models in a folder or ZIP beside a sheet."""

import hashlib
from dataclasses import replace
from pathlib import Path

from dam_connector.domain.brought_model import is_model_name
from dam_connector.domain.ids import Sha256
from dam_connector.domain.picture_damage import picture_damage
from dam_connector.domain.picture_names import is_picture_name, unread_reason
from dam_connector.errors import AdapterError
from dam_connector.model_siblings import read_model
from dam_connector.usecases import batches
from dam_connector.wiring import Services
from schemas.uploads import PictureList, list_pictures


def list_picture_files(services: Services, path: Path | None) -> PictureList:
    """Return the pictures in a folder or ZIP, and which are damaged; nothing is stored.

    Raises:
        InputError: the file is no ZIP that can be read, or exceeds a limit.
    """
    if path is None:
        return PictureList(files={}, damage={})
    if path.is_dir():
        return _list_folder(path)
    return list_pictures(path.read_bytes(), services.settings.max_picture_bytes)


def store_pictures(services: Services, path: Path | None, wanted: set[Sha256]) -> dict[str, Sha256]:
    """Store the pictures in a folder or ZIP that a sheet names; return their hashes by path."""
    if path is None:
        return {}
    if path.is_dir():
        return {
            name: services.blobs.put(_read(path / name))
            for name, sha256 in _list_folder(path).files.items()
            if sha256 in wanted
        }
    return batches.store_zip_pictures(services, path.read_bytes(), wanted)


def _list_folder(path: Path) -> PictureList:
    """Return the pictures in a folder and in those below it, and the paths of other files."""
    found = PictureList(files={}, damage={})
    unread = []
    for p in sorted(path.rglob("*")):
        if not p.is_file():
            continue
        if not (is_picture_name(p.name) or is_model_name(p.name)):
            unread += [p.relative_to(path).as_posix()] if unread_reason(p.name) else []
            continue
        data = _read(p)
        file = Sha256(hashlib.sha256(data).hexdigest())
        found.files[p.relative_to(path).as_posix()] = file
        if not is_model_name(p.name) and (damage := picture_damage(data)):
            found.damage[file] = damage
    return replace(found, unread=tuple(unread))


def _read(path: Path) -> bytes:
    """Return a picture, or a model with the files beside it; a model without them is refused later."""
    if not is_model_name(path.name):
        return path.read_bytes()
    try:
        return read_model(path)
    except AdapterError:
        return path.read_bytes()
