"""Texts of files: the characters that banks take, and cells that no spreadsheet reads as a formula."""

import re
from typing import Final

from anyascii import anyascii

_REFUSED: Final = re.compile(r"[^A-Za-z0-9/?:().,'+ -]")
"""All but the Latin characters that every bank of SEPA takes (EPC217-08, SEPA requirements for an extended character set)."""
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""First characters with which a spreadsheet begins a formula, with their full-width forms (OWASP, CSV injection)."""


def bank_text(text: str, *, length_max: int) -> str:
    """A text in the characters that banks take: letters of other scripts are transliterated, other signs become spaces.

    No text begins or ends with a slash or holds two of them in a row, which EPC217-08 does not allow. It may be empty.
    """
    plain = _REFUSED.sub(" ", anyascii(text))
    plain = re.sub(r"/{2,}", "/", plain)
    plain = " ".join(plain.split()).strip("/ ")
    return plain[:length_max].strip("/ ")


def cell(text: str) -> str:
    """A text as a cell of a table: on one line, and never a formula."""
    line = re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]", " ", text)
    return f"'{line}" if line.lstrip(" \u00a0\ufeff").startswith(_FORMULA) else line
