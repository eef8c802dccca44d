"""Campaigns as operators see them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from prizewire_rewards.campaigns.domain.settings import CampaignSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignView:
    """A campaign with its amounts (minor units). ``reserved`` counts rounds that are not final. The balance sheet has what
    final rounds hold back.
    """

    id: UUID
    name: str
    asset: str
    delivery: str
    state: str
    funded: int
    available: int
    reserved: int
    granted: int
    withdrawn: int
    settings: CampaignSettings
    settings_version: int
    unfunded_rounds: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceSheet:
    """Where a campaign's money is by the ledger: ``available``, ``reserved``, ``claimable`` and ``payout_pending`` are
    balances, all others sums of the transfers that its rounds and its directly requested payouts caused. ``funded`` is the
    sum of all others but ``unfunded``, which is owed, not held.

    ``wallets`` is what those transfers put into wallets, pending prizes and organizers' fees included, and did not
    take out of them again. What players do with it afterwards, such as a payout that they ask for themselves, is not
    followed: a wallet mixes its sources, so the ledger cannot say whose money it was. What a correction could not take
    back counts as in a wallet until it has been recovered from its player. ``claimable`` waits to be claimed.
    ``organizer_fees`` and ``platform_fees`` are those that were kept in accounts
    of fees; ``paid`` is what rails paid less what came back from them.
    """

    asset: str
    funded: int
    available: int
    withdrawn: int
    reserved: int
    claimable: int
    platform_fees: int
    organizer_fees: int
    wallets: int
    payout_pending: int
    paid: int
    unfunded: int


SHEET_AMOUNTS: Final = (
    "funded",
    "available",
    "withdrawn",
    "reserved",
    "claimable",
    "platform_fees",
    "organizer_fees",
    "wallets",
    "payout_pending",
    "paid",
    "unfunded",
)
"""The amounts of a balance sheet, in the order in which they are shown."""
