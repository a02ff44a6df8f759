"""Cells that spreadsheets would run as formulas: disarmed in the sheets we write, restored in those we read.

A leading apostrophe makes a cell text (OWASP, "CSV Injection"). Numbers such as -5 get one too: some
spreadsheet takes every such beginning for a formula.
"""

import re

# A formula's first character, behind apostrophes of the text's own: with these, restoring is exact.
# Characters of full width count in East Asian versions of Excel; invisible ones may be dropped at the import.
_FORMULA = re.compile(r"'*[\s\x00-\x1f\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]*[=+\-@\t\r\n＝＋－＠]")


def disarm(cell: str) -> str:
    """Return a cell with an apostrophe before it if it begins like a formula."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def restore(cell: str) -> str:
    """Return a cell as it was before `disarm`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
