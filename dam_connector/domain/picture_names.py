"""Names of picture files, as sheets write them and as folders and ZIPs hold them.

A name is found whatever its slashes, its Unicode form and its case are, and with or without the folders above
it. If several different files are meant, the name is ambiguous: no file is chosen.
"""

import posixpath
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import unquote

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".tif", ".tiff")
_NOT_READ = ", which is not read; "
HEIC_SUFFIXES = (".heic", ".heif", ".hif")  # what phones write unless they are told otherwise
VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".avi", ".webm", ".mkv", ".3gp", ".mpg", ".mpeg")
OTHER_PICTURE_SUFFIXES = [
    ".dng",
    ".cr2",
    ".cr3",
    ".nef",
    ".arw",
    ".raf",
    ".rw2",
    ".orf",
    ".gif",
    ".bmp",
    ".jxl",
    ".jp2",
    ".psd",
    ".svg",
    ".eps",
    ".pdf",
    ".exr",
    ".tga",
]
_OF_SYSTEMS = ("thumbs.db", "desktop.ini")
MAX_FOLDERS = 12  # above a file, by whose names it is found; more only by the whole path
MAX_PATH = 1_000  # characters; a longer path is found as a whole
MAX_DIGITS = 18  # of a number in a name; a longer one is a text
_UNMARKED = "cp437"  # how zipfile decodes names whose encoding a ZIP does not mark
_ZIP_ENCODINGS = ("utf-8", "cp1252", "cp850")  # what they are in truth
File = TypeVar("File")


def is_picture_name(path: str) -> bool:
    """Return whether a path is that of a picture, and not of macOS's own data beside it."""
    parts = clean_path(path).split("/")
    hidden = parts[-1].startswith("._") or "__MACOSX" in parts
    return path.lower().endswith(PICTURE_SUFFIXES) and not hidden


def unread_reason(path: str) -> str:
    """Return why a file is not read, with the remedy, e.g. `is HEIC, which is not read; save it as JPEG`.

    Return nothing for a picture that is read, and for files that systems add unasked.
    """
    name = posixpath.basename(clean_path(path))
    if is_picture_name(path) or name.startswith(".") or name.casefold() in _OF_SYSTEMS or "__MACOSX" in path:
        return ""
    suffix = posixpath.splitext(name)[1].casefold()
    if suffix in VIDEO_SUFFIXES:
        return unread_text("a video")
    kind = "HEIC" if suffix in HEIC_SUFFIXES else suffix.lstrip(".").upper()
    if suffix in (*HEIC_SUFFIXES, *OTHER_PICTURE_SUFFIXES):
        return unread_text(kind)
    return "is no picture (JPEG, PNG, WebP, TIFF or AVIF)"


def unread_text(kind: str) -> str:
    """Return the reason and the remedy for a file of a kind that is not read, e.g. `HEIC`."""
    remedy = "take photos, or save its frames as JPEG" if kind == "a video" else "save it as JPEG"
    return f"is {kind}{_NOT_READ}{remedy}"


def is_unread_text(text: str) -> bool:
    """Return whether a text is one of `unread_text`, which names its own remedy."""
    return _NOT_READ in text


def zip_names(name: str, *, marked: bool) -> tuple[str, ...]:
    """Return the names that a member of a ZIP may have, the likeliest first.

    Args:
        name: as `zipfile` decodes it.
        marked: whether the ZIP says that it is UTF-8.
    """
    if marked or name.isascii():
        return (name,)
    names = []
    for encoding in _ZIP_ENCODINGS:
        try:
            names.append(name.encode(_UNMARKED).decode(encoding))
        except UnicodeError:
            continue
    return tuple(dict.fromkeys((*names, name)))


def clean_path(path: str) -> str:
    """Return a path with slashes, in composed Unicode, without `.`, `..` and a slash before it."""
    plain = unicodedata.normalize("NFC", path).replace("\\", "/").strip()
    return posixpath.normpath(plain).lstrip("/") if plain else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Generic[File]):
    """The result of a search: one file, or the reason why there is none."""

    file: File | None = None
    paths: tuple[
        str, ...
    ] = ()  # of the different files that the name may mean, or of one with a similar name


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFolder(Generic[File]):
    """The result of a search for a folder."""

    files: tuple[File, ...] = ()  # in it, in order
    paths: tuple[str, ...] = ()  # of these files
    folders: tuple[str, ...] = ()  # that the name may mean


def natural_order(name: str) -> list[tuple[int, str]]:
    """Return the key that sorts names by the numbers in them: `2.jpg` before `10.jpg`."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(int(part), "") if part.isdecimal() and len(part) <= MAX_DIGITS else (-1, part) for part in parts]


class PictureFinder(Generic[File]):
    """Finds the files that the cells of a sheet name."""

    def __init__(self, files: Mapping[str, File]) -> None:
        """Index files.

        Args:
            files: by their path in the folder or ZIP; files that are equal count as one.
        """
        self._files = dict(files)
        self._exact: dict[str, dict[str, File]] = {}
        self._folded: dict[str, dict[str, File]] = {}
        for path, file in files.items():
            for name in _ends(clean_path(path)):
                self._exact.setdefault(name, {})[path] = file
                self._folded.setdefault(name.casefold(), {})[path] = file
        self._paths = {clean_path(path): path for path in files}
        self._folders: dict[str, dict[str, list[tuple[str, File]]]] = {}  # by the end of their path
        for path, original in self._paths.items():
            folder = posixpath.dirname(path)
            for name in _ends(folder.casefold()):
                found = self._folders.setdefault(name, {})
                found.setdefault(folder, []).append((path, files[original]))

    def find(self, cell: str) -> Found[File]:
        """Find the file that a cell names, by its whole path, a part of its end, or its name alone."""
        name = clean_path(cell)
        if name in self._paths:
            return self._one({self._paths[name]: self._files[self._paths[name]]})
        for names in (name, clean_path(unquote(cell))):
            if found := self._exact.get(names) or self._folded.get(names.casefold()):
                return self._one(found)
        near = self._folded.get(posixpath.basename(name).casefold(), {})
        return Found(paths=tuple(near)[:1])

    def find_folder(self, cell: str) -> FoundFolder[File]:
        """Find the files in the folder that a cell names, in the order of the numbers in their names."""
        name = clean_path(cell).casefold()
        folders = self._folders.get(name, {})
        whole = {folder.casefold(): folder for folder in folders}.get(name)
        if whole is not None:
            folders = {whole: folders[whole]}
        if len(folders) != 1:
            return FoundFolder(folders=tuple(folders))
        files = sorted(next(iter(folders.values())), key=lambda each: natural_order(each[0]))
        return FoundFolder(
            files=tuple(file for _, file in files),
            paths=tuple(path for path, _ in files),
            folders=tuple(folders),
        )

    def _one(self, found: Mapping[str, File]) -> Found[File]:
        different = dict(_first_paths(found.items()))
        if len(different) == 1:
            return Found(file=next(iter(different)))
        return Found(paths=tuple(different.values()))


def _ends(path: str) -> Iterator[str]:
    """Yield a path, and what is left of it without the folders above: `a/b.jpg`, `b.jpg`."""
    yield path
    if len(path) <= MAX_PATH:
        parts = path.split("/")
        for start in range(max(1, len(parts) - MAX_FOLDERS), len(parts)):
            yield "/".join(parts[start:])


def _first_paths(files: Iterable[tuple[str, File]]) -> Iterable[tuple[File, str]]:
    seen: dict[File, str] = {}
    for path, file in files:
        seen.setdefault(file, path)
    return seen.items()
