"""Decoding of text files whose encoding nobody names: UTF-8, UTF-16, Windows-1252 or Mac Roman."""

import re
import unicodedata

from dam_connector.errors import InputError

BAD_CHARACTER = "\ufffd"  # in place of a byte that is none of the text's encoding
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_NAMES = {"cp1252": "Windows-1252", "mac-roman": "Mac Roman"}
_COMMON = frozenset("äöüßéèêëàâçñáíóúîïôûåøæœãõÄÖÜÉÈÀÇÑÅØÆŒ’")  # in words of Western European languages
_QUOTES = frozenset("„“”«»‘‚")
_PUNCTUATION = _QUOTES | frozenset("–—")


def decode_text(data: bytes) -> tuple[str, tuple[str, ...]]:
    """Decode the bytes of a text file.

    The encoding is that of the byte order mark, UTF-16 if there are NUL bytes, UTF-8 if the bytes are valid
    but for a few, or else Windows-1252 or Mac Roman, whichever gives likelier words.

    Returns:
        The text, with `BAD_CHARACTER` in place of bytes that are none, and notes about a guess.

    Raises:
        InputError: sheet.unreadable: the bytes are not valid in the encoding that the beginning suggests.
    """
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), "")
    if not encoding and b"\x00" in data[:200]:
        encoding = "utf-16-le" if data[1:2] == b"\x00" else "utf-16-be"
    if encoding.startswith("utf-16"):
        try:
            return data.decode(encoding), ()
        except UnicodeDecodeError as error:
            message = f"The text begins as {encoding}, but is not valid. Save it as CSV (UTF-8)."
            raise InputError("sheet.unreadable", message) from error
    text = data.decode(encoding or "utf-8", "replace")
    bad = text.count(BAD_CHARACTER)
    good = sum(1 for c in text if c > "\x7f") - bad
    if not bad or encoding or good >= bad:
        return text, (_bad_bytes_note(bad, text),) if bad else ()
    return _decode_old(data)


def _bad_bytes_note(count: int, text: str) -> str:
    line = text[: text.index(BAD_CHARACTER)].count("\n") + 1
    if count == 1:
        return f"1 byte is not UTF-8, in line {line}; the row that uses it is refused."
    return f"{count} bytes are not UTF-8, the first in line {line}; rows that use them are refused."


def _decode_old(data: bytes) -> tuple[str, tuple[str, ...]]:
    """Decode text of one byte a character."""
    texts = {name: data.decode(name, "replace") for name in _NAMES}
    name = max(texts, key=lambda name: _likelihood(texts[name]))  # the first of equal ones
    word = next((w for w in re.findall(r"[^\W\d_]+", texts[name]) if not w.isascii()), "")
    example = f", e.g. {word[:40]}" if word else ""
    return texts[name], (f"The text is not UTF-8; it is read as {_NAMES[name]}{example}.",)


def _likelihood(text: str) -> int:
    """Return how likely the characters beyond ASCII are beside their neighbours."""
    signs = re.finditer(r"[^\x00-\x7f]", text[:2_000_000])
    return sum(
        _sign_likelihood(m[0], text[max(0, m.start() - 1) : m.start()], text[m.end() : m.end() + 2])
        for m in signs
    )


def _sign_likelihood(sign: str, before: str, after: str) -> int:
    if sign == BAD_CHARACTER or "\x80" <= sign <= "\x9f":
        return -2
    at_word = before.isalpha() + after[:1].isalpha()
    if sign in _PUNCTUATION:  # a quote at one end of a word, a dash between blanks
        return 2 if at_word == (sign in _QUOTES) else -1
    if not at_word:
        return 0
    if unicodedata.category(sign) == "Lu" and (
        before.islower() or (after[:1].isupper() and after[1:].islower())
    ):
        return -1
    return 2 if sign in _COMMON else 1 if unicodedata.category(sign) in ("Lu", "Ll") else -1
