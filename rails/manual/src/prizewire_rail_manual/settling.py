"""The end of a claimed line: what two persons found."""

from datetime import datetime
from uuid import UUID

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.rails import ProviderResult
from prizewire_money import AssetRegistry
from prizewire_rail_manual.claims import latest_lines
from prizewire_rail_manual.records import LINES, moved, result_of
from prizewire_railkit import unknown
from prizewire_railkit.by_hand import LineState
from prizewire_railkit.store import RailRows


async def settle(
    rows: RailRows,
    *,
    payout_id: UUID,
    paid: bool,
    evidence: str,
    persons: tuple[str, str],
    assets: AssetRegistry,
    now: datetime,
) -> ProviderResult:
    """See `PaidByHand.settle`."""
    assert persons[0] != persons[1], "evidence is filed by one person and confirmed by another"
    name = (await latest_lines(rows, [payout_id])).get(payout_id)
    if name is None:
        return unknown()
    row = (await rows.lock(LINES, [name]))[name]
    if row.state == LineState.CLAIMED:
        ended = LineState.CONFIRMED if paid else LineState.FAILED
        why = {} if paid else {"code": str(PayoutCode.PROVIDER_REJECTED)}
        row = moved(row, ended, now=now, evidence=evidence, persons=list(persons), **why)
        await rows.write([row])
    return result_of(row, assets)
