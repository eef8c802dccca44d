"""What players, operators and the payouts service say of payouts."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from prizewire_rewards.payouts.domain.funding import Destination
from prizewire_rewards.payouts.domain.model import Method, PayoutState
from prizewire_rewards.payouts.domain.withdrawals import Schedule


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
class SetWithdrawal:
    """A player wants winnings of an asset withdrawn by themselves: at ``threshold``, or by ``schedule``."""

    player: str
    asset: str
    threshold: int | None
    schedule: Schedule | None
    hour_utc: int
    minimum: int
    method_id: UUID | None
