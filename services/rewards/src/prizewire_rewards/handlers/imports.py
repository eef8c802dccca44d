"""Opening balances from an earlier system, booked once however often they are sent."""

from collections.abc import Sequence
from datetime import datetime

from prizewire_rewards.domain.booking import Credit
from prizewire_rewards.domain.ledger import Kind
from prizewire_rewards.domain.opening import Opening, Reconciliation, Refusal, judge, opening_move
from prizewire_rewards.handlers.crediting import Credited, follow_up
from prizewire_rewards.handlers.journal import Journal
from prizewire_rewards.ports import Tools, Work

__all__ = ["import_balances"]


async def import_balances(
    openings: Sequence[Opening],
    *,
    refused: Sequence[Refusal] = (),
    dry_run: bool,
    work: Work,
    tools: Tools,
    now: datetime,
) -> Reconciliation:
    """Book the openings that are new, or say what would be booked. ``refused`` are rows that could not even be read.

    A credit to winnings is followed up as every other is: what the player owes is taken from it.
    """
    if not dry_run:
        await work.openings.lock()
    booked = await work.openings.booked([opening.transfer_id for opening in openings])
    found = judge(openings, booked=booked, assets=tools.assets)
    before = await work.openings.totals({opening.key for opening in openings})
    if not dry_run:
        await _book(found.new, work=work, tools=tools, now=now)
    return Reconciliation(
        rows=len(openings) + len(refused),
        new=found.new,
        already=found.already,
        refused=sorted([*refused, *found.refused]),
        before=before,
    )


async def _book(openings: Sequence[Opening], *, work: Work, tools: Tools, now: datetime) -> None:
    if not openings:
        return
    journal = Journal()
    credited = []
    for opening in openings:
        move = opening_move(opening)
        journal.add([move], cause=opening.cause, correlation_id=opening.correlation_id)
        if move.credit.kind is Kind.WINNINGS:
            credit = Credit(move.credit, move.amount, move.ordinal)
            credited.append(Credited(credit, opening.cause, opening.correlation_id))
    await work.ledger.post(journal.transfers, now=now)
    await follow_up(credited, work=work, tools=tools, now=now)
