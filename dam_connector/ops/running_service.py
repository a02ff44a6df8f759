"""The address of the service that runs on a data directory, for commands that print links to it.

`dam-connector up --port 9000` listens elsewhere than the settings of another command say. The note in the
data directory holds its process, host and port.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil

from dam_connector.private_files import make_private_dir, open_private
from dam_connector.settings import Settings


@contextmanager
def noted_service(settings: Settings) -> Iterator[None]:
    """Note the address of this process in the data directory while it serves."""
    path = _note_path(settings)
    make_private_dir(settings.data_dir)
    with open_private(path, "w") as note:
        json.dump({"pid": os.getpid(), "host": settings.host, "port": settings.port}, note)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def service_address(settings: Settings) -> str:
    """Return the address of the service: that of the settings, or where it listens now."""
    try:
        note = json.loads(_note_path(settings).read_text(encoding="utf-8"))
        if psutil.pid_exists(int(note["pid"])):
            settings = replace(settings, host=str(note["host"]), port=int(note["port"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none runs here, or an interrupted one left half a note
    return settings.base_url


def _note_path(settings: Settings) -> Path:
    return settings.data_dir / "service.json"
