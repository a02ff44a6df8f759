"""Texts of a sheet that were encoded once too often: as UTF-8 read in another encoding, or as HTML."""

import re
from collections.abc import Iterable
from html import unescape

_DOUBLE_ENCODED = re.compile("[\u00c2-\u00f4][\u0080-\u00bf\u0152-\u0178\u02c6\u02dc\u2013-\u2122]")
_HTML = re.compile(
    r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>|&(?:[a-z]{2,8}|#\d{1,6}|#x[0-9a-f]{1,6});", re.IGNORECASE
)


class DoubtfulTexts:
    """The texts of a sheet that are probably not those that were typed."""

    def __init__(self) -> None:
        self._count, self._example = 0, ""

    def add(self, line: int, cells: Iterable[str]) -> None:
        """Look at the texts of a row."""
        meant = [(cell, typed_text(cell)) for cell in cells]
        changed = [(cell, text) for cell, text in meant if text != cell]
        if changed:
            self._count += 1
            cell, text = changed[0]
            self._example = self._example or f'"{cell[:40]}" in row {line} instead of "{text[:40]}"'

    def note(self) -> str:
        """Return a note about them; empty if there are none."""
        if not self._count:
            return ""
        rows = "1 row has" if self._count == 1 else f"{self._count} rows have"
        return f"{rows} texts that are encoded twice, or HTML: {self._example}. They are taken as they are."


def typed_text(cell: str) -> str:
    """Return what was probably typed: `Stühle` for `StÃ¼hle`, `A & B` for `A &amp; B`; else the same text."""
    text = cell
    if _DOUBLE_ENCODED.search(text):
        try:
            text = text.encode("cp1252").decode("utf-8")
        except UnicodeError:
            return cell
    if _HTML.search(text):
        text = " ".join(unescape(re.sub(r"<[^<>]{1,200}>", " ", text)).split())
    return text
