"""Disowned rounds: two admins decide that settlement never settled a round, and its money is taken back."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.fees.domain import FeeSource
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.records import ORGANIZER, PLATFORM
from prizewire_rewards.prizes.domain.booking import reserve_of
from prizewire_rewards.prizes.domain.model import Settlement
from prizewire_rewards.rounds.domain.corrections import Shortfall


class DisownmentState(StrEnum):
    """The state of a disownment; the values are those in answers."""

    FILED = "filed"
    """Nothing has moved; another admin decides."""
    APPROVED = "approved"
    """The round's money is taken back, and nothing is booked under its id any more."""
    REJECTED = "rejected"
    """The round stays as it is. It may be filed again."""


DISOWNMENT_START: Final = frozenset({DisownmentState.FILED})
DISOWNMENT_EDGES: Final[Mapping[tuple[DisownmentState, DisownmentState], str]] = {
    (DisownmentState.FILED, DisownmentState.APPROVED): "another admin than the filer approved",
    (DisownmentState.FILED, DisownmentState.REJECTED): "another admin refused it, or the filer took it back",
}


class Concern(StrEnum):
    """A conflict of interest: why a person may not decide about a round."""

    PRIZE = "has a prize of it"
    ORGANIZER = "gets its organizer's fee"
    ENTRY = "has entered it"
    PARTY = "is a party of it or of its campaign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disownment:
    """A person's statement that settlement never settled ``round_id``, and the decision of another person about it.
    ``reason`` is the filer's; ``decision`` is the reason of a rejection. ``settlement_voided_at`` is when rewards received,
    after the approval, that settlement voided the round.
    """

    id: UUID
    round_id: UUID
    reason: str
    filed_by: str
    filed_at: datetime
    state: DisownmentState = DisownmentState.FILED
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision: str | None = None
    settlement_voided_at: datetime | None = None

    @property
    def cause(self) -> str:
        """The cause of the transitions and work of this disownment."""
        return f"disownment/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SumOf:
    """A count of things in one asset, and their sum in minor units."""

    asset: str
    count: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnedFee:
    """A fee that was taken back out of ``source``, in minor units."""

    source: FeeSource
    asset: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBack:
    """What an approved disownment has taken back so far. It is ``complete`` when no job has lines or entries of it to do.

    ``prizes`` are counted with their amounts, with or without money. ``fees`` are those of a final round. ``entries`` are
    those whose fee was refunded. ``to_pool`` is the money that came back to the campaign's pool, ``owed`` what players owe
    for the rest. ``cancels`` are the payouts whose cancellation was requested.
    """

    complete: bool
    prizes: tuple[SumOf, ...] = ()
    fees: tuple[ReturnedFee, ...] = ()
    entries: tuple[SumOf, ...] = ()
    to_pool: tuple[SumOf, ...] = ()
    owed: tuple[SumOf, ...] = ()
    cancels: tuple[SumOf, ...] = ()


def decided(
    disownment: Disownment,
    *,
    approved: bool,
    by: str,
    decision: str | None,
    concern: Concern | None,
    now: datetime,
) -> Disownment:
    """Decide a disownment. ``concern`` is the decider's conflict of interest; it does not prevent a filer from rejecting
    their own disownment.

    Raises:
        InvalidRequest: ``disownment_final``: it is decided already; ``own_disownment``: the filer may not approve it;
            ``decider_is_party``: the decider has a prize of the round, or is a party of it.
    """
    if disownment.state is not DisownmentState.FILED:
        raise InvalidRequest(
            "disownment_final", f"the disownment is {disownment.state} by {disownment.decided_by}"
        )
    own = by == disownment.filed_by
    if approved and own:
        raise InvalidRequest("own_disownment", f"{by} filed this disownment: another admin has to approve it")
    if concern is not None and not own:
        raise InvalidRequest(
            "decider_is_party",
            f"{by} {concern}: an admin whom round {disownment.round_id} does not concern has to decide",
        )
    return replace(
        disownment,
        state=DisownmentState.APPROVED if approved else DisownmentState.REJECTED,
        decided_by=by,
        decided_at=now,
        decision=decision,
    )


class FeesTakenBack(NamedTuple):
    """The result of taking a round's fees back: ``came_back`` is the amount in its reserve, ``shortfall`` the part of the
    organizer's fee that the organizer no longer has.
    """

    moves: list[Move]
    came_back: int
    shortfall: Shortfall | None


def take_fees_back(settlement: Settlement, *, winnings: MutableMapping[str, int]) -> FeesTakenBack:
    """Take the fees of a final round back into its reserve. A fee that was credited to an organizer comes out of their
    ``winnings`` as far as these cover it (reduced by what is taken). The accounts of fees have to cover the other fees.
    """
    asset, reserve = settlement.asset, reserve_of(settlement)
    moves: list[Move] = []
    shortfall = None
    if settlement.platform_fee:
        kept = Account(Kind.FEES, PLATFORM, asset)
        moves.append(Move(TransferType.PLATFORM_FEE_REVERSED, kept, reserve, settlement.platform_fee))
    amount, owner = settlement.organizer_fee, settlement.organizer_player
    if owner is not None:
        amount = min(amount, winnings.get(owner, 0))
        winnings[owner] = winnings.get(owner, 0) - amount
        if amount < settlement.organizer_fee:
            shortfall = Shortfall(owner, settlement.organizer_fee - amount)
    if amount:
        kept = Account(Kind.FEES, ORGANIZER, asset) if owner is None else Account(Kind.WINNINGS, owner, asset)
        moves.append(Move(TransferType.ORGANIZER_FEE_REVERSED, kept, reserve, amount))
    return FeesTakenBack(moves, sum(move.amount for move in moves), shortfall)
