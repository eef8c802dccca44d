"""What follows every credit to winnings or top-ups, whatever its cause: debts are netted, direct prizes requested.

Credits are posted first. Posting locks the wallets, so a debt that is opened at the same time is either seen
here or sees the credit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prizewire_contracts import ids
from prizewire_rewards.ledger.domain.accounts import Kind
from prizewire_rewards.ledger.domain.moves import Credit
from prizewire_rewards.ledger.domain.parties import NOBODY, Behind
from prizewire_rewards.ledger.handlers.journal import Journal
from prizewire_rewards.ledger.handlers.receivables import Netting
from prizewire_rewards.payouts.domain.model import Payout
from prizewire_rewards.payouts.domain.moves import requested_move
from prizewire_rewards.payouts.handlers.intents import make_payout
from prizewire_rewards.payouts.ports import PayoutPorts, PayoutTools

NO_PAYOUT_METHOD = "no_payout_method"


@dataclass(frozen=True, slots=True)
class DirectPrize:
    """A prize, or what came to it later, that is to be paid out at once. ``ordinal`` numbers the payouts of one prize."""

    campaign: UUID
    round_id: UUID
    reward_id: UUID
    ordinal: int


@dataclass(frozen=True, slots=True)
class Credited:
    """A credit that was posted, with its cause and who is behind it."""

    credit: Credit
    cause: str
    correlation_id: str
    direct: DirectPrize | None = None
    behind: Behind = NOBODY


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What came of the credits: payouts by reward id, and rewards that no method was there for."""

    payouts: Mapping[UUID, Payout]
    without_method: frozenset[UUID]
    netted: int


async def follow_up(
    credited: Sequence[Credited], *, ports: PayoutPorts, tools: PayoutTools, now: datetime
) -> FollowUp:
    """Net receivables and request direct prizes for credits that were posted in this transaction. Who is behind what stays
    in a wallet is kept with it; a direct prize takes its parties along.
    """
    if not credited:
        return FollowUp({}, frozenset(), 0)
    debts = await ports.receivables.lock_open({entry.credit.account for entry in credited})
    direct = {entry.credit.account.owner for entry in credited if entry.direct is not None}
    methods = await ports.methods.defaults(direct) if direct else {}
    await ports.parties.keep(
        [
            (entry.credit.account, entry.behind)
            for entry in credited
            if entry.credit.account.kind is Kind.WINNINGS
            and (entry.direct is None or entry.credit.account.owner not in methods)
        ]
    )
    if not debts and not methods:
        missing = frozenset(entry.direct.reward_id for entry in credited if entry.direct is not None)
        return FollowUp({}, missing, 0)
    journal = Journal()
    netting = Netting(debts)
    payouts: dict[UUID, Payout] = {}
    missing_ids: set[UUID] = set()
    netted = 0
    for entry in credited:
        taken = netting.take(entry.credit.account, entry.credit.amount, journal=journal)
        left = entry.credit.amount - taken
        netted += bool(taken)
        if entry.direct is not None and left:
            prize = entry.direct
            player = entry.credit.account.owner
            method = methods.get(player)
            if method is None:
                missing_ids.add(prize.reward_id)
            else:
                payout = make_payout(
                    payout_id=ids.payout_id_for_round(
                        round_id=prize.round_id, player=player, ordinal=prize.ordinal
                    ),
                    method=method,
                    asset=entry.credit.account.asset,
                    amount=left,
                    correlation_id=entry.correlation_id,
                    filed_by="rewards:direct",
                    campaign=prize.campaign,
                    round_id=prize.round_id,
                    behind=entry.behind,
                    tools=tools,
                    now=now,
                )
                payouts[prize.reward_id] = payout
                move = requested_move(payout)._replace(ordinal=entry.credit.ordinal)
                journal.add([move], cause=entry.cause, correlation_id=entry.correlation_id)
    if journal.transfers:
        await ports.ledger.post(journal.transfers, now=now)
    await netting.save(ports=ports)
    return FollowUp(payouts, frozenset(missing_ids), netted)
