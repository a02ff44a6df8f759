"""The words of the AR page in the reader's language, and lengths in the reader's units.

A language is a file in `ar_languages/`. To add one, copy `en.json` and translate its values.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import request

FOLDER = Path(__file__).parent / "ar_languages"
DEFAULT = "en"
INCHES_PER_M = 1 / 0.0254
MAX_MM_M = 0.1  # shorter lengths are in millimetres
IMPERIAL_REGIONS = ("US", "LR", "MM")


@dataclass(frozen=True, slots=True)
class Reader:
    """The language and the units of somebody who reads a page."""

    language: str  # e.g. "de": the name of a file
    imperial: bool  # whether lengths are shown in inches

    @property
    def texts(self) -> Mapping[str, str]:
        """Return the words of the AR page by key."""
        return load_texts(self.language)

    def length(self, metres: float) -> str:
        """Return a length, e.g. `85.2 cm`, `85,2 cm`, `64 mm` or `33.5 in`."""
        if self.imperial:
            number, unit = metres * INCHES_PER_M, "in"
        elif metres < MAX_MM_M:
            number, unit = metres * 1000, "mm"
        else:
            number, unit = metres * 100, "cm"
        return f"{number:.1f}".removesuffix(".0").replace(".", self.texts["decimal"]) + f" {unit}"


@cache
def load_texts(language: str) -> Mapping[str, str]:
    """Return the words of a language."""
    found: dict[str, str] = json.loads((FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    return found


@cache
def available_languages() -> tuple[str, ...]:
    """Return the languages that have a file, the default first."""
    names = sorted(path.stem for path in FOLDER.glob("*.json"))
    return (DEFAULT, *(name for name in names if name != DEFAULT))


def requested_reader() -> Reader:
    """Return the reader that the request's Accept-Language describes."""
    accepted = request.accept_languages
    region = accepted.best.replace("_", "-").partition("-")[2].upper() if accepted.best else ""
    language = accepted.best_match(available_languages()) or DEFAULT
    return Reader(language, region in IMPERIAL_REGIONS)
