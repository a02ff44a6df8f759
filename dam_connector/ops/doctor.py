"""The checks of `dam-connector doctor`: the state of every part, and a remedy for each that fails."""

import importlib.util
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from redis.exceptions import RedisError

from dam_connector.errors import ConfigError, ConnectorError
from dam_connector.net_file import missing_net_here
from dam_connector.ops import queue_server
from dam_connector.private_files import is_open_to_others
from dam_connector.queue import connect, queue_error_text, refusal
from dam_connector.rules_file import read_rules_text, shipped_rules_text
from dam_connector.server_addresses import without_password
from dam_connector.settings import GENERATED_SECRETS, Settings
from dam_connector.store.blobs import open_blobs
from dam_connector.store.database import Database
from dam_connector.store.users import User
from dam_connector.usecases.rules_check import unknown_people
from dam_connector.wiring import build_services, check_rules
from schemas.rules_loader import load_rules

LOW_DISK_BYTES = 2_000_000_000
LIMIT_S = 15.0  # for one part; a database may take 5 s to refuse


@dataclass(frozen=True, slots=True)
class PartStatus:
    """The state of one part."""

    part: str  # e.g. `queue` or `database`
    good: bool
    detail: str  # where it is, or why it fails
    remedy: str = ""  # what to do when it fails


def check_parts(settings: Settings) -> Iterator[PartStatus]:
    """Yield the state of each part as soon as it is known. No part takes longer than LIMIT_S."""
    checks: Mapping[str, Callable[[Settings], Iterable[PartStatus]]] = {
        "queue": lambda s: [_queue(s)],
        "database": _database,
        "storage": _storage,
        "disk": _disk,
        "content credentials": _signing,
        "plugin.json": _rules,
        "data directory": _privacy,
    }
    for part, check in checks.items():
        yield from _bounded(part, check, settings)


def _bounded(
    part: str, check: Callable[[Settings], Iterable[PartStatus]], settings: Settings
) -> list[PartStatus]:
    """Return what a check finds; a failure if it takes too long or breaks, so that the others follow."""
    found: list[list[PartStatus]] = []

    def run() -> None:
        try:
            found.append(list(check(settings)))
        except ConfigError as error:
            found.append([PartStatus(part, False, line, "Correct what it names.") for line in error.problems])
        except Exception as error:  # noqa: BLE001 - whatever it is, the other parts are to be checked
            detail = f"the check broke: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
            found.append([PartStatus(part, False, detail, "Report this line as a fault of the connector.")])

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    late = PartStatus(part, False, f"no answer within {LIMIT_S:g} s", "Check its address, and the network.")
    return found[0] if found else [late]


def _queue(settings: Settings) -> PartStatus:
    try:
        connect(settings.effective_redis_url).ping()
    except RedisError as error:
        return _queue_away(settings, error)
    except ConfigError as error:  # the place of its socket
        return PartStatus("queue", False, str(error), "Remove what it names.")
    return PartStatus("queue", True, "REDIS_URL" if settings.redis_url else str(settings.queue_socket))


def _queue_away(settings: Settings, error: RedisError) -> PartStatus:
    if not settings.redis_url:
        try:
            detail = f"not running now; dam-connector up starts {queue_server.find_binary()}"
        except ConfigError as problem:
            remedy = "Remove what it names, or install redis or valkey."
            return PartStatus("queue", False, str(problem), remedy)
        return PartStatus("queue", True, detail)
    address = without_password(settings.redis_url)
    if reason := refusal(error):
        remedy = f"It runs. Correct the {reason.rpartition(' ')[2]} in REDIS_URL."
        return PartStatus("queue", False, f"{address} answers: {reason}", remedy)
    remedy = "Start that server, or correct REDIS_URL."
    return PartStatus("queue", False, f"{address} does not answer: {queue_error_text(error)}", remedy)


def _database(settings: Settings) -> Iterator[PartStatus]:
    file = settings.data_dir / "connector.db"
    if not settings.database_url and not file.exists():
        yield PartStatus("database", True, f"not there yet; dam-connector up creates {file}")
        return
    database = Database(settings.effective_database_url)
    try:
        missing = database.missing_migration()
    except ConnectorError as error:
        yield PartStatus("database", False, str(error), _database_remedy(str(error)))
        return
    finally:
        database.close()
    detail = "PostgreSQL" if settings.database_url else settings.effective_database_url
    if missing:
        detail = f"migration {missing} is missing"
    yield PartStatus("database", not missing, detail, "Run dam-connector migrate.")


def _database_remedy(reason: str) -> str:
    """Return the remedy for an error of the database."""
    if "authentication failed" in reason or "no password supplied" in reason:
        return "It runs. Correct user and password in DATABASE_URL."
    if "does not exist" in reason:
        return "It runs. Create what is missing, or correct DATABASE_URL."
    return "Start it, or correct host and port in DATABASE_URL."


def _storage(settings: Settings) -> Iterator[PartStatus]:
    probe = b"dam-connector doctor"
    try:
        blobs = open_blobs(settings.effective_storage_url)
        if blobs.get(blobs.put(probe)) != probe:
            yield PartStatus(
                "storage",
                False,
                "the storage returned other bytes than were written",
                "Check the storage at STORAGE_URL.",
            )
            return
    except (ConnectorError, OSError) as error:
        yield PartStatus("storage", False, str(error), "Check STORAGE_URL, its credentials and permissions.")
        return
    yield PartStatus("storage", True, settings.storage_url or settings.effective_storage_url)


def _disk(settings: Settings) -> Iterator[PartStatus]:
    if shortage := build_services(settings).disk.shortage():
        yield PartStatus(
            "disk",
            False,
            f"webhooks and uploads are refused and runs wait: {shortage}",
            "Free some space; all goes on by itself. dam-connector gc --dry-run counts what is not used.",
        )
        return
    folder = settings.data_dir.absolute()
    free = shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists())).free
    yield PartStatus(
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
    if gone := disappeared_rules(settings):
        yield PartStatus("plugin.json", False, gone, "Put the file back, or init a new one.")
        return
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
    if net := missing_net_here(rules, settings):
        yield PartStatus("net", False, net.partition(". ")[0], f"{net.partition('. ')[2]}.")
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


def disappeared_rules(settings: Settings) -> str:
    """Return a line if plugin.json is not there, and others than the shipped rules were in force; else ""."""
    if settings.plugin_json.exists() or not has_database(settings):
        return ""
    services = build_services(settings)
    try:
        newest = None if services.db.missing_migration() else services.rules_archive.newest()
    except ConnectorError:
        return ""
    finally:
        services.db.close()
    if newest in (None, shipped_rules_text()):
        return ""
    return (
        f"{settings.plugin_json}: the file does not exist; the service has other rules, which stay in force "
        "until it is started again"
    )


def has_database(settings: Settings) -> bool:
    """Return whether there is a database to ask."""
    return bool(settings.database_url) or (settings.data_dir / "connector.db").exists()


def known_users(settings: Settings) -> list[User] | None:
    """Return all who may log in; None where there is no database, or none that can be read."""
    if not has_database(settings):
        return None
    services = build_services(settings)
    try:
        return None if services.db.missing_migration() else services.users.all()
    except ConnectorError:
        return None
    finally:
        services.db.close()
