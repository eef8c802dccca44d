"""What is known of players for risk rules: told by game servers and admins, each fact with its moment."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final


class KycState(StrEnum):
    """How far a player's identity was checked."""

    NONE = "none"
    PENDING = "pending"
    VERIFIED = "verified"
    REJECTED = "rejected"


FACTS: Final = ("registered_at", "kyc_state", "device_hash", "address_hash")
"""The facts; the moment of each stands in the field of its name with ``_told`` behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerFacts:
    """What was told of a player, None where nothing was. Hashes are keyed: nobody finds the raw value by trying."""

    player: str
    registered_at: datetime | None = None
    registered_at_told: datetime | None = None
    kyc_state: KycState | None = None
    kyc_state_told: datetime | None = None
    device_hash: str | None = None
    device_hash_told: datetime | None = None
    address_hash: str | None = None
    address_hash_told: datetime | None = None


def newest(*, known: PlayerFacts, told: PlayerFacts) -> PlayerFacts:
    """Each fact as it was told last; of two told at one moment, the one that was known."""
    changes = {}
    for fact in FACTS:
        moment = f"{fact}_told"
        at, was = getattr(told, moment), getattr(known, moment)
        if at is not None and (was is None or at > was):
            changes.update({fact: getattr(told, fact), moment: at})
    return replace(known, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class TellPlayers:
    """What was told of players, in the order in which it was told. Hashes are keyed already."""

    told: tuple[PlayerFacts, ...]
