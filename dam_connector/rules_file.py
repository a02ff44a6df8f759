"""The rules in force, read from plugin.json.

A changed file is read without a restart. If it has errors, or disappears, it is refused and the last good
rules stay in force.
"""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import structlog

from dam_connector.domain.rules import Apply, NamingRules, Rules
from dam_connector.errors import ConfigError
from dam_connector.store.rules_archive import RulesArchive
from schemas.rules_loader import load_rules

log = structlog.get_logger()
MAX_RULES_BYTES = 1_048_576
DEFAULT_RULES = Path("plugin.json")  # as in Settings


def shipped_rules_text() -> str:
    """Return the text of the plugin.json that ships with the package."""
    shipped = files("dam_connector").joinpath("plugin.json")
    if shipped.is_file():
        return shipped.read_text()
    return (Path(__file__).parent.parent / "plugin.json").read_text()


def require_rules_file(path: Path) -> None:
    """Check that plugin.json is there; it may be missing only where nobody has named another path.

    Raises:
        ConfigError: it is missing.
    """
    if path != DEFAULT_RULES and not path.exists():
        raise ConfigError(f"{path}: the file does not exist; put it there, or set DAM_CONNECTOR_PLUGIN_JSON")


def read_rules_text(path: Path) -> str:
    """Return the text of plugin.json; that of the shipped one if the file at the default path is missing.

    Raises:
        ConfigError: the file cannot be read, or it is missing at a path that somebody has set.
    """
    require_rules_file(path)
    if not path.exists():
        return shipped_rules_text()
    try:
        if path.stat().st_size > MAX_RULES_BYTES:
            raise ConfigError(f"{path}: the file is larger than {MAX_RULES_BYTES} bytes")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}") from error


class RulesFile:
    """The rules in force.

    Good rules are stored in the archive, so that all processes fall back to the same ones.
    """

    def __init__(
        self, path: Path, archive: RulesArchive, in_transaction: Callable[[], bool] = lambda: False
    ) -> None:
        """Create the rules of a file; the file is read when the rules are used first.

        Args:
            path: the file.
            archive: where good rules are stored.
            in_transaction: whether the caller's thread has a database transaction open.
        """
        self._path, self._archive, self._in_transaction = path, archive, in_transaction
        self._loaded_stamp: tuple[float, int] | None = None
        self._was_there = False  # whether the file was read, and not the shipped one in its place
        self._current: Rules | None = None
        self._namings: tuple[NamingRules, ...] | None = None
        self._archived: dict[str, Rules] = {}  # the earlier rules that were asked for last
        self._lock = threading.Lock()
        # the check of the connections' options, which `build_services` sets: one line for each problem
        self.check: Callable[[Rules], list[str]] = lambda rules: []
        self.problem: ConfigError | None = None
        self.pending: Rules | None = None  # those of the file, while they wait to be applied
        self.pending_text = ""

    def current(self) -> Rules:
        """Return the newest good rules; within a database transaction, those from before it.

        Loading rules stores them. A transaction that waited for a thread that loads, while that one waits for
        the transaction, would wait for ever; and one that is undone would take the stored rules with it.

        Raises:
            ConfigError: the file has errors, and no good rules were ever in force.
        """
        if self._in_transaction():
            return self._current or self._load(None)
        with self._lock:
            stamp = self._stamp()
            if self._current is None or stamp != self._loaded_stamp or self._is_accepted():
                self._current = self._load(self._current)
                self._loaded_stamp = stamp
            return self._current

    def _load(self, last_good: Rules | None) -> Rules:
        try:
            text = self._read_text()
            rules = self._checked(text)
        except ConfigError as error:
            self.problem = error
            log.error("rules_refused", path=str(self._path), problems=list(error.problems))
            if last_good:
                return last_good
            if archived := self._archive.newest():
                with suppress(ConfigError):  # an earlier release accepted what this one refuses
                    return load_rules(archived)
            raise
        self.problem, self.pending = None, None
        if in_force := self._waits_for(text):
            self.pending, self.pending_text = rules, text
            return in_force
        changed = last_good is None or last_good.fingerprint != rules.fingerprint
        if changed and self._archive.newest() != text:
            self._archive.add(rules.fingerprint, text)
            log.info("rules_in_force", fingerprint=rules.fingerprint)
            self._namings = None
        return rules

    def _checked(self, text: str) -> Rules:
        """Return the rules of a text; of a changed one, the connections can be opened too.

        Rules that were in force are not checked again: a release that refuses an option leaves the others.

        Raises:
            ConfigError: the text has errors.
        """
        rules = load_rules(text)
        newest = self._archive.newest()
        if newest is not None and newest != text and (problems := self.check(rules)):
            raise ConfigError(*problems)
        return rules

    def _read_text(self) -> str:
        """Return the text of the file. Once it was there, a missing one is an error like any other."""
        if self._was_there and not self._path.exists():
            raise ConfigError(f"{self._path}: the file has disappeared; put it back, or restart without it")
        text = read_rules_text(self._path)
        self._was_there = self._path.exists()
        return text

    def _waits_for(self, text: str) -> Rules | None:
        """Return the rules in force if a change of them waits until it is applied; else None."""
        newest = self._archive.newest()
        if newest is None or newest == text:
            return None
        with suppress(ConfigError):  # an earlier release accepted what this one refuses
            in_force = _parsed(newest)
            return in_force if in_force.changes.apply == Apply.CONFIRM else None
        return None

    def _is_accepted(self) -> bool:
        """Return whether the pending rules were applied, maybe by another process."""
        return self.pending is not None and self._archive.newest() == self.pending_text

    def accept(self) -> Rules:
        """Put the pending rules in force; return them, or the current ones if none are pending."""
        pending = self.pending
        if pending is None:
            return self.current()
        self._archive.add(pending.fingerprint, self.pending_text)
        return pending

    def former_namings(self) -> tuple[NamingRules, ...]:
        """Return the patterns of names that were in force, each once.

        Earlier releases made assets by hashes with these patterns; `planning.input_hash` explains it.
        """
        if self._namings is None:
            found = [NamingRules(**naming) for text in self._archive.texts() for naming in _naming_of(text)]
            self._namings = tuple(each for i, each in enumerate(found) if each not in found[:i])
        return self._namings

    def with_fingerprint(self, fingerprint: str) -> Rules:
        """Return the rules with a fingerprint; the current ones if those are unknown or refused by now.

        A run follows the rules with which it started until its last step.
        """
        current = self.current()
        if current.fingerprint == fingerprint:
            return current
        if archived := self._archived.get(fingerprint):
            return archived
        text = self._archive.get(fingerprint)
        try:
            if text is None:
                return current
            self._archived = {fingerprint: _parsed(text)}  # the runs of a batch have the same
            return self._archived[fingerprint]
        except ConfigError as error:
            log.warning("archived_rules_refused", fingerprint=fingerprint, problems=list(error.problems))
            return current

    def _stamp(self) -> tuple[float, int] | None:
        """Return the file's modification time and size; None while it is missing."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return (status.st_mtime, status.st_size)


def _naming_of(text: str) -> list[dict[str, Any]]:
    """Return what a text of plugin.json says about names; nothing if it cannot be read by now."""
    try:
        naming = json.loads(text).get("naming", {})
        return [{key: naming[key] for key in ("default", "patterns", "folder") if key in naming}]
    except (ValueError, AttributeError, TypeError):
        return []


@lru_cache(maxsize=8)
def _parsed(text: str) -> Rules:
    return load_rules(text)
