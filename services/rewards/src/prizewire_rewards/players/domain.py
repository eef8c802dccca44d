"""Facts of players."""

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
"""The facts. The field with the suffix ``_told`` holds the time at which the fact was reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerFacts:
    """The facts that were reported of a player; None for a fact that was not. Hashes are keyed, so that a raw value cannot
    be found by guessing.
    """

    player: str
    registered_at: datetime | None = None
    registered_at_told: datetime | None = None
    kyc_state: KycState | None = None
    kyc_state_told: datetime | None = None
    device_hash: str | None = None
    device_hash_told: datetime | None = None
    address_hash: str | None = None
    address_hash_told: datetime | None = None


def newest(*, known: PlayerFacts, reported: PlayerFacts) -> PlayerFacts:
    """The newest report of each fact. Of two reports with the same time, the known one stays."""
    changes = {}
    for fact in FACTS:
        moment = f"{fact}_told"
        at, was = getattr(reported, moment), getattr(known, moment)
        if at is not None and (was is None or at > was):
            changes.update({fact: getattr(reported, fact), moment: at})
    return replace(known, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatePlayers:
    """Reported facts of players, in the order of the reports. Hashes are keyed."""

    reports: tuple[PlayerFacts, ...]
