"""Payouts and funding accounts as answers show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from prizewire_rewards.payouts.domain.model import PayoutState


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutView:
    """A payout as its player sees it."""

    id: UUID
    player: str | None
    asset: str
    amount: int
    fee: int
    state: PayoutState
    method_id: UUID | None
    campaign: UUID | None
    round_id: UUID | None
    correlation_id: str
    requested_at: datetime
    changed_at: datetime
    outcome: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingView:
    """A funding account with its balance and the money that its open payouts hold."""

    name: str
    asset: str
    balance: int
    payout_pending: int
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedPayout:
    """A requested payout with its present state. ``amount`` is without the player's fee."""

    payout_id: UUID
    player: str | None
    asset: str
    amount: int
    state: str
    requested_at: datetime
    changed_at: datetime
