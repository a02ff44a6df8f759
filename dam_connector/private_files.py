"""Files and directories that only the user of the service may read: the data directory and all in it.

The modes are set where a file is created, whatever the umask. The umask of the service processes covers
files of other programs, e.g. the queue server.
"""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from dam_connector.errors import ConfigError

DIR_MODE, FILE_MODE = 0o700, 0o600
OTHERS = 0o077  # the rights of everybody but the owner


def use_private_umask() -> None:
    """Deny other users the files that this process and its children create from now on."""
    os.umask(OTHERS)


def make_private_dir(path: Path) -> None:
    """Create a directory, and the missing ones above it, with mode 0700."""
    if not path.is_dir():
        make_private_dir(path.parent)
        path.mkdir(mode=DIR_MODE, exist_ok=True)


def open_private(path: Path, mode: str) -> IO[Any]:
    """Open a file like `open`; a new file gets mode 0600."""
    return open(path, mode, opener=lambda name, flags: os.open(name, flags, FILE_MODE))


def create_private_file(path: Path) -> None:
    """Create an empty file with mode 0600 if none exists; leave errors to whoever opens the file next.

    An existing file is not opened: closing it would end the locks that SQLite holds on it in this process.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))


def open_data_dir(path: Path) -> None:
    """Create the data directory; if others may read an existing one, take their rights to all in it.

    A directory of another user is left alone (e.g. a mounted volume; `doctor` reports it), and so is one with
    the sticky bit, e.g. /tmp.
    """
    make_private_dir(path)
    found = path.stat()
    if not is_open_to_others(path) or found.st_uid != os.geteuid() or found.st_mode & stat.S_ISVTX:
        return
    for each in _walk(path):
        with suppress(OSError):  # it was deleted meanwhile, or is another user's
            if not each.is_symlink():
                each.chmod(each.stat().st_mode & ~OTHERS)
    path.chmod(found.st_mode & ~OTHERS)  # last: a start that is interrupted here is repeated in full


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        yield from (Path(place, name) for name in (*folders, *files))


def is_open_to_others(path: Path) -> bool:
    """Return whether other users have any right to a file or directory."""
    return bool(path.stat().st_mode & OTHERS)


def private_temp_dir(name: str) -> Path:
    """Return this user's directory `NAME-UID` in the temporary directory, created with mode 0700.

    Raises:
        ConfigError: another user made it or may write into it, or it is no directory.
    """
    path = Path(tempfile.gettempdir()) / f"{name}-{os.geteuid()}"
    with suppress(FileExistsError):
        path.mkdir(mode=DIR_MODE)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & OTHERS:
        raise ConfigError(
            f"{path} is not a directory of this user alone: remove it, "
            "or choose a data directory with a shorter path"
        )
    return path
