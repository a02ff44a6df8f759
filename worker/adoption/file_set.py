"""The files of a brought model: the members of a ZIP, read without trust."""

import io
import posixpath
import zipfile
from collections.abc import Mapping
from pathlib import Path

from dam_connector.domain.brought_model import MODEL_SUFFIXES, is_model_name
from dam_connector.domain.picture_names import clean_path
from dam_connector.errors import InputError
from dam_connector.watched_process import DAMAGED_ARCHIVE

MAX_MEMBERS = 2_000
MAX_UNPACKED_BYTES = 600_000_000


class FileSet:
    """Files by path. Names are found whatever their slashes and their case are."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = {clean_path(path): content for path, content in files.items()}
        self._by_lower = {path.lower(): path for path in self._files}

    def __contains__(self, name: str) -> bool:
        return self._path(name) is not None

    def read(self, name: str) -> bytes:
        """Return a file's content.

        Raises:
            InputError: source.not_a_model, naming the file that is missing.
        """
        path = self._path(name)
        if path is None:
            message = f"It needs the file {name[:120]!r}, which is not beside it."
            limit = "a ZIP with the model and all its files"
            raise InputError("source.not_a_model", message, measured=name[:120], limit=limit)
        return self._files[path]

    @property
    def first(self) -> str:
        """Return the path of the first file."""
        return next(iter(self._files))

    def write_to(self, folder: Path) -> None:
        """Write the files into a folder.

        Raises:
            InputError: source.not_a_model: a path leads out of the folder.
        """
        for name, content in self._files.items():
            path = (folder / name).resolve()
            if not path.is_relative_to(folder) or path == folder:
                message = "A file in the ZIP leads out of its folder."
                raise InputError("source.not_a_model", message, measured=name[:120])
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            except OSError as error:  # e.g. a name that is too long
                message = f"A file in the ZIP cannot be unpacked ({type(error).__name__})."
                raise InputError("source.not_a_model", message, measured=name[:120]) from error

    def beside(self, name: str) -> "FileSet":
        """Return the files as a file of this set sees them: by paths from its folder.

        A file elsewhere in the set is found by its name alone, if no other has that name.
        """
        folder = posixpath.dirname(clean_path(name))
        own = {
            posixpath.relpath(path, folder or "."): content
            for path, content in self._files.items()
            if not folder or path.startswith(f"{folder}/")
        }
        names = [posixpath.basename(path) for path in self._files]
        alone = {
            posixpath.basename(path): content
            for path, content in self._files.items()
            if names.count(posixpath.basename(path)) == 1
        }
        return FileSet({**alone, **own})

    def find_model(self) -> str:
        """Return the path of the only model in the set.

        Raises:
            InputError: source.not_a_model: there is none, or more than one.
        """
        models = [path for path in self._files if is_model_name(path) and not path.lower().endswith(".zip")]
        if len(models) == 1:
            return models[0]
        message = "The ZIP holds several models." if models else "The ZIP holds no model."
        raise InputError(
            "source.not_a_model",
            message,
            measured=", ".join(models[:4]),
            limit=f"one file that ends in {', '.join(s for s in MODEL_SUFFIXES if s != '.zip')}",
        )

    def _path(self, name: str) -> str | None:
        path = clean_path(name)
        return path if path in self._files else self._by_lower.get(path.lower())


def open_archive(data: bytes) -> FileSet:
    """Return the files of a ZIP.

    Raises:
        InputError: source.not_a_model: it is damaged, or holds or unpacks to too much.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            members = [m for m in package.infolist() if not m.is_dir()]
            total = sum(m.file_size for m in members)
            if len(members) > MAX_MEMBERS or total > MAX_UNPACKED_BYTES:
                raise InputError(
                    "source.not_a_model",
                    "The ZIP holds more than any model needs.",
                    measured=f"{len(members)} files, {total / 1e6:.0f} MB",
                    limit=f"{MAX_MEMBERS} files, {MAX_UNPACKED_BYTES / 1e6:.0f} MB",
                )
            return FileSet({m.filename: package.read(m) for m in members})
    except DAMAGED_ARCHIVE as error:
        message = f"The ZIP cannot be read ({type(error).__name__})."
        raise InputError("source.not_a_model", message) from error
