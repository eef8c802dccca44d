"""What other services and people ask for, in the domain's words. ``cause`` is the id of the event behind it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prizewire_rewards.domain.campaign_settings import NO_SETTINGS, CampaignSettings
from prizewire_rewards.domain.model import Delivery, Line, Method, Settlement
from prizewire_rewards.domain.players import PlayerFacts
from prizewire_rewards.domain.states import PayoutState

__all__ = [
    "CancelPayout",
    "ChangeCampaign",
    "ClosePayout",
    "Command",
    "CorrectRound",
    "CreateCampaign",
    "DecideHeld",
    "FinalizeRound",
    "FundCampaign",
    "MarkPaid",
    "MarkReturned",
    "RecordMethod",
    "RenewIntent",
    "RequestPayout",
    "SetCampaignSettings",
    "SettleRound",
    "TellPlayers",
    "VoidRound",
    "WithdrawFromCampaign",
    "WriteOff",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRound:
    """A settled round, or part ``part`` of one."""

    settlement: Settlement
    part: int
    lines: tuple[Line, ...]
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectRound(SettleRound):
    """Full new lines of a settled round, or part ``part`` of them."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidRound:
    """A round does not count."""

    round_id: UUID
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalizeRound:
    """The dispute window of a settlement version has passed."""

    round_id: UUID
    settlement_version: int
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkPaid:
    """A rail paid. Fees count only where the platform bore them."""

    payout_id: UUID
    player: str | None
    asset: str
    amount: int
    rail: str
    rail_type: str
    fee_asset: str
    fee: int
    outcome: dict[str, Any]
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosePayout:
    """A payout ended without effect. ``closure`` is the signer's tombstone as it came, to be verified."""

    payout_id: UUID
    to: PayoutState
    code: str
    closure: str | None
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkReturned:
    """A paid payout came back, or a part of it did."""

    payout_id: UUID
    asset: str
    amount: int
    return_ref: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewIntent:
    """A payout's intent ran out before anything was sent."""

    payout_id: UUID
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordMethod:
    """A payout method's present state."""

    method: Method
    cause: str


Command = (
    SettleRound
    | CorrectRound
    | VoidRound
    | FinalizeRound
    | MarkPaid
    | ClosePayout
    | MarkReturned
    | RenewIntent
    | RecordMethod
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCampaign:
    """Make a campaign."""

    id: UUID
    name: str
    asset: str
    delivery: Delivery
    actor: str
    settings: CampaignSettings = NO_SETTINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class FundCampaign:
    """Money came in from outside. ``id`` follows from the idempotency key; ``reference`` is for people."""

    id: UUID
    campaign: UUID
    amount: int
    reference: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCampaign:
    """Activate, pause or end a campaign."""

    campaign: UUID
    to: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawFromCampaign:
    """Take money that no round has reserved out of a pool; all of it where no amount is named."""

    id: UUID
    campaign: UUID
    amount: int | None
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCampaignSettings:
    """Give a campaign other settings, whole."""

    campaign: UUID
    settings: CampaignSettings
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TellPlayers:
    """What was told of players, in the order in which it was told. Hashes are keyed already."""

    told: tuple[PlayerFacts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPayout:
    """A player wants winnings paid out; without a method, to the default one."""

    id: UUID
    player: str
    asset: str
    amount: int
    method_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPayout:
    """A player wants a payout stopped, if it still can be."""

    payout_id: UUID
    player: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOff:
    """An approver gives up what a player still owes."""

    receivable_id: UUID
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideHeld:
    """An operator lets a held prize go, or refuses it."""

    reward_id: UUID
    release: bool
    actor: str
    reason: str
