"""Uploaded sheets and ZIPs of pictures, read in a process within limits: see `upload_process`."""

import json
import struct
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

from dam_connector.domain.brought_model import MAX_MODEL_BYTES, is_model_name
from dam_connector.domain.ids import Sha256
from dam_connector.domain.picture_damage import picture_damage
from dam_connector.domain.picture_size import picture_size
from dam_connector.errors import Busy, InputError
from dam_connector.watched_process import WAIT_S, ProcessFailed, ProcessLimits, TooManyProcesses, run_module
from schemas.numbers_and_units import NumberCell
from schemas.sheet_table import Sheet, SheetCells, SheetRow

SHEET_LIMITS = ProcessLimits(cpu_s=30, memory_bytes=1_000_000_000, output_bytes=1_000_000_000)
ZIP_LIMITS = ProcessLimits(cpu_s=60, memory_bytes=500_000_000, output_bytes=1_100_000_000)
INPUT_ERROR_CODE = 3  # the exit code of a process that wrote the facts of an InputError
FRAME = struct.Struct("<IQ")  # before each picture: the lengths of its names as JSON and of its content
MAX_UPLOAD_BYTES = 500_000_000  # of a sheet or a ZIP, by page and API


def read_uploaded_sheet(data: bytes) -> Sheet:
    """Read the sheet in a CSV or XLSX file from outside.

    Raises:
        InputError: sheet.unreadable, sheet.empty or sheet.header.
        Busy: too many uploads are read at once.
    """
    with _as_file(data) as source:
        output = _run(["sheet"], source, SHEET_LIMITS, "sheet")
    header, notes, delimiter = json.loads(output.readline())
    rows = _Rows(output).read
    return Sheet(header=tuple(header), open_rows=rows, notes=tuple(notes), delimiter=delimiter)


class _Rows:
    """The rows of a sheet in a file, which is closed with the last use of them."""

    def __init__(self, output: IO[bytes]) -> None:
        self._output, self._start = output, output.tell()
        weakref.finalize(self, output.close)

    def read(self) -> Iterator[SheetRow]:
        """Yield the rows from the first one on; several readers may take turns."""
        place = self._start
        while True:
            self._output.seek(place)
            text = self._output.readline()
            if not text:
                return
            place = self._output.tell()
            line, values, problem, numbers = json.loads(text)
            cells = SheetCells(values)
            cells.update((name, NumberCell(cells[name])) for name in numbers)
            cells.problem = problem
            yield line, cells


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureList:
    """The pictures and models in a ZIP or folder."""

    files: dict[str, Sha256] = field(default_factory=dict)  # hashes by path
    # what is wrong with the damaged pictures: a predicate, see `picture_damage`
    damage: dict[Sha256, str] = field(default_factory=dict)
    sizes: dict[Sha256, tuple[int, int]] = field(default_factory=dict)  # in pixels, where they are known
    # why other files are not read, by path: a predicate, e.g. of HEIC pictures and of too large files
    unread: dict[str, str] = field(default_factory=dict)

    def add(self, names: Sequence[str], sha256: Sha256, damage: str, size: Sequence[int] | None) -> None:
        """Add a picture or a model by the paths that it may have, with its damage and its size."""
        self.files.update(dict.fromkeys(names, sha256))
        if damage:
            self.damage[sha256] = damage
        if size:
            self.sizes[sha256] = (size[0], size[1])


def look_at(name: str, data: bytes) -> tuple[str, tuple[int, int] | None]:
    """Return the damage and the size of a picture; nothing of a model."""
    return ("", None) if is_model_name(name) else (picture_damage(data), picture_size(data))


def refused_size(name: str, count: int, max_picture_bytes: int) -> str:
    """Return why a picture or a model of so many bytes is not read, as a predicate; empty if it is."""
    most = MAX_MODEL_BYTES if is_model_name(name) else max_picture_bytes
    return f"has {count:,} bytes, more than the limit of {most:,}; save it smaller" if count > most else ""


def list_pictures(data: bytes, max_picture_bytes: int) -> PictureList:
    """Return the hashes of the pictures and models in a ZIP, and which are damaged. Nothing is stored.

    A name whose encoding the ZIP does not mark is there in each that it may have.

    Other files are listed with the reason, and so are pictures larger than `max_picture_bytes` and models
    larger than `MAX_MODEL_BYTES`.

    Raises:
        InputError: sheet.unreadable: the ZIP cannot be read, or has or unpacks to too much.
        Busy: too many uploads are read at once.
    """
    with (
        _as_file(data) as source,
        _run(["list", str(max_picture_bytes)], source, ZIP_LIMITS, "ZIP") as output,
    ):
        listed = [json.loads(line) for line in output]
    found = PictureList()
    for names, sha256, text, size in listed:
        if sha256:
            found.add(names, Sha256(sha256), text, size)
        else:
            found.unread.update(dict.fromkeys(names, text))
    return found


def unpack_pictures(data: bytes, max_picture_bytes: int) -> Iterator[tuple[list[str], bytes]]:
    """Yield the pictures that `list_pictures` lists, by the paths that each may have; raise as it does."""
    with _as_file(data) as source:
        output = _run(["unpack", str(max_picture_bytes)], source, ZIP_LIMITS, "ZIP")
    with output:
        while head := output.read(FRAME.size):
            name_length, length = FRAME.unpack(head)
            yield json.loads(output.read(name_length)), output.read(length)


def _as_file(data: bytes) -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    try:
        file.write(data)
    except BaseException:
        file.close()
        raise
    return file


def _run(arguments: list[str], source: IO[bytes], limits: ProcessLimits, kind: str) -> IO[bytes]:
    try:
        return run_module("schemas.upload_process", arguments, source, limits)
    except TooManyProcesses as error:
        message = "too many uploads are read at once"
        raise Busy("uploads", "read", message, retry_after_s=WAIT_S) from error
    except ProcessFailed as error:
        raise _input_error(error, kind) from error


def _input_error(error: ProcessFailed, kind: str) -> InputError:
    """Return the InputError that the process reported, or one about the limit that the file exceeded."""
    try:
        code, message, pointer, measured, limit = json.loads(error.report)
        return InputError(code, message, pointer=pointer, measured=measured, limit=limit)
    except (ValueError, TypeError):
        return InputError("sheet.unreadable", f"The {kind} cannot be read: {error}.")
