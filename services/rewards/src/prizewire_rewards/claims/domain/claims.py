"""Claims of prizes that winners must claim, and their state machine.

A claim belongs to one prize and has its id. While it is open or held, its prize is ``claimable``.
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
"""The decider of claims that no person decided."""


class ClaimState(StrEnum):
    """The state of a claim; the values are those in events and answers."""

    OPEN = "open"
    """Not claimed yet; it expires at the deadline."""
    HELD = "held"
    """ClaimResult, and under review; a decision is due at the deadline."""
    APPROVED = "approved"
    """The prize is in the winner's wallet."""
    REJECTED = "rejected"
    """Refused, or taken back by a correction; the money is back in the pool."""
    EXPIRED = "expired"
    """Not claimed in time; the money is back in the pool."""


class ClaimCode(StrEnum):
    """Why a claim waits or ended without money, as answers to its player and events say it."""

    UNDER_REVIEW = "under_review"
    """A person decides."""
    REFUSED = "refused"
    """A risk rule or a person refused it."""
    CORRECTED = "corrected"
    """A correction of the result took the prize away."""
    NOT_CLAIMED = "not_claimed"
    """The prize was not claimed in time."""


CLAIM_START: Final = frozenset({ClaimState.OPEN})


CLAIM_LIVE: Final = frozenset({ClaimState.OPEN, ClaimState.HELD})


CLAIM_EDGES: Final[Mapping[tuple[ClaimState, ClaimState], str]] = {
    (ClaimState.OPEN, ClaimState.APPROVED): "claimed, and no risk rule has a finding",
    (ClaimState.OPEN, ClaimState.HELD): "claimed, and a risk rule requires a person",
    (
        ClaimState.OPEN,
        ClaimState.REJECTED,
    ): "claimed and refused by a risk rule, or a correction took the prize back",
    (ClaimState.OPEN, ClaimState.EXPIRED): "not claimed in time",
    (
        ClaimState.HELD,
        ClaimState.APPROVED,
    ): "released by an operator, or by the campaign's setting at the deadline",
    (
        ClaimState.HELD,
        ClaimState.REJECTED,
    ): "refused by an operator, or by the campaign's setting at the deadline, or a correction took the prize back",
    (
        ClaimState.APPROVED,
        ClaimState.OPEN,
    ): "a correction took the prize back, and a later one gives it again",
    (
        ClaimState.REJECTED,
        ClaimState.OPEN,
    ): "a correction took the prize back, and a later one gives it again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One prize to be claimed. ``deadline`` is when it expires, or, for a held claim, when a decision is due.

    ``amount`` (minor units) is the amount of the prize. Only operators see ``findings``. ``decided_by`` is a person, or the
    service where a rule decided. ``version`` counts the claim's events. ``settings_version`` is the version of the
    campaign's settings at the claim's first opening.
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
        """Why it waits or ended without money; None while it is open, and once it was credited. A correction has a code of
        its own; all other refusals have the same code, because a player does not see what a rule or a person found.
        """
        if self.state is ClaimState.REJECTED and self.corrected:
            return ClaimCode.CORRECTED
        return _CODES.get(self.state)

    @property
    def corrected(self) -> bool:
        """Whether a correction ended it. A person may write the same word as a reason, so the decider is compared too."""
        return self.decided_by == CLAIM_SYSTEM and self.reason == ClaimCode.CORRECTED


_CODES: Final[Mapping[ClaimState, ClaimCode]] = {
    ClaimState.HELD: ClaimCode.UNDER_REVIEW,
    ClaimState.REJECTED: ClaimCode.REFUSED,
    ClaimState.EXPIRED: ClaimCode.NOT_CLAIMED,
}


def claim_move(claim: Claim) -> Move:
    """The move of a claimed prize to its winner's wallet."""
    wallet = Account(Kind.WINNINGS, claim.player, claim.asset)
    return Move(TransferType.CLAIM_PAID, _claimable(claim), wallet, claim.amount)


def unclaimed_move(claim: Claim, *, expired: bool) -> Move:
    """The move of a refused or expired prize back to its pool."""
    type_ = TransferType.CLAIM_EXPIRED if expired else TransferType.CLAIM_REJECTED
    pool = Account(Kind.POOL, str(claim.campaign), claim.asset)
    return Move(type_, _claimable(claim), pool, claim.amount)


def _claimable(claim: Claim) -> Account:
    return Account(Kind.CLAIMABLE, str(claim.campaign), claim.asset)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimMoved(Event):
    """A claim was opened or changed its state. ``code`` is public: it never says what a rule found."""

    claim: Claim
    actor: str
    code: str | None = None
    cause: str | None = None
