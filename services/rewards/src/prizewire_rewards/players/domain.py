"""Facts of players, and the sources that report them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from prizewire_rewards.errors import Refused


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


class FactGroup(StrEnum):
    """The facts that a source may report."""

    IDENTITY = "identity"
    RISK = "risk"
    TAX = "tax"


GROUPS: Final[Mapping[str, FactGroup]] = {
    "kyc_state": FactGroup.IDENTITY,
    "kyc_expires_at": FactGroup.IDENTITY,
    "registered_at": FactGroup.RISK,
    "device_hash": FactGroup.RISK,
    "address_hash": FactGroup.RISK,
    "tax_state": FactGroup.TAX,
}
"""The group of each fact of ``player.updated``. Rewards stores those of ``FACTS``; payouts the other ones, and ``kyc_state`` too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKey:
    """An Ed25519 key (64 hex digits) that may sign a source's events dated in [not_before, not_after)."""

    keyid: str
    public_key: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerSource:
    """A source that may report the facts of ``groups``. It has at least one key: each of its events is signed."""

    source: str
    groups: frozenset[FactGroup]
    keys: tuple[SourceKey, ...]


def signing_key(
    *,
    sources: Mapping[str, PlayerSource],
    source: str,
    facts: Collection[str],
    keyid: str | None,
    at: datetime,
) -> SourceKey:
    """The key that an event of ``source`` with these facts must be signed with.

    A key must be valid at the event's own time ``at``: what an expired key signed while it was valid stays authentic. To
    revoke a stolen key, take it out of the file.

    Raises:
        Refused: ``source_not_allowed``, ``signature_missing`` or ``key_not_trusted``; it does not park.
    """
    known = sources.get(source)
    if known is None:
        raise _refused("source_not_allowed", f"{source} may not report facts of players")
    forbidden = sorted(fact for fact in facts if GROUPS[fact] not in known.groups)
    if forbidden:
        raise _refused("source_not_allowed", f"{source} may not report {', '.join(forbidden)}")
    if keyid is None:
        raise _refused("signature_missing", f"{source} must sign its events")
    for key in known.keys:
        if key.keyid == keyid:
            break
    else:
        raise _refused("key_not_trusted", f"{keyid!r} is not a key of {source}")
    if not key.not_before <= at < key.not_after:
        raise _refused("key_not_trusted", f"{keyid!r} was not valid at {at.isoformat()}")
    return key


def _refused(code: str, detail: str) -> Refused:
    return Refused(code, detail, park=False)
