"""Claims: prizes that their winners must ask for, and the machine that they move through.

A claim is of one prize and has its id. While it is open or held, its prize is ``claimable``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from prizewire_rewards.claims.domain.risk import Finding
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.events import Event

CLAIM_SYSTEM: Final = "rewards"
"""Who decided where no person did."""


class ClaimState(StrEnum):
    """Where a claim stands; the values are those on the wire."""

    OPEN = "open"
    """Nobody has claimed the prize yet; it expires at the deadline."""
    HELD = "held"
    """ClaimResult, and under review; a decision is due at the deadline."""
    APPROVED = "approved"
    """The prize is in the winner's wallet."""
    REJECTED = "rejected"
    """Refused, or taken back by a correction; the money is back in the pool."""
    EXPIRED = "expired"
    """Not claimed in time; the money is back in the pool."""


class ClaimCode(StrEnum):
    """Why a claim waits or ended without money, as its player and events are told."""

    UNDER_REVIEW = "under_review"
    """A person decides."""
    REFUSED = "refused"
    """A risk rule or a person refused it."""
    CORRECTED = "corrected"
    """A correction of the result took the prize away."""
    NOT_CLAIMED = "not_claimed"
    """Nobody claimed the prize in time."""


CLAIM_START: Final = frozenset({ClaimState.OPEN})


CLAIM_LIVE: Final = frozenset({ClaimState.OPEN, ClaimState.HELD})


CLAIM_EDGES: Final[Mapping[tuple[ClaimState, ClaimState], str]] = {
    (ClaimState.OPEN, ClaimState.APPROVED): "claimed, and no risk rule found anything",
    (ClaimState.OPEN, ClaimState.HELD): "claimed, and a risk rule asks for a person",
    (ClaimState.OPEN, ClaimState.REJECTED): "claimed and refused by a rule, or taken back by a correction",
    (ClaimState.OPEN, ClaimState.EXPIRED): "not claimed in time",
    (
        ClaimState.HELD,
        ClaimState.APPROVED,
    ): "an operator released it, or the campaign's rule did at the deadline",
    (
        ClaimState.HELD,
        ClaimState.REJECTED,
    ): "an operator refused it, the campaign's rule did at the deadline, or a correction took it back",
    (
        ClaimState.APPROVED,
        ClaimState.OPEN,
    ): "a correction took the prize back, and a further one gives it again",
    (
        ClaimState.REJECTED,
        ClaimState.OPEN,
    ): "a correction took the prize back, and a further one gives it again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One prize to be claimed. ``deadline`` is when it expires, or, once held, when a decision is due.

    ``amount`` (minor units) is the prize's. ``findings`` are for operators alone; ``decided_by`` is a person, or the
    service where a rule decided; ``version`` counts the claim's events; ``settings_version`` is that of the campaign's
    settings when it was opened first.
    """

    reward_id: UUID
    round_id: UUID
    campaign: UUID
    player: str
    asset: str
    amount: int
    correlation_id: str
    state: ClaimState
    deadline: datetime
    opened_at: datetime
    claimed_at: datetime | None = None
    decided_at: datetime | None = None
    decided_by: str | None = None
    reason: str | None = None
    findings: tuple[Finding, ...] = ()
    version: int = 1
    settings_version: int = 1

    @property
    def code(self) -> ClaimCode | None:
        """Why it waits or ended without money; None while it is open, and once it was credited. Only a correction is told
        from other refusals: what a rule or a person found is not for the player.
        """
        if self.state is ClaimState.REJECTED and self.corrected:
            return ClaimCode.CORRECTED
        return _CODES.get(self.state)

    @property
    def corrected(self) -> bool:
        """Whether a correction ended it. A person may give the same word as a reason, so the decider counts too."""
        return self.decided_by == CLAIM_SYSTEM and self.reason == ClaimCode.CORRECTED


_CODES: Final[Mapping[ClaimState, ClaimCode]] = {
    ClaimState.HELD: ClaimCode.UNDER_REVIEW,
    ClaimState.REJECTED: ClaimCode.REFUSED,
    ClaimState.EXPIRED: ClaimCode.NOT_CLAIMED,
}


def claim_move(claim: Claim) -> Move:
    """A claimed prize into its winner's wallet."""
    wallet = Account(Kind.WINNINGS, claim.player, claim.asset)
    return Move(TransferType.CLAIM_PAID, _waiting_for(claim), wallet, claim.amount)


def unclaimed_move(claim: Claim, *, expired: bool) -> Move:
    """A prize that was refused, or not claimed in time, back into its pool."""
    type_ = TransferType.CLAIM_EXPIRED if expired else TransferType.CLAIM_REJECTED
    pool = Account(Kind.POOL, str(claim.campaign), claim.asset)
    return Move(type_, _waiting_for(claim), pool, claim.amount)


def _waiting_for(claim: Claim) -> Account:
    return Account(Kind.CLAIMABLE, str(claim.campaign), claim.asset)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimMoved(Event):
    """A claim was opened or reached another state. ``code`` is for everybody: it never says what a rule found."""

    claim: Claim
    actor: str
    code: str | None = None
    cause: str | None = None
