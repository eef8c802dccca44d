"""Disowned rounds: two admins decide that settlement never settled a round, and what it booked is taken back."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from prizewire_rewards.errors import InvalidRequest
from prizewire_rewards.fees.domain import FeeSource
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.moves import ORGANIZER, PLATFORM
from prizewire_rewards.prizes.domain.booking import reserve_of
from prizewire_rewards.prizes.domain.model import Settlement
from prizewire_rewards.rounds.domain.corrections import Shortfall


class DisownmentState(StrEnum):
    """Where a disownment stands; the values are those on the wire."""

    FILED = "filed"
    """Nothing has moved; another admin decides."""
    APPROVED = "approved"
    """The round is taken back, and nothing is booked under its id any more."""
    REJECTED = "rejected"
    """The round stays as it is. It may be filed again."""


DISOWNMENT_START: Final = frozenset({DisownmentState.FILED})
DISOWNMENT_EDGES: Final[Mapping[tuple[DisownmentState, DisownmentState], str]] = {
    (DisownmentState.FILED, DisownmentState.APPROVED): "another admin than the filer approved",
    (DisownmentState.FILED, DisownmentState.REJECTED): "another admin refused it, or the filer took it back",
}


class Concern(StrEnum):
    """Why a person does not decide about a round."""

    PRIZE = "has a prize of it"
    ORGANIZER = "gets its organizer's fee"
    ENTRY = "has entered it"
    PARTY = "is a party of it or of its campaign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Disownment:
    """One person's word that settlement never settled ``round_id``, and what another person decided about it. ``reason``
    is the filer's; ``decision`` is why it was rejected. ``settlement_voided_at`` is when rewards took in, after the
    approval, that settlement voided the round.
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
        """What moves because of it names this as its cause."""
        return f"disownment/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SumOf:
    """How many there are in one asset, and their sum in minor units."""

    asset: str
    count: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnedFee:
    """A fee that came back out of ``source``, in minor units."""

    source: FeeSource
    asset: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBack:
    """What an approved disownment has taken back so far. It is ``complete`` once no line and no entry is left to a job.

    ``prizes`` are counted with what they were worth, whether or not they had their money; ``fees`` are those of a final
    round; ``entries`` are those whose fee went back to its player. ``to_pool`` is what came back into the campaign's pool
    by it, and ``owed`` what players have to pay for the rest. ``cancels`` are the payouts that were asked to cancel.
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
    """A disownment that a person has decided on. ``concern`` is why the person may not, unless they take back their own.

    Raises:
        InvalidRequest: ``disownment_final``: it is decided; ``own_disownment``: who files does not approve;
            ``decider_is_party``: who has a prize of the round, or is a party of it, does not decide.
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
    """What taking a round's fees back comes to: ``came_back`` lies in its reserve then; ``shortfall`` is what the
    organizer no longer has of theirs.
    """

    moves: list[Move]
    came_back: int
    shortfall: Shortfall | None


def take_fees_back(settlement: Settlement, *, winnings: MutableMapping[str, int]) -> FeesTakenBack:
    """Take the fees of a final round back into its reserve. A fee that an organizer was credited comes out of their
    ``winnings`` as far as they reach (lowered by what is taken); the accounts of fees have to reach.
    """
    asset, reserve = settlement.asset, reserve_of(settlement)
    moves: list[Move] = []
    shortfall = None
    if settlement.platform_fee:
        kept = Account(Kind.FEES, PLATFORM, asset)
        moves.append(Move(TransferType.PLATFORM_FEE_REVERSED, kept, reserve, settlement.platform_fee))
    there, owner = settlement.organizer_fee, settlement.organizer_player
    if owner is not None:
        there = min(there, winnings.get(owner, 0))
        winnings[owner] = winnings.get(owner, 0) - there
        if there < settlement.organizer_fee:
            shortfall = Shortfall(owner, settlement.organizer_fee - there)
    if there:
        kept = Account(Kind.FEES, ORGANIZER, asset) if owner is None else Account(Kind.WINNINGS, owner, asset)
        moves.append(Move(TransferType.ORGANIZER_FEE_REVERSED, kept, reserve, there))
    return FeesTakenBack(moves, sum(move.amount for move in moves), shortfall)
