"""The rules in force: read from plugin.json, picked up when it changes; a bad change is refused and the last good one stays."""

import threading
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import structlog

from dam_connector.domain.rules import Rules
from dam_connector.errors import ConfigError
from dam_connector.store.rules_archive import RulesArchive
from schemas.rules_loader import load_rules

log = structlog.get_logger()
MAX_RULES_BYTES = 1_048_576


def read_rules_text(path: Path) -> str:
    """The text of plugin.json, or of the one that ships with the package where the file is missing.

    Raises: ConfigError when the file cannot be read.
    """
    if not path.exists():
        shipped = files("dam_connector").joinpath("plugin.json")
        return (
            shipped.read_text()
            if shipped.is_file()
            else (Path(__file__).parent.parent / "plugin.json").read_text()
        )
    try:
        if path.stat().st_size > MAX_RULES_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_RULES_BYTES} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}") from error


class RulesFile:
    """Gives the rules in force. What came into force is kept in the books, so that every process falls back to the same."""

    def __init__(self, path: Path, archive: RulesArchive) -> None:
        self._path, self._archive = path, archive
        self._seen: tuple[float, int] | None = None
        self._current: Rules | None = None
        self._lock = threading.Lock()
        self.problem: ConfigError | None = None

    def current(self) -> Rules:
        """The newest good rules.

        Raises: ConfigError when the file is bad and no good one was ever in force.
        """
        with self._lock:
            stamp = self._stamp()
            if self._current is None or stamp != self._seen:
                self._current = self._load(self._current)
                self._seen = stamp
            return self._current

    def _load(self, last_good: Rules | None) -> Rules:
        try:
            text = read_rules_text(self._path)
            rules = load_rules(text)
        except ConfigError as error:
            self.problem = error
            kept = self._archive.newest()
            log.error("rules_refused", path=str(self._path), problems=list(error.problems))
            if last_good or kept:
                return last_good or load_rules(str(kept))
            raise
        self.problem = None
        changed = last_good is None or last_good.fingerprint != rules.fingerprint
        if changed and self._archive.newest() != text:
            self._archive.add(rules.fingerprint, text)
            log.info("rules_in_force", fingerprint=rules.fingerprint)
        return rules

    def with_fingerprint(self, fingerprint: str) -> Rules:
        """The rules that had this fingerprint, which a run goes by from its first to its last step."""
        current = self.current()
        if current.fingerprint == fingerprint:
            return current
        text = self._archive.get(fingerprint)
        return _parsed(text) if text else current

    def _stamp(self) -> tuple[float, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return (found.st_mtime, found.st_size)


@lru_cache(maxsize=8)
def _parsed(text: str) -> Rules:
    return load_rules(text)
