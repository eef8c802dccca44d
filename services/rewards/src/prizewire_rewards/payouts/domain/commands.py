"""Commands about payouts, payout methods, funding accounts and automatic withdrawals."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prizewire_rewards.payouts.domain.batches import FiledLine
from prizewire_rewards.payouts.domain.funding import Destination
from prizewire_rewards.payouts.domain.inline import InlineDestination
from prizewire_rewards.payouts.domain.model import Method, PayoutState
from prizewire_rewards.payouts.domain.quotes import SignedQuote
from prizewire_rewards.payouts.domain.withdrawals import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkPaid:
    """Mark a payout as paid by a rail. ``fee`` is 0 unless the platform bears it."""

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
    """Close a payout that ended without effect. ``reason`` is set where a person gave one. ``closure`` is the signer's
    closure, not verified yet.
    """

    payout_id: UUID
    to: PayoutState
    code: str
    reason: str | None
    closure: str | None
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkReturned:
    """Mark a paid payout as returned, completely or in part."""

    payout_id: UUID
    asset: str
    amount: int
    return_ref: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewIntent:
    """Renew the intent of a payout: it expired before anything was sent."""

    payout_id: UUID
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPayout:
    """File a new payout of the money that came back from an ended one. ``by`` is the operator; without a method it goes to the
    default one.
    """

    payout_id: UUID
    retry_no: int
    by: str
    method_id: UUID | None
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordMethod:
    """Store the present state of a payout method."""

    method: Method
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPayout:
    """Pay out winnings of a player to the method, to the destination ``inline``, or without both to the default method.
    ``pay_asset`` is the asset that is to arrive, if the player names one. ``quote`` is the quote at which it is paid, if the player took one. ``filed_by`` is the job that
    requests it for the player, None where the player requests it.
    """

    id: UUID
    player: str
    asset: str
    amount: int
    method_id: UUID | None
    pay_asset: str | None = None
    quote: SignedQuote | None = None
    filed_by: str | None = None
    inline: InlineDestination | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPayout:
    """Request the cancellation of a payout of ``player``; where that is None, of a payout out of a funding account. ``by`` is the person who
    requests it.
    """

    payout_id: UUID
    player: str | None
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateFunding:
    """Create a funding account."""

    name: str
    asset: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveFunding:
    """Book money into a funding account from outside, or out of it. ``id`` follows from the idempotency key. ``reference``
    names the payment, or the reason of a withdrawal. ``repeated``: the person says that this is another payment under a
    used reference.
    """

    id: UUID
    name: str
    amount: int
    actor: str
    reference: str
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPayout:
    """Pay money of a funding account to a destination, for an operator. ``reference`` is the operator's own id of the payout."""

    id: UUID
    funding_account: str
    amount: int
    destination: Destination | InlineDestination
    operator: str
    reason: str
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileBatch:
    """Pay the lines of a file out of a funding account, for an operator."""

    id: UUID
    funding_account: str
    lines: tuple[FiledLine, ...]
    operator: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetWithdrawal:
    """Set the automatic withdrawal of a player's winnings in an asset: at ``threshold``, or by ``schedule``."""

    player: str
    asset: str
    threshold: int | None
    schedule: Schedule | None
    hour_utc: int
    minimum: int
    method_id: UUID | None
