"""The process that reads uploaded sheets and ZIPs. `python -m schemas.upload_process` reads standard input.

A small file can claim or unpack to a great deal. So this process reads it, within limits, and writes plain
lines of JSON or the unpacked files; its parent needs only `schemas.uploads`.
"""

import hashlib
import json
import posixpath
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO

from dam_connector.domain.brought_model import MAX_MODEL_BYTES, is_model_name
from dam_connector.domain.picture_names import is_picture_name, unread_reason, zip_names
from dam_connector.errors import InputError
from dam_connector.model_siblings import with_siblings
from dam_connector.watched_process import DAMAGED_ARCHIVE, limit_this_process
from schemas.numbers_and_units import NumberCell
from schemas.sheet_reader import read_sheet
from schemas.uploads import FRAME, INPUT_ERROR_CODE, SHEET_LIMITS, ZIP_LIMITS, look_at, refused_size

MAX_MEMBERS = 20_000
UTF8_FLAG = 0x800  # of a member of a ZIP: its name is UTF-8
MAX_UNPACKED_BYTES = 1_000_000_000  # of all pictures


def write_sheet(source: IO[bytes], out: IO[bytes]) -> None:
    """Write header, notes and delimiter of a sheet as a line of JSON, and a line for each row.

    It is `[line, {column: cell}, problem, columns whose cells are numbers of a workbook]`.
    """
    sheet = read_sheet(source.read())
    _write_line(out, [sheet.header, sheet.notes, sheet.delimiter])
    for line, cells in sheet.rows:
        numbers = [name for name, cell in cells.items() if isinstance(cell, NumberCell)]
        _write_line(out, [line, cells, cells.problem, numbers])


def _write_line(out: IO[bytes], values: object) -> None:
    out.write(json.dumps(values, ensure_ascii=False).encode(errors="replace") + b"\n")


def write_picture_list(source: IO[bytes], out: IO[bytes], max_picture_bytes: int) -> None:
    """Write the paths, the SHA-256, the damage and the size of each picture in a ZIP as a line of JSON.

    A file that is not read has the reason in place of the damage, and no SHA-256.
    """
    for names, reason in _unread_files(source, max_picture_bytes):
        _write_line(out, [names, "", reason, None])
    source.seek(0)
    for names, data in _pictures(source, max_picture_bytes):
        _write_line(out, [names, hashlib.sha256(data).hexdigest(), *look_at(names[0], data)])


def write_pictures(source: IO[bytes], out: IO[bytes], max_picture_bytes: int) -> None:
    """Write the pictures in a ZIP: the lengths of names and content, the names and the content of each."""
    for names, data in _pictures(source, max_picture_bytes):
        encoded = json.dumps(names).encode()
        out.write(FRAME.pack(len(encoded), len(data)) + encoded + data)


def _unread_files(source: IO[bytes], max_picture_bytes: int) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the paths that each file in a ZIP may have that is not read, and the reason.

    A ZIP that cannot be read has none; `_pictures` refuses it.
    """
    with suppress(*DAMAGED_ARCHIVE), zipfile.ZipFile(source) as package:
        members = package.infolist()
        for member in members[:MAX_MEMBERS]:
            name = member.filename
            reason = "" if is_model_name(name) else unread_reason(name)
            if is_model_name(name) or is_picture_name(name):
                reason = refused_size(name, member.file_size, max_picture_bytes)
            if reason and not member.is_dir():
                yield zip_names(name, marked=bool(member.flag_bits & UTF8_FLAG)), reason


def _pictures(source: IO[bytes], max_picture_bytes: int) -> Iterator[tuple[tuple[str, ...], bytes]]:
    """Yield the pictures and models in a ZIP, by the paths that each may have; too large ones are left out.

    Raises:
        InputError: sheet.unreadable: the ZIP is damaged, or has or unpacks to too much.
    """
    try:
        with zipfile.ZipFile(source) as package:
            members = package.infolist()
            _check_count(len(members))
            chosen = [m for m in members if _is_picture(m, max_picture_bytes)]
            _check_total(sum(m.file_size for m in chosen))
            for member in chosen:
                marked = bool(member.flag_bits & UTF8_FLAG)
                data = package.read(member)
                if is_model_name(member.filename):
                    data = with_siblings(data, MAX_MODEL_BYTES, _sibling_reader(package, member.filename))
                yield zip_names(member.filename, marked=marked), data
    except DAMAGED_ARCHIVE as error:
        raise InputError(
            "sheet.unreadable",
            "The file of pictures is neither a folder nor a ZIP that can be read. "
            "Pack the pictures into a ZIP anew.",
        ) from error


def _sibling_reader(package: zipfile.ZipFile, model: str) -> Callable[[str, int], bytes]:
    """Return the function that reads a file beside a model in a ZIP; none where it is not there or too large.

    A model without it is refused later, with the file's name.
    """

    def read(name: str, max_bytes: int) -> bytes:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(model), name))
        member = package.NameToInfo.get(path)
        return package.read(member) if member and member.file_size <= max_bytes else b""

    return read


def _is_picture(member: zipfile.ZipInfo, max_bytes: int) -> bool:
    """Return whether a member is a picture or a model that is not too large."""
    name = member.filename
    is_read = is_model_name(name) or is_picture_name(name)
    return is_read and not refused_size(name, member.file_size, max_bytes)


def _check_count(count: int) -> None:
    if count > MAX_MEMBERS:
        raise InputError(
            "sheet.unreadable",
            "The ZIP has too many files; upload it in parts.",
            measured=f"{count}",
            limit=f"{MAX_MEMBERS}",
        )


def _check_total(total: int) -> None:
    if total > MAX_UNPACKED_BYTES:
        raise InputError(
            "sheet.unreadable",
            "The pictures in the ZIP are too large together; upload it in parts.",
            measured=f"{total / 1e6:.0f} MB",
            limit=f"{MAX_UNPACKED_BYTES / 1e6:.0f} MB",
        )


def main(arguments: list[str]) -> int:
    """Read standard input and write to standard output; return the exit code."""
    action = arguments[0]
    limit_this_process(SHEET_LIMITS if action == "sheet" else ZIP_LIMITS)
    source, out = sys.stdin.buffer, sys.stdout.buffer
    try:
        if action == "sheet":
            write_sheet(source, out)
        elif action == "list":
            write_picture_list(source, out, int(arguments[1]))
        else:
            write_pictures(source, out, int(arguments[1]))
        out.flush()
    except InputError as error:
        facts = [error.issue_code, str(error), error.pointer, error.measured, error.limit]
        sys.stderr.write(json.dumps(facts))
        return INPUT_ERROR_CODE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
