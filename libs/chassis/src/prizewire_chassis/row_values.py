"""Texts of errors without the values of rows.

PostgreSQL's DETAIL of an error has the values of the row that a constraint refuses, or of a key that exists (postgresql.org, "Error and
Notice Message Fields"). They may be personal, and belong neither into a log nor into what operators read.
"""

import re
from typing import Final

_DETAIL: Final = "DETAIL:"
_IN_TRACEBACK: Final = re.compile(
    r"DETAIL:.*?(?=\n\[SQL: |\n\nThe above exception|\n\nDuring handling|\Z)", re.DOTALL
)
_LEFT_OUT: Final = "DETAIL: left out, since it has values of rows"


def without_rows(text: str) -> str:
    """A text up to PostgreSQL's DETAIL, where it has one."""
    before, detail, _ = text.partition(_DETAIL)
    return before + _LEFT_OUT if detail else text


def traceback_without_rows(text: str) -> str:
    """A traceback with each DETAIL left out. Its other lines stay."""
    return _IN_TRACEBACK.sub(_LEFT_OUT, text) if _DETAIL in text else text
