"""Cells of CSV files that a spreadsheet shows as they are."""

import unicodedata
from typing import Final

_FORMULA: Final = frozenset("=+-@\N{MINUS SIGN}")
_CONTROL: Final = ("\t", "\r", "\n")


def safe_cell(text: str) -> str:
    """A cell that a spreadsheet shows and does not evaluate (OWASP, "CSV Injection").

    A text that begins like a formula, or with a tab or a line break, gets an apostrophe before it. A sign counts in every
    width, and also behind characters that are not visible, since a spreadsheet may pass over those.
    """
    first = next((char for char in text if unicodedata.category(char)[0] not in "CZ"), "")
    evaluated = unicodedata.normalize("NFKC", first)[:1] in _FORMULA
    return f"'{text}" if evaluated or text.startswith(_CONTROL) else text
