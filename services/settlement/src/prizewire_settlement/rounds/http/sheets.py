"""Lines of a round as CSV, by RFC 4180."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final
from uuid import UUID

from prizewire_chassis.http.cells import safe_cell
from prizewire_settlement.competitions.domain.model import Rule
from prizewire_settlement.competitions.http.answers import money
from prizewire_settlement.prizes.domain import Line

CSV_TYPE: Final = "text/csv; header=present"
_HEADER: Final = ("round_id", "settlement_version", "line", "place", "player", "asset", "amount")
_ROWS_AT_ONCE: Final = 2_000


async def lines_csv(
    round_id: UUID, *, version: int, rule: Rule, lines: Sequence[Line]
) -> AsyncIterator[bytes]:
    """A header and all lines, some at a time."""
    yield _rows([_HEADER])
    for start in range(0, len(lines), _ROWS_AT_ONCE):
        yield _rows(
            (
                str(round_id),
                str(version),
                str(line.line),
                str(line.place),
                line.player,
                rule.asset.code,
                money(rule, line.amount),
            )
            for line in lines[start : start + _ROWS_AT_ONCE]
        )


def _rows(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([[safe_cell(cell) for cell in row] for row in rows])
    return text.getvalue().encode()
