"""Lists of lines, and claims: one person takes open lines into a batch."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from prizewire_money import AssetRegistry
from prizewire_rail_manual.currencies import Debtor
from prizewire_rail_manual.records import BATCH_EXPORTED, BATCH_OPEN, BATCHES, LINES, moved, read_line
from prizewire_railkit.by_hand import Line, LineAnswer, LineState
from prizewire_railkit.store import RailRow, RailRows

_BATCH_ID: Final = re.compile(r"[A-Za-z0-9-]{1,32}")
"""A batch's id is the message id of its bank file, and with a currency behind it the id of a payment information: at most 35
characters (ISO 20022, Max35Text)."""
_ATTEMPTS_MAX: Final = 100


async def lines(
    rows: RailRows, *, assets: AssetRegistry, states: Sequence[LineState], after: str | None, limit: int
) -> list[Line]:
    """Lines, oldest first."""
    found = await rows.page(LINES, states=[str(state) for state in states], after=after, limit=limit)
    return [read_line(row, assets) for row in found]


async def claim(
    rows: RailRows,
    *,
    payout_ids: Sequence[UUID],
    batch_id: str,
    by: str,
    paused: Mapping[UUID, str],
    lines_max: int,
    debtors: Mapping[str, Debtor],
    currencies: Mapping[str, str],
    now: datetime,
) -> list[LineAnswer]:
    """See `PaidByHand.claim`."""
    if not _BATCH_ID.fullmatch(batch_id):
        return _all(payout_ids, "batch_id_invalid", "a batch id has 1 to 32 characters of A-Z a-z 0-9 -")
    wanted = list(dict.fromkeys(payout_ids))
    batch = (await rows.lock(BATCHES, [batch_id])).get(batch_id) or RailRow(
        collection=BATCHES,
        name=batch_id,
        state=BATCH_OPEN,
        document={
            "by": by,
            "created_at": now.isoformat(),
            "lines": [],
            "currencies": dict(currencies),
            "debtors": {currency: debtor.document() for currency, debtor in debtors.items()},
        },
        changed_at=now,
    )
    if batch.document["by"] != by:
        return _all(wanted, "batch_not_yours", f"the batch {batch_id} is of another person")
    names = await latest_lines(rows, wanted)
    found = await rows.lock(LINES, sorted(names.values()))
    held: list[str] = list(batch.document["lines"])
    claimed: list[RailRow] = []
    answers: list[LineAnswer] = []
    for payout_id in wanted:
        row = found.get(names.get(payout_id, ""))
        if row is not None and row.name in held:
            answers.append(LineAnswer(payout_id=payout_id))
            continue
        refused = _refusal(row, batch=batch, lines=len(held), lines_max=lines_max, paused=paused)
        if refused is None and row is not None:
            currency = batch.document["currencies"].get(row.document["asset"])
            claimed.append(
                moved(
                    row,
                    LineState.CLAIMED,
                    now=now,
                    batch_id=batch_id,
                    claimed_by=by,
                    claimed_at=now.isoformat(),
                    currency=currency,
                )
            )
            held.append(row.name)
            answers.append(LineAnswer(payout_id=payout_id))
        elif refused is not None:
            answers.append(LineAnswer(payout_id=payout_id, code=refused[0], detail=refused[1]))
    if claimed:
        document = {**batch.document, "lines": sorted(held)}
        await rows.write([*claimed, replace(batch, document=document, changed_at=now)])
    return answers


async def latest_lines(rows: RailRows, payout_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The reference of the line of each payout's latest attempt; payouts without a line are left out."""
    latest: dict[UUID, RailRow] = {}
    for row in await _rows_of(rows, payout_ids):
        assert row.payout_id is not None
        known = latest.get(row.payout_id)
        if known is None or row.document["attempt_no"] > known.document["attempt_no"]:
            latest[row.payout_id] = row
    return {payout_id: row.name for payout_id, row in latest.items()}


async def lines_of(rows: RailRows, payout_ids: Sequence[UUID], *, assets: AssetRegistry) -> list[Line]:
    """The lines of all attempts of these payouts, oldest first."""
    return [read_line(row, assets) for row in await _rows_of(rows, payout_ids)]


async def _rows_of(rows: RailRows, payout_ids: Sequence[UUID]) -> list[RailRow]:
    found: list[RailRow] = []
    after: str | None = None
    while payout_ids:
        page = await rows.page(LINES, payout_ids=payout_ids, after=after, limit=_ATTEMPTS_MAX)
        found += page
        if len(page) < _ATTEMPTS_MAX:
            break
        after = page[-1].name
    return found


def _refusal(
    row: RailRow | None, *, batch: RailRow, lines: int, lines_max: int, paused: Mapping[UUID, str]
) -> tuple[str, str] | None:
    if row is None:
        return "line_unknown", "the payout has no line on this rail"
    if row.state != LineState.OPEN:
        return "line_not_open", f"the line is {row.state} already"
    if row.payout_id is not None and row.payout_id in paused:
        return "line_paused", paused[row.payout_id]
    if batch.state == BATCH_EXPORTED:
        return "batch_exported", f"the batch {batch.name} was exported: claim for a new batch"
    if lines >= lines_max:
        return "batch_full", f"a batch holds at most {lines_max} lines: claim for another batch"
    return None


def _all(payout_ids: Sequence[UUID], code: str, detail: str) -> list[LineAnswer]:
    return [LineAnswer(payout_id=one, code=code, detail=detail) for one in dict.fromkeys(payout_ids)]
