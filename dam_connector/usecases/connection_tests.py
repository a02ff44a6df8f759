"""Tests of connections whose result is stored: the page of the connections shows the last one of each."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.http_errors import UnknownHost
from dam_connector.domain.codec import to_plain
from dam_connector.domain.rules import Connection, Rules
from dam_connector.errors import (
    AdapterError,
    BadOutput,
    ConfigError,
    NotFound,
    OutOfCredit,
    RateLimited,
    Refused,
    Unavailable,
)
from dam_connector.usecases.connections import COSTS_ALWAYS, ONLY_SENDS, PORTS, check_connection
from dam_connector.wiring import Services

NOTE_PREFIX = "connection-test:"
_NOT_ASKED = (ONLY_SENDS, COSTS_ALWAYS)
_LOGIN_REFUSED = re.compile(r"\bHTTP 40[13]\b")
MAX_LINES, MAX_LINE = 40, 500  # of a result that is stored, and characters of each line
# The remedy by the class of the error; the first that fits counts.
REMEDIES: tuple[tuple[type[Exception], str], ...] = (
    (
        ConfigError,
        "Correct the connection in plugin.json, or set the variable that it names and restart the service.",
    ),
    (OutOfCredit, "Add credit there, or raise the cap in plugin.json."),
    (RateLimited, "Wait some minutes, then test again."),
    (UnknownHost, "Correct the name of the host in its address in plugin.json."),
    (
        Unavailable,
        "See whether it runs, and whether its address in plugin.json leads to it from this machine.",
    ),
    (Refused, "Give its token or user the rights that the guide of this connection lists."),
    (NotFound, "Compare the names and addresses of the connection in plugin.json with what is there."),
    (BadOutput, "Compare its version and its settings with the guide of this connection."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionTest:
    """The result of the last test of a connection."""

    at: datetime  # in UTC
    by: str  # who asked for it
    done: tuple[str, ...]  # the steps that worked, for people
    error: str  # why the next one did not; empty when all worked
    remedy: str  # what to do about it; empty when all worked
    is_outdated: bool  # whether the connection was changed in plugin.json since then

    @property
    def good(self) -> bool:
        """Return whether all steps worked."""
        return not self.error

    @property
    def proved(self) -> tuple[str, ...]:
        """Return the steps that prove something: not the first line, which names the connection."""
        return tuple(line for line in self.done[1:] if line not in _NOT_ASKED)

    @property
    def reservation(self) -> str:
        """Return why nothing could be asked; empty where something was."""
        return next((line for line in self.done if line in _NOT_ASKED), "")


def was_asked(done: Sequence[str]) -> bool:
    """Return whether the lines of a test prove anything: the first one names the connection."""
    return any(line not in _NOT_ASKED for line in done[1:])


def run_test(services: Services, name: str, *, by: str, sku: str = "") -> Iterator[str]:
    """Test a connection by `check_connection` and store the result; yield a line for each step that worked.

    Args:
        name: the connection's name in plugin.json.
        by: who asks for it.
        sku: a product of ours with which a channel is tested.

    Raises:
        AdapterError: the step that does not work.
        ConfigError: there is no such connection, or it is incomplete.
    """
    done: list[str] = []
    try:
        for line in check_connection(services, name, sku=sku):
            done.append(line)
            yield line
    except (AdapterError, ConfigError) as error:
        _store(services, name, by, done, error)
        raise
    _store(services, name, by, done, None)


def last_tests(services: Services) -> dict[str, ConnectionTest]:
    """Return the last test of each connection by its name; those that were never tested are left out."""
    rules, found = services.rules.current(), {}
    for port in PORTS:
        for name, connection in getattr(rules, port).items():
            value = services.notes.get(NOTE_PREFIX + name)
            if value is not None:
                found[name] = ConnectionTest(
                    at=datetime.fromisoformat(value["at"]),
                    by=value["by"],
                    done=tuple(value["done"]),
                    error=value["error"],
                    remedy=value["remedy"],
                    is_outdated=value["connection"] != _fingerprint(connection),
                )
    return found


def _store(services: Services, name: str, by: str, done: list[str], error: Exception | None) -> None:
    connection = _connection(services.rules.current(), name)
    if connection is None:
        return
    value = {
        "at": services.clock.now().isoformat(),
        "by": by,
        "done": [line[:MAX_LINE] for line in done[:MAX_LINES]],
        "error": str(error)[:MAX_LINE] if error else "",
        "remedy": remedy_of(services, name, error) if error else "",
        "connection": _fingerprint(connection),
    }
    services.notes.set(NOTE_PREFIX + name, value)


def remedy_of(services: Services, name: str, error: Exception) -> str:
    """Return the remedy of an error of a connection, for people; of a refused login, with its variables."""
    text = next(
        (text for kind, text in REMEDIES if isinstance(error, kind)), "Read the guide, then test again."
    )
    if isinstance(error, Refused) and _LOGIN_REFUSED.search(str(error)):
        variables = ", ".join(reference.removeprefix("env/") for reference in _secrets_of(services, name))
        text += f" It logs in by {variables}: compare that with what is there." if variables else ""
    return text


def _secrets_of(services: Services, name: str) -> list[str]:
    """Return the references to secrets that a connection reads, also those that are its defaults."""
    found: list[str] = []

    def record(reference: str) -> str:
        found.append(reference)
        return services.adapter_context.secret(reference)

    rules = services.rules.current()
    for port in PORTS:
        if connection := getattr(rules, port).get(name):
            with suppress(ConfigError):
                open_adapter(port, name, connection, replace(services.adapter_context, secret=record))
            break
    return list(dict.fromkeys(found))


def _connection(rules: Rules, name: str) -> Connection | None:
    return next((getattr(rules, port)[name] for port in PORTS if name in getattr(rules, port)), None)


def _fingerprint(connection: Connection) -> str:
    """Return the hash of what plugin.json says about a connection; it names secrets and has none."""
    return hashlib.sha256(json.dumps(to_plain(connection), sort_keys=True).encode()).hexdigest()
