"""Direct payouts: prizes that are paid out as soon as they are credited."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from uuid import UUID

from prizewire_contracts import ids
from prizewire_rewards.ledger.handlers import Remainder, UnitOfWork
from prizewire_rewards.payouts.domain.model import Method, Payout
from prizewire_rewards.payouts.domain.rules import requested_move
from prizewire_rewards.payouts.handlers.intents import make_payout
from prizewire_rewards.payouts.ports import PayoutTools

NO_PAYOUT_METHOD = "no_payout_method"


class DirectPrize(NamedTuple):
    """A credit of a prize that is paid out at once to ``method``. ``ordinal`` numbers the payouts of one prize."""

    campaign: UUID
    round_id: UUID
    reward_id: UUID
    ordinal: int
    correlation_id: str
    method: Method


def request_direct(
    remainders: Iterable[Remainder],
    prizes: Mapping[tuple[str, int], DirectPrize],
    *,
    uow: UnitOfWork,
    tools: PayoutTools,
) -> dict[UUID, Payout]:
    """Request payouts of the amounts that credits of direct prizes left after debts were recovered. ``prizes`` are by cause
    and ordinal of the credit. Returns the payouts by reward id; the caller stores them.
    """
    payouts: dict[UUID, Payout] = {}
    for (credit, cause, credited_by), left in remainders:
        prize = prizes.get((cause, credit.ordinal))
        if prize is None or not left:
            continue
        payout = make_payout(
            payout_id=ids.payout_id_for_round(
                round_id=prize.round_id, player=credit.account.owner, ordinal=prize.ordinal
            ),
            method=prize.method,
            asset=credit.account.asset,
            amount=left,
            correlation_id=prize.correlation_id,
            filed_by="rewards:direct",
            campaign=prize.campaign,
            round_id=prize.round_id,
            credited_by=credited_by,
            tools=tools,
            now=uow.now,
        )
        payouts[prize.reward_id] = payout
        move = requested_move(payout)._replace(ordinal=credit.ordinal)
        uow.book([move], cause=cause, correlation_id=prize.correlation_id)
    return payouts
