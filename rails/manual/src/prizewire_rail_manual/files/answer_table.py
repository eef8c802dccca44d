"""Answer files as a table (CSV in UTF-8): ``reference,status,evidence`` and optionally ``code,amount,currency``."""

import csv
import io
from typing import Final

from prizewire_rail_manual.files.reported import Reported
from prizewire_railkit.by_hand import FileRefused

_NEEDED: Final = {"reference", "status", "evidence"}
_OPTIONAL: Final = {"code", "amount", "currency"}
_STATUSES: Final = {"paid": True, "failed": False, "open": None}


def read(content: bytes) -> list[Reported]:
    """The lines of a table.

    Raises:
        FileRefused: ``file_malformed``.
    """
    try:
        text = content.decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        rows = [[part.strip() for part in row] for row in reader if any(part.strip() for part in row)]
    except (UnicodeDecodeError, csv.Error):
        raise FileRefused("file_malformed", "the file is no table in UTF-8 with commas") from None
    if not rows:
        raise FileRefused("file_malformed", "the file is empty: its first line names its columns")
    header = [name.lower() for name in rows[0]]
    columns = set(header)
    if not columns >= _NEEDED or not columns <= _NEEDED | _OPTIONAL or len(columns) != len(header):
        raise FileRefused(
            "file_malformed",
            "the first line must name the columns reference, status and evidence; code, amount and currency may follow",
        )
    if ("amount" in columns) != ("currency" in columns):
        raise FileRefused("file_malformed", "the columns amount and currency stand together")
    return [_line(dict(zip(header, row, strict=False)), whole=len(row) == len(header)) for row in rows[1:]]


def _line(cells: dict[str, str], *, whole: bool) -> Reported:
    status = cells.get("status", "").lower()
    problem = None
    if not whole:
        problem = "the line has another number of cells than the first line"
    elif status not in _STATUSES:
        problem = f"status must be one of {', '.join(_STATUSES)}"
    elif not cells["reference"]:
        problem = "the line has no reference"
    return Reported(
        reference=cells.get("reference", ""),
        paid=_STATUSES.get(status),
        evidence=cells.get("evidence") or None,
        code=cells.get("code") or None,
        amount=cells.get("amount") or None,
        currency=cells.get("currency") or None,
        problem=problem,
    )
