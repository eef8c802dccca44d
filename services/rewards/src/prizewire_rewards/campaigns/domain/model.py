"""Campaigns and their state machine. Amounts are minor units of the campaign's asset."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from prizewire_rewards.campaigns.domain.settings import NO_SETTINGS, CampaignSettings
from prizewire_rewards.ledger.domain.accounts import Account, Kind, Move, TransferType
from prizewire_rewards.ledger.domain.records import WORLD, Event, Party


class CampaignState(StrEnum):
    """The state of a campaign."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    EXHAUSTED = "exhausted"
    ENDED = "ended"


CAMPAIGN_START: Final = frozenset({CampaignState.DRAFT})


CAMPAIGN_EDGES: Final[Mapping[tuple[CampaignState, CampaignState], str]] = {
    (CampaignState.DRAFT, CampaignState.ACTIVE): "activated",
    (CampaignState.DRAFT, CampaignState.ENDED): "ended before it began",
    (CampaignState.ACTIVE, CampaignState.PAUSED): "paused",
    (CampaignState.ACTIVE, CampaignState.EXHAUSTED): "a round needed more than the pool held",
    (CampaignState.ACTIVE, CampaignState.ENDED): "ended",
    (CampaignState.PAUSED, CampaignState.ACTIVE): "activated again",
    (CampaignState.PAUSED, CampaignState.ENDED): "ended",
    (CampaignState.EXHAUSTED, CampaignState.ACTIVE): "every waiting round was paid",
    (CampaignState.EXHAUSTED, CampaignState.PAUSED): "paused",
}
"""An exhausted campaign owes prizes, so it cannot end before they are paid."""


ACCEPTS_PRIZES: Final = frozenset({CampaignState.ACTIVE, CampaignState.EXHAUSTED})
"""The states in which a settled round is booked if the pool covers it. Rounds of a draft or paused campaign wait."""


class Delivery(StrEnum):
    """What happens with a prize that is final."""

    WALLET = "wallet"
    """It stays in the wallet."""
    DIRECT = "direct"
    """A payout to the player's default payout method is requested at once."""
    CLAIM = "claim"
    """The player claims it before it expires."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A pool of prizes with its rules.

    Amounts: ``funded`` came in, ``granted`` was taken by rounds, ``withdrawn`` was taken by admins, and ``available`` is in
    the pool. funded = granted + withdrawn + available.

    ``queued`` is the number of rounds that wait for money, ``queue_tail`` the highest position ever given in the queue.
    ``low``: the event ``pool.low`` was published, and the pool has not risen to its mark since. ``capped``: grants are
    counted, which begins with the first caps. ``version`` counts events, ``settings_version`` settings. ``parties`` funded
    the campaign or wrote its settings; they are loaded only where the campaign is about to grant money.
    """

    id: UUID
    name: str
    asset: str
    delivery: Delivery
    state: CampaignState
    funded: int = 0
    granted: int = 0
    available: int = 0
    queued: int = 0
    queue_tail: int = 0
    version: int = 0
    withdrawn: int = 0
    low: bool = False
    capped: bool = False
    settings: CampaignSettings = NO_SETTINGS
    settings_version: int = 1
    parties: tuple[Party, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignChanged(Event):
    """A campaign was created (version 1) or changed its state."""

    campaign: Campaign
    actor: str
    created: bool
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignFunded(Event):
    """Money came into a pool."""

    campaign: Campaign
    amount: int
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolExhausted(Event):
    """A round needs more than the pool holds."""

    campaign: Campaign
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignWithdrawn(Event):
    """Money that no round had reserved left a pool."""

    campaign: Campaign
    amount: int
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLow(Event):
    """A pool holds less than its low-water mark."""

    campaign: Campaign
    cause: str | None = None


def funding_move(*, campaign: str, asset: str, amount: int) -> Move:
    """Money from outside into a pool."""
    return Move(
        TransferType.CAMPAIGN_FUNDED,
        Account(Kind.EXTERNAL_IN, WORLD, asset),
        Account(Kind.POOL, campaign, asset),
        amount,
    )


def withdrawal_move(*, campaign: str, asset: str, amount: int) -> Move:
    """Money that no round has reserved out of a pool."""
    return Move(
        TransferType.CAMPAIGN_WITHDRAWN,
        Account(Kind.POOL, campaign, asset),
        Account(Kind.EXTERNAL_OUT, WORLD, asset),
        amount,
    )


def check_level(campaign: Campaign, *, cause: str | None = None) -> tuple[Campaign, PoolLow | None]:
    """The campaign with ``low`` up to date, and the event to emit, if any. Call it after a change of the pool or of its
    low-water mark.
    """
    mark = campaign.settings.low_water
    low = mark is not None and campaign.available < mark
    if low == campaign.low:
        return campaign, None
    if not low:
        return replace(campaign, low=False), None
    campaign = replace(campaign, low=True, version=campaign.version + 1)
    return campaign, PoolLow(campaign=campaign, cause=cause)


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
    missing: int
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
