"""Events about payouts."""

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
    """The cancellation of a payout is requested, by its player or by rewards itself, as ``code`` says."""

    payout: Payout
    by: str
    code: Literal["cancelled_by_player", "winnings_taken_back"]
    reason: str
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRenewed(Event):
    """The intent of a payout was renewed: same terms, later expiry."""

    payout: Payout
    cause: str | None = None
