"""Files of payouts as tables: read line by line, each with its place in the file."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from prizewire_devstack.errors import DevstackError

FIXED: Final = ("reference", "amount", "type")
"""The columns of every file. All others are members of the details."""
LINES_MAX: Final = 2_000
"""The most lines that the service takes in one request."""


@dataclass(frozen=True, slots=True)
class FileLine:
    """A line of a file that can be sent: its line number there, and the body of its payout."""

    number: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class UnreadableLine:
    """A line of a file that cannot be sent, with the reason. The reason repeats no cell."""

    number: int
    detail: str


def read(file: Path) -> tuple[list[FileLine], list[UnreadableLine]]:
    """The lines of a CSV file, those that can be sent and those that cannot. Empty cells are left out of the details.

    Raises:
        DevstackError: the file is no table of payouts, is empty, or has more than ``LINES_MAX`` lines.
    """
    good: list[FileLine] = []
    bad: list[UnreadableLine] = []
    with _named(file), file.open(newline="", encoding="utf-8-sig") as text:
        reader = csv.reader(text, strict=True)
        columns = [name.strip() for name in next(reader, [])]
        if set(FIXED) - set(columns) or len(set(columns)) < len(columns) or "" in columns:
            raise DevstackError(
                f"{file.name}: its first line must name {', '.join(FIXED)} and the members of the details, each once."
            )
        for cells in _rows(reader):
            number = reader.line_num
            if len(cells) != len(columns):
                bad.append(
                    UnreadableLine(
                        number, f"it has {len(cells)} cells, and the first line has {len(columns)}"
                    )
                )
                continue
            values = {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
            missing = [name for name in FIXED if not values[name]]
            if missing:
                bad.append(UnreadableLine(number, f"it has no {', '.join(missing)}"))
                continue
            details = {name: value for name, value in values.items() if name not in FIXED and value}
            method = {"type": values["type"], "details": details}
            good.append(
                FileLine(
                    number, {"reference": values["reference"], "amount": values["amount"], "method": method}
                )
            )
    count = len(good) + len(bad)
    if not 1 <= count <= LINES_MAX:
        raise DevstackError(f"{file.name} has {count} payouts: a file has 1 to {LINES_MAX}.")
    return good, bad


def _rows(reader: Any) -> Iterator[list[str]]:
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield cells


@contextmanager
def _named(file: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:
        raise DevstackError(f"{file.name} is not in UTF-8: save it so.") from None
    except csv.Error as error:
        raise DevstackError(f"{file.name} is no CSV file: {error}.") from None
