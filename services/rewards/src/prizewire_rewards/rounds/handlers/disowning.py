"""Disownments: one admin states that settlement never settled a round, and another admin approves; its money is taken back.

A disownment needs no event of settlement. An attacker with settlement's key may have used the highest version of the round,
so that no later event of settlement can replace it. An event reports each approved disownment to settlement: settlement
may have settled the round, and then has to void it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from prizewire_rewards.campaigns.domain.model import Campaign
from prizewire_rewards.entries.handlers.ending import disown_entries
from prizewire_rewards.entries.handlers.entering import EntryCounts
from prizewire_rewards.errors import InvalidRequest, NotFound
from prizewire_rewards.fees.domain import FeeSource
from prizewire_rewards.ledger.domain.records import step
from prizewire_rewards.ledger.handlers import UnitOfWork
from prizewire_rewards.payouts.ports import PayoutTools
from prizewire_rewards.prizes.domain.model import Phase, RewardEventKind, Round, RoundWork, Settlement
from prizewire_rewards.prizes.domain.states import ROUND_EDGES, RoundState
from prizewire_rewards.rounds.domain.commands import RoundDisowned, VoidRound
from prizewire_rewards.rounds.domain.corrections import Shortfall, take_all_back
from prizewire_rewards.rounds.domain.disownments import (
    Disownment,
    DisownmentState,
    FeesTakenBack,
    decided,
    take_fees_back,
)
from prizewire_rewards.rounds.handlers.chunked import expected_state
from prizewire_rewards.rounds.handlers.correcting import give_back, leave_queue
from prizewire_rewards.rounds.handlers.player_funds import PlayerFunds, load_player_funds
from prizewire_rewards.rounds.handlers.round_changes import Booked, RoundChanges
from prizewire_rewards.rounds.handlers.saving import save_changes
from prizewire_rewards.rounds.handlers.settling import RefusalBook
from prizewire_rewards.rounds.handlers.shortfalls import owe_shortfalls, request_cancels
from prizewire_rewards.rounds.ports import RoundPorts

FeeReturn = tuple[FeeSource, str, int]
"""The source of fees that are taken back, their asset, and the amount in minor units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideDisownment:
    """A person's decision about a disownment; ``reason`` is the reason of a rejection."""

    id: UUID
    approved: bool
    actor: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DisownmentResult:
    """The decided disownment, with counts of booked changes and of entries by state, for metrics."""

    disownment: Disownment
    booked: Booked = field(default_factory=Booked)
    reached: EntryCounts = field(default_factory=dict)


async def file_disownment(disownment: Disownment, *, ports: RoundPorts) -> Disownment:
    """File a disownment. Nothing moves before another admin approves it.

    Raises:
        InvalidRequest: ``round_unknown``: rewards has neither prizes nor entries of the round, and refused no event of it;
            ``disownment_exists``: one is filed or approved already; the error names it and its state.
    """
    round_id = disownment.round_id
    round_ = (await ports.rounds.lock([round_id])).get(round_id)
    if round_ is None and not await ports.disownments.is_known(round_id):
        raise InvalidRequest("round_unknown", f"there is no round {round_id}")
    if not await ports.disownments.add(disownment):
        found = await ports.disownments.newest(round_id)
        assert found is not None, "another disownment of the round exists"
        raise InvalidRequest("disownment_exists", _describe(found))
    return disownment


def _describe(found: Disownment) -> str:
    """Describe an existing disownment, its state, and what to do."""
    which = f"disownment {found.id} of round {found.round_id}"
    match found.state:
        case DisownmentState.FILED:
            return f"{which} was filed by {found.filed_by} and is not decided yet: have another admin approve it, or reject it"
        case DisownmentState.APPROVED:
            return f"{which} was approved by {found.decided_by}: the round's money is taken back already"
        case DisownmentState.REJECTED:
            return f"{which} was rejected by {found.decided_by} while this one was filed: file it again"


async def decide_disownment(
    command: DecideDisownment, *, ports: RoundPorts, tools: PayoutTools, now: datetime
) -> DisownmentResult:
    """Approve a disownment, which takes the round's money back and blocks its id permanently, or reject it.

    Raises:
        NotFound: ``disownment_unknown``.
        InvalidRequest: ``disownment_final``, ``own_disownment`` or ``decider_is_party``; on approval also
            ``round_busy``, or ``insufficient_fees``: fees that were withdrawn cannot be taken back. It names every
            account of fees that holds too little.
    """
    filed = await ports.disownments.lock(command.id)
    if filed is None:
        raise NotFound("disownment_unknown", f"there is no disownment {command.id}")
    after = decided(
        filed,
        approved=command.approved,
        by=command.actor,
        decision=command.reason,
        concern=await ports.disownments.concern(filed.round_id, subject=command.actor),
        now=now,
    )
    # Before anything moves: the database allows moves of a final round back only if it finds the approval.
    await ports.disownments.decide(after)
    if after.state is not DisownmentState.APPROVED:
        return DisownmentResult(disownment=after)
    return await _take_back(after, ports=ports, tools=tools, now=now)


async def _take_back(
    disownment: Disownment, *, ports: RoundPorts, tools: PayoutTools, now: datetime
) -> DisownmentResult:
    round_id = disownment.round_id
    entered = (await ports.entries.lock_rounds([round_id])).get(round_id)
    booked = Booked()
    if not await ports.rounds.campaigns_of([round_id]):
        await ports.disownments.block_new_rounds()
    campaigns = await ports.campaigns.lock((await ports.rounds.campaigns_of([round_id])).values())
    round_ = (await ports.rounds.lock([round_id])).get(round_id)
    pending = (await ports.rounds.pending_work([round_id])).get(round_id, ())
    takes = round_ is not None and has_something_to_take_back(round_, pending)
    fee_returns = _fees_of(round_) if round_ is not None and takes else []
    for asset, amount in (await ports.entries.earned(round_id)).items():
        fee_returns.append((FeeSource.ENTRY_FEES, asset, amount))
    await _check_fee_balances(fee_returns, round_id, ports=ports, tools=tools)
    if round_ is None:
        staged = await _unstage(round_id, ports=ports)
        correlation_id = staged or ("" if entered is None else entered.correlation_id) or str(round_id)
    else:
        correlation_id = round_.settlement.correlation_id
    if round_ is not None and takes:
        booked = await _take_prizes(
            round_, pending, campaigns, cause=disownment.cause, ports=ports, tools=tools, now=now
        )
    reached = await disown_entries(round_id, known=entered, ports=ports, tools=tools, now=now)
    await ports.messages.publish([RoundDisowned(disownment=disownment, correlation_id=correlation_id)])
    return DisownmentResult(disownment=disownment, booked=booked, reached=reached)


async def _take_prizes(
    round_: Round,
    pending: Sequence[RoundWork],
    campaigns: Mapping[UUID, Campaign],
    *,
    cause: str,
    ports: RoundPorts,
    tools: PayoutTools,
    now: datetime,
) -> Booked:
    """Take the money of a booked round back, at once or by work on its lines."""
    round_id = round_.settlement.round_id
    whole = not round_.large and not pending
    rewards = (await ports.rounds.rewards([round_id]))[round_id] if whole else []
    owner = round_.settlement.organizer_player
    funds = await load_player_funds(
        round_.settlement,
        rewards,
        {},
        ports=ports,
        others=[owner] if owner is not None and round_.state is RoundState.FINAL else (),
    )
    changes = RoundChanges(
        campaigns=campaigns,
        deliveries=campaigns,
        rounds={round_id: round_},
        rewards={round_id: rewards},
        uow=UnitOfWork(ports, now=now),
    )
    if whole:
        disown(changes, round_, funds=funds, cause=cause)
    else:
        disown_later(changes, round_, pending, funds=funds, cause=cause)
    return await save_changes(changes, ports=ports, tools=tools)


async def _unstage(round_id: UUID, *, ports: RoundPorts) -> str | None:
    """Delete the parts of an incomplete settlement. Returns their correlation id, None where there are none."""
    void = VoidRound(round_id=round_id, cause="")
    refusals = await RefusalBook.open([void], rounds={}, ports=ports)
    key = (round_id, refusals.next_version(round_id))
    staged = (await ports.rounds.staged([key])).get(key)
    await ports.rounds.unstage(key)
    return None if staged is None else staged.head.correlation_id


def _fees_of(round_: Round) -> list[FeeReturn]:
    """The fees of a final round that are in the accounts of fees: not those credited to an organizer's wallet."""
    if round_.state is not RoundState.FINAL:
        return []
    head = round_.settlement
    organizer_fee = head.organizer_fee if head.organizer_player is None else 0
    of = ((FeeSource.PLATFORM, head.platform_fee), (FeeSource.ORGANIZER, organizer_fee))
    return [(source, head.asset, amount) for source, amount in of if amount]


async def _check_fee_balances(
    fee_returns: Sequence[FeeReturn], round_id: UUID, *, ports: RoundPorts, tools: PayoutTools
) -> None:
    """Check that each account of fees holds the amount to be taken back. The error names all accounts that do not."""
    gaps = []
    for source, asset, amount in fee_returns:
        balance = await ports.fees.lock_balance(source, asset)
        if balance < amount:
            wire, held = tools.assets[asset].render, max(balance, 0)
            gaps.append(
                f"{wire(amount)} {asset} of {source.label} have to go back, the account holds {wire(held)} {asset}: "
                f"{wire(amount - held)} {asset} are missing"
            )
    if gaps:
        raise InvalidRequest(
            "insufficient_fees",
            f"fees of round {round_id} were withdrawn. {'; '.join(gaps)}. "
            "Only other rounds bring in fees: approve again after that",
        )


DISOWNMENT: Final = "rewards:disownment"


def has_something_to_take_back(round_: Round, pending: Sequence[RoundWork]) -> bool:
    """Whether a round has money to be taken back: a round that is voided, or will be by pending work, has none.

    Raises:
        InvalidRequest: ``round_busy``: lines of a final round are being booked, so its fees may still be in its reserve.
    """
    expected = expected_state(round_, pending)
    if expected.voided:
        return False
    if pending and expected.final and round_.state is not RoundState.UNFUNDED:
        round_id = round_.settlement.round_id
        raise InvalidRequest("round_busy", f"the lines of round {round_id} are being booked: try again")
    return True


def disown(changes: RoundChanges, round_: Round, *, funds: PlayerFunds, cause: str) -> None:
    """Give all money of a round of one part back to the pool, and void it."""
    settlement = round_.settlement
    round_id = settlement.round_id
    state = step(edges=ROUND_EDGES, was=round_.state, to=RoundState.VOIDED)
    taken = take_all_back(changes.rewards[round_id], settlement=settlement, winnings=funds.winnings)
    fees = _fees(round_, funds=funds)
    if round_.state is not RoundState.UNFUNDED:
        moves = [*taken.moves, *fees.moves]
        give_back(changes, settlement, before=moves, rest=taken.came_back + fees.came_back, step_name="/void")
    owe_disownment_shortfalls(
        changes, settlement, taken.shortfalls, of_fee=fees.shortfall, funds=funds, cause=cause
    )
    changes.rewards[round_id] = taken.rewards
    leave_queue(changes, round_, state=state, cause=cause)
    changes.emit(round_id, RewardEventKind.REVERSED, cause=cause, these=taken.reversed)
    changes.counts += Booked(voided=1)


def disown_later(
    changes: RoundChanges, round_: Round, pending: Sequence[RoundWork], *, funds: PlayerFunds, cause: str
) -> None:
    """Add work that gives all money of a large round back after its pending work. Its fees go back into its reserve at
    once, so that no withdrawal of fees can take them.
    """
    settlement = round_.settlement
    if round_.state is RoundState.FINAL:
        fees = _fees(round_, funds=funds)
        changes.post(settlement, fees.moves, step_name="/void")
        owe_disownment_shortfalls(changes, settlement, (), of_fee=fees.shortfall, funds=funds, cause=cause)
        state = step(edges=ROUND_EDGES, was=round_.state, to=RoundState.BOOKING)
        changes.advance(replace(round_, state=state), cause=cause)
    version = expected_state(round_, pending).version
    changes.work.append(
        RoundWork(round_id=settlement.round_id, version=version, phase=Phase.VOID, cause=cause)
    )


def owe_disownment_shortfalls(
    changes: RoundChanges,
    settlement: Settlement,
    of_prizes: Iterable[Shortfall],
    *,
    of_fee: Shortfall | None = None,
    funds: PlayerFunds,
    cause: str,
) -> None:
    """Request the cancellation of payouts that hold missing money, and open debts. The debt of an organizer's fee is
    separate, because a prize is compared with the debts of its player and round.
    """
    of_prizes = list(of_prizes)
    of_fees = [] if of_fee is None else [of_fee]
    request_cancels(
        changes,
        settlement,
        [*of_prizes, *of_fees],
        funds=funds,
        by=DISOWNMENT,
        what="was disowned",
        cause=cause,
    )
    reference = str(settlement.round_id)
    source = f"disownment/{reference}"
    owe_shortfalls(changes, settlement, of_prizes, source=source, reference=reference)
    owe_shortfalls(
        changes, settlement, of_fees, source=f"{source}/organizer-fee", reference=f"{reference}/organizer-fee"
    )


def _fees(round_: Round, *, funds: PlayerFunds) -> FeesTakenBack:
    """Take a round's fees back into its reserve. The fees of a round that is not final are in the reserve already."""
    if round_.state is RoundState.FINAL:
        return take_fees_back(round_.settlement, winnings=funds.winnings)
    return FeesTakenBack([], round_.settlement.platform_fee + round_.settlement.organizer_fee, None)
