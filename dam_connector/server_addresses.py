"""Addresses of the database and the queue server: whether they can be one, and their form without secrets."""

import re
from urllib.parse import urlsplit

_DATABASE = re.compile(r"(postgres|postgresql|postgresql\+psycopg|sqlite)://")


def database_address(url: str) -> str:
    """Return the URL of a database with the driver that is installed.

    Managed databases write `postgres://` or `postgresql://`.
    """
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)


def without_password(url: str) -> str:
    """Return a URL without user, password and options."""
    return re.sub(r"//[^/]*@", "//", url.partition("?")[0])


def address_problems(database_url: str, redis_url: str) -> list[str]:
    """Return a line for each address that can be none; it repeats none, since it may hold a password."""
    problems = []
    if database_url and not _DATABASE.match(database_url):
        problems.append(
            "DATABASE_URL is not the address of a PostgreSQL database; "
            "write postgresql+psycopg://user:password@host/name"
        )
    if redis_url and not _is_redis_url(redis_url):
        problems.append("REDIS_URL is not the address of a Redis server; write redis://:password@host:6379/0")
    return problems


def _is_redis_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        has_place = bool(parts.path if parts.scheme == "unix" else parts.hostname)
        return parts.scheme in ("redis", "rediss", "unix") and has_place and parts.port != 0
    except ValueError:  # the port is no number
        return False
