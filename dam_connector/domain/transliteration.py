"""Words of any language in plain ASCII, for file names, folders and the search."""

import re
import unicodedata

from anyascii import anyascii


def ascii_words(text: str) -> list[str]:
    """Return the words of a text in plain ASCII.

    `Überlanger Stuhl №3` gives `['Uberlanger', 'Stuhl', 'No3']`, and `Стул` gives `['Stul']`.
    """
    return re.findall(r"[A-Za-z0-9]+", "".join(map(_ascii, text.replace("ß", "ss"))))


def _ascii(character: str) -> str:
    """Return a character in ASCII: without its accent, or else as it sounds; nothing for a sign."""
    if character.isascii():
        return character
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or (anyascii(character) if character.isalnum() else "")
