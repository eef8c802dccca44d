"""What other services and people ask for, in the domain's words. ``cause`` is the id of the event behind it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prizewire_rewards.domain.campaign_settings import NO_SETTINGS, CampaignSettings
from prizewire_rewards.domain.entries import EntryRound
from prizewire_rewards.domain.funding import Destination
from prizewire_rewards.domain.model import Delivery, Line, Method, Settlement
from prizewire_rewards.domain.players import PlayerFacts
from prizewire_rewards.domain.states import PayoutState
from prizewire_rewards.domain.topups import ReversalKind
from prizewire_rewards.domain.withdrawals import Schedule


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
    """A payout ended without effect, as ``code`` says, and ``reason`` where a person gave one. ``closure`` is the signer's
    tombstone as it came, to be verified.
    """

    payout_id: UUID
    to: PayoutState
    code: str
    reason: str | None
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
    """Money came in from outside. ``id`` follows from the idempotency key, ``reference`` names the payment. ``repeated``:
    the person says that it is another payment under a reference that was used.
    """

    id: UUID
    campaign: UUID
    amount: int
    reference: str
    actor: str
    repeated: bool = False


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
    """A player wants winnings paid out; without a method, to the default one. ``pay_asset`` is what is to arrive, where
    it is named; ``filed_by`` is the automatism that asks in the player's name, None where they ask themselves.
    """

    id: UUID
    player: str
    asset: str
    amount: int
    method_id: UUID | None
    pay_asset: str | None = None
    filed_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPayout:
    """A player wants a payout stopped, if it still can be."""

    payout_id: UUID
    player: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenEntry:
    """A round is open, and says what entering it costs."""

    round: EntryRound


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseEntry:
    """Players no longer enter a round by themselves."""

    round_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterRound:
    """A player entered a round and owes its fee. ``late``: the round had ended before."""

    entry_id: UUID
    round: EntryRound
    player: str
    asset: str
    amount: int
    cause: str
    late: bool = False


EntryCommand = OpenEntry | CloseEntry | EnterRound


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditTopup:
    """A session was paid; ``amount`` is what the provider names."""

    topup_id: UUID
    player: str
    asset: str
    amount: int
    rail: str
    reference: str
    correlation_id: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReverseTopup:
    """A payment went back; ``reference`` is the provider's id of the refund or dispute."""

    topup_id: UUID
    player: str
    asset: str
    amount: int
    rail: str
    reference: str
    kind: ReversalKind
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WinDispute:
    """A dispute was decided for us."""

    topup_id: UUID
    player: str
    asset: str
    amount: int
    rail: str
    reference: str
    cause: str


TopupCommand = CreditTopup | ReverseTopup | WinDispute


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateFunding:
    """Make a funding account."""

    name: str
    asset: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveFunding:
    """Money into a funding account from outside, or out of it again. ``id`` follows from the idempotency key;
    ``reference`` names the payment, or says why money is taken out. ``repeated``: the person says that it is another
    payment under a reference that was used.
    """

    id: UUID
    name: str
    amount: int
    actor: str
    reference: str
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPayout:
    """An operator wants money of a funding account paid to an address."""

    id: UUID
    funding_account: str
    amount: int
    destination: Destination
    operator: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOff:
    """An approver gives up what a player still owes."""

    receivable_id: UUID
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskWithdrawal:
    """A player wants winnings of an asset withdrawn by themselves: at ``threshold``, or by ``schedule``."""

    player: str
    asset: str
    threshold: int | None
    schedule: Schedule | None
    hour_utc: int
    minimum: int
    method_id: UUID | None


class DecideHeld:
    """An operator lets a held prize go, or refuses it."""

    reward_id: UUID
    release: bool
    actor: str
    reason: str
