"""Campaigns and their state machine. Amounts are minor units of the campaign's asset."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from prizewire_rewards.campaigns.domain.settings import NO_SETTINGS, CampaignSettings
from prizewire_rewards.ledger.domain.parties import Party


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
