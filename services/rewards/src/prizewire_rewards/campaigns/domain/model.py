"""Campaigns and their state machine. Amounts are minor units of the campaign's asset."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from prizewire_rewards.campaigns.domain.settings import NO_SETTINGS, CampaignSettings
from prizewire_rewards.ledger.domain.parties import Party


class CampaignState(StrEnum):
    """Where a campaign stands."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    EXHAUSTED = "exhausted"
    ENDED = "ended"


CAMPAIGN_START: Final = frozenset({CampaignState.DRAFT})


CAMPAIGN_EDGES: Final[Mapping[tuple[CampaignState, CampaignState], str]] = {
    (CampaignState.DRAFT, CampaignState.ACTIVE): "activated",
    (CampaignState.DRAFT, CampaignState.ENDED): "given up before it began",
    (CampaignState.ACTIVE, CampaignState.PAUSED): "paused",
    (CampaignState.ACTIVE, CampaignState.EXHAUSTED): "a round was more than the pool held",
    (CampaignState.ACTIVE, CampaignState.ENDED): "ended",
    (CampaignState.PAUSED, CampaignState.ACTIVE): "activated again",
    (CampaignState.PAUSED, CampaignState.ENDED): "ended",
    (CampaignState.EXHAUSTED, CampaignState.ACTIVE): "every waiting round was paid",
    (CampaignState.EXHAUSTED, CampaignState.PAUSED): "paused",
}
"""An exhausted campaign owes prizes, so it cannot end before they are paid."""


ACCEPTS_PRIZES: Final = frozenset({CampaignState.ACTIVE, CampaignState.EXHAUSTED})
"""Where a settled round is booked, if the pool covers it. A draft or a paused campaign lets rounds wait."""


class Delivery(StrEnum):
    """What follows once a prize is final."""

    WALLET = "wallet"
    """It stays in the wallet."""
    DIRECT = "direct"
    """It is requested at once to the player's default payout method."""
    CLAIM = "claim"
    """The player claims it before it expires."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A pool of prizes with its rules.

    ``funded`` is all that ever came in, ``granted`` what rounds took out for good, ``withdrawn`` what left the pool
    otherwise, ``available`` what the pool holds: funded = granted + withdrawn + available. ``queued`` rounds wait for
    money; ``queue_tail`` is the position of the last that ever began to wait. ``low`` says that the pool was told to
    be low and has not risen since; ``capped`` that what it grants is counted, as it is from its first caps on.
    ``version`` counts its events, ``settings_version`` its settings. ``parties`` are who funded it and wrote its settings,
    as far as a campaign was loaded to grant something.
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
