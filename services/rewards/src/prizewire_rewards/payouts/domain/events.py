"""What became of payouts."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from prizewire_rewards.ledger.domain.events import Event
from prizewire_rewards.payouts.domain.model import Payout


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRequested(Event):
    """A payout is requested, with its signed intent."""

    payout: Payout
    reward_ids: tuple[UUID, ...] = ()
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutCancelRequested(Event):
    """Somebody wants a payout stopped: its player, or rewards itself, as ``code`` says."""

    payout: Payout
    by: str
    code: Literal["cancelled_by_player", "winnings_taken_back"]
    reason: str
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRenewed(Event):
    """The same payout on the same terms, with a later expiry."""

    payout: Payout
    cause: str | None = None
