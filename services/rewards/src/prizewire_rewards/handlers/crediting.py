"""What follows every credit to winnings or top-ups, whatever its cause: debts are netted, direct prizes requested.

Credits are posted first. Posting locks the wallets, so a debt that is opened at the same time is either seen
here or sees the credit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from uuid import UUID

from prizewire_contracts import ids
from prizewire_contracts.intents import AllowedDestination, Intent
from prizewire_money import Amount
from prizewire_rewards.domain.booking import Credit, requested_move
from prizewire_rewards.domain.funding import Destination, FundingAccount
from prizewire_rewards.domain.ledger import Kind
from prizewire_rewards.domain.model import Method, Payout
from prizewire_rewards.domain.parties import NOBODY, Behind
from prizewire_rewards.domain.states import PayoutState
from prizewire_rewards.handlers.journal import Journal
from prizewire_rewards.handlers.receivables import Netting
from prizewire_rewards.ports import Tools, Work

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


async def follow_up(credited: Sequence[Credited], *, work: Work, tools: Tools, now: datetime) -> FollowUp:
    """Net receivables and request direct prizes for credits that were posted in this transaction. Who is behind what stays
    in a wallet is kept with it; a direct prize takes its parties along.
    """
    if not credited:
        return FollowUp({}, frozenset(), 0)
    debts = await work.receivables.lock_open({entry.credit.account for entry in credited})
    direct = {entry.credit.account.owner for entry in credited if entry.direct is not None}
    methods = await work.methods.defaults(direct) if direct else {}
    await work.parties.keep(
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
        await work.ledger.post(journal.transfers, now=now)
    await netting.save(work=work)
    return FollowUp(payouts, frozenset(missing_ids), netted)


def make_payout(
    *,
    payout_id: UUID,
    method: Method,
    asset: str,
    amount: int,
    correlation_id: str,
    filed_by: str,
    campaign: UUID | None,
    round_id: UUID | None,
    behind: Behind,
    tools: Tools,
    now: datetime,
    fee: int = 0,
) -> Payout:
    """A payout to ``method`` with its signed intent, as version 1. Pay asset = debit asset; the ``fee`` that the player
    bears is debited and not paid.
    """
    intent = _intent(
        payout_id=payout_id,
        correlation_id=correlation_id,
        player=method.player,
        campaign=campaign,
        funding_account=None,
        asset=asset,
        debit=amount,
        pay=amount - fee,
        to=AllowedDestination(
            rail=method.rail_type,
            destination=method.address,
            commitment=method.commitment,
            memo=method.memo,
        ),
        tools=tools,
        now=now,
    )
    return Payout(
        id=payout_id,
        player=method.player,
        asset=asset,
        amount=amount,
        correlation_id=correlation_id,
        state=PayoutState.REQUESTED,
        filed_by=filed_by,
        method_id=method.id,
        method_version=method.version,
        rail_types=(method.rail_type,),
        intent=asdict(intent),
        intent_signature=tools.signer.sign(intent),
        campaign=campaign,
        round_id=round_id,
        fee=fee,
        version=1,
        behind=behind,
    )


def make_operator_payout(
    *,
    payout_id: UUID,
    account: FundingAccount,
    amount: int,
    destination: Destination,
    filed_by: str,
    behind: Behind,
    tools: Tools,
    now: datetime,
) -> Payout:
    """A payout out of a funding account to an address in clear, with its signed intent, as version 1. It has no player,
    campaign or method, and its id is its correlation id.
    """
    intent = _intent(
        payout_id=payout_id,
        correlation_id=str(payout_id),
        player=None,
        campaign=None,
        funding_account=account.name,
        asset=account.asset,
        debit=amount,
        pay=amount,
        to=AllowedDestination(
            rail=destination.rail_type, destination=destination.address, memo=destination.memo
        ),
        tools=tools,
        now=now,
    )
    return Payout(
        id=payout_id,
        player=None,
        asset=account.asset,
        amount=amount,
        correlation_id=str(payout_id),
        state=PayoutState.REQUESTED,
        filed_by=filed_by,
        method_id=None,
        method_version=None,
        rail_types=(destination.rail_type,),
        intent=asdict(intent),
        intent_signature=tools.signer.sign(intent),
        funding_account=account.name,
        version=1,
        behind=behind,
    )


def _intent(
    *,
    payout_id: UUID,
    correlation_id: str,
    player: str | None,
    campaign: UUID | None,
    funding_account: str | None,
    asset: str,
    debit: int,
    pay: int,
    to: AllowedDestination,
    tools: Tools,
    now: datetime,
) -> Intent:
    issued_at = int(now.timestamp())
    known = tools.assets[asset]
    return Intent(
        v=1,
        network=tools.network,
        payout_id=str(payout_id),
        correlation_id=correlation_id,
        player=player,
        campaign=str(campaign) if campaign else None,
        funding_account=funding_account,
        debit_asset=asset,
        debit_amount=Amount(known, debit).to_wire(),
        pay_asset=asset,
        pay_amount=Amount(known, pay).to_wire(),
        allowed=(to,),
        issued_at=issued_at,
        expires_at=issued_at + int(tools.intent_lifetime.total_seconds()),
        key_id=tools.signer.key_id,
    )


def renew_intent(payout: Payout, *, tools: Tools, now: datetime) -> Payout:
    """The payout with an intent on the same terms that is good from now on, as its next version."""
    issued_at = int(now.timestamp())
    intent = Intent(
        **{
            **payout.intent,
            "allowed": tuple(AllowedDestination(**way) for way in payout.intent["allowed"]),
            "issued_at": issued_at,
            "expires_at": issued_at + int(tools.intent_lifetime.total_seconds()),
            "key_id": tools.signer.key_id,
        }
    )
    return replace(
        payout,
        intent=asdict(intent),
        intent_signature=tools.signer.sign(intent),
        version=payout.version + 1,
    )
