"""The rules for passwords, after NIST SP 800-63B-4: long, not among those that are tried first, nothing else.

A password is the only factor here, so it has at least 15 characters (3.1.1.2). All characters are allowed, no
mixture is required, and no password expires.
"""

import re
import unicodedata

MIN_LENGTH = 15
MAX_LENGTH = 256
MAX_PERIOD = 6  # a shorter text that is only repeated is refused
# The words that the commonest long passwords are made of, and those that everybody guesses here.
_WORDS = (
    "password|passwort|passw0rd|motdepasse|qwertyuiop|qwerty|qwertz|azerty|asdfghjkl|asdfgh|zxcvbnm|letmein|"
    "welcome|iloveyou|monkey|dragon|football|baseball|sunshine|princess|trustno1|superman|master|secret|"
    "changeme|default|admin|administrator|root|login|user|username|guest|test|hello|abc|abcdef|"
    "dam|connector|damconnector|reviewer|viewer|merchandiser"
)
_SEQUENCES = ("01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm")


def normalize_password(password: str) -> str:
    """Return a password in one form of Unicode, so that each keyboard gives the same bytes."""
    return unicodedata.normalize("NFKC", password)


def password_problem(password: str, user_name: str) -> str:
    """Return why a password is refused, or an empty text.

    Args:
        password: the password.
        user_name: the name of its user.
    """
    text = normalize_password(password)
    if len(text) < MIN_LENGTH:
        return f"a password has at least {MIN_LENGTH} characters; several words are good"
    if len(text) > MAX_LENGTH:
        return f"a password has at most {MAX_LENGTH} characters"
    if _is_guessed_first(text.casefold(), user_name.casefold()):
        return "this password is among those that are tried first; choose several words of your own"
    return ""


def _is_guessed_first(text: str, user_name: str) -> bool:
    """Return whether a text is a repetition, a sequence, or only words that everybody knows."""
    if any(_is_repetition(text, period) for period in range(1, MAX_PERIOD + 1)):
        return True
    words = rf"{re.escape(user_name)}|{_WORDS}" if user_name else _WORDS
    rest = re.sub(words, "", text)
    for sequence in (*_SEQUENCES, *(s[::-1] for s in _SEQUENCES)):
        for length in range(len(sequence), 2, -1):
            for start in range(len(sequence) - length + 1):
                rest = rest.replace(sequence[start : start + length], "")
    letters = re.sub(r"[\W\d_]", "", rest)
    return len(letters) < 4 and len(rest) < MIN_LENGTH // 2


def _is_repetition(text: str, period: int) -> bool:
    return text == (text[:period] * (len(text) // period + 1))[: len(text)]
