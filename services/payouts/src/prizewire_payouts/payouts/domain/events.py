"""Domain events of a payout. ``payouts/messages.py`` makes the published event of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from prizewire_money import Amount
from prizewire_payouts.payouts.domain.states import PayoutState


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """The payout may be paid; ``approvers`` is empty where policy approved it."""

    policy_version: int
    approvers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The payout waits for an approver, or for a renewed intent."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """An attempt is committed; the call to the rail may be under way."""

    attempt_no: int
    rail: str
    provider_key: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """The rail has accepted the payment."""

    attempt_no: int
    rail: str
    provider_ref: str | None
    tx_hash: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """The outcome of an attempt is not known."""

    attempt_no: int
    rail: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """The payout was paid, with proof. ``fee_borne_by`` is ``platform`` or ``recipient``."""

    attempt_no: int
    rail: str
    rail_type: str
    player: str | None
    amount: Amount
    fee: Amount
    fee_borne_by: str
    proof: Mapping[str, Any]
    paid_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The payout ended without effect, as ``state`` and ``code`` say, and ``reason`` where a person gave one; ``closure`` is the
    signer's signed event where one is needed.
    """

    state: PayoutState
    code: str
    reason: str | None
    attempts: int
    closure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The payout was paid, and the money came back."""

    return_ref: str
    amount: Amount
    fee: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRequested:
    """The signer is asked never to sign for this payout again."""


PayoutEvent = Approved | Held | Submitted | Pending | Unknown | Paid | Ended | Returned | CloseRequested
