"""Caps: what a campaign has granted by player and day, and the cap that one more prize would pass."""

from collections.abc import Iterator, Mapping
from datetime import date
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from prizewire_rewards.campaigns.domain.settings import Caps


class CapCode(StrEnum):
    """Why a line is held: stable codes, in the order in which the caps are checked."""

    PLAYER = "cap_player"
    PLAYER_DAY = "cap_player_day"
    CAMPAIGN_DAY = "cap_campaign_day"
    CAMPAIGN = "cap_campaign"


OWN_SETTINGS: Final = "own_settings"
"""The code of a line that is held because its player wrote settings of a campaign with caps, whatever the caps allow."""


class CapKey(NamedTuple):
    """The key of one count. ``player`` is empty where it counts all players, ``day`` is None where it counts all days."""

    campaign: UUID
    cap: CapCode
    player: str
    day: date | None


class CapLine(NamedTuple):
    """A prize that counts towards caps, with its day and its amount (minor units)."""

    reward_id: UUID
    campaign: UUID
    player: str
    day: date
    amount: int


def keys_of(*, campaign: UUID, player: str, day: date) -> Iterator[CapKey]:
    """The four counts that a prize adds to."""
    yield CapKey(campaign, CapCode.PLAYER, player, None)
    yield CapKey(campaign, CapCode.PLAYER_DAY, player, day)
    yield CapKey(campaign, CapCode.CAMPAIGN_DAY, "", day)
    yield CapKey(campaign, CapCode.CAMPAIGN, "", None)


def exceeded_cap(
    *, caps: Caps, used: Mapping[CapKey, int], campaign: UUID, player: str, day: date, amount: int
) -> CapCode | None:
    """The first cap that ``amount`` more would pass; None where no cap would be passed."""
    most = {
        CapCode.PLAYER: caps.per_player,
        CapCode.PLAYER_DAY: caps.per_player_day,
        CapCode.CAMPAIGN_DAY: caps.per_campaign_day,
        CapCode.CAMPAIGN: caps.per_campaign,
    }
    for key in keys_of(campaign=campaign, player=player, day=day):
        bound = most[key.cap]
        if bound is not None and used.get(key, 0) + amount > bound:
            return key.cap
    return None
