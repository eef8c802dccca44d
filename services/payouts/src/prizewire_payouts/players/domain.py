"""Facts of players, and the sources that report them. Rewards has the same rules for sources, over the same file."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from prizewire_payouts.errors import CodedError


class KycState(StrEnum):
    """How far a player's identity was checked."""

    NONE = "none"
    PENDING = "pending"
    VERIFIED = "verified"
    REJECTED = "rejected"


class TaxState(StrEnum):
    """Whether the tax form of a player is there."""

    MISSING = "missing"
    FILED = "filed"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerFacts:
    """The newest facts of a player; None for one that was never reported. ``kyc_expires_at`` was reported with ``kyc_state``: None
    means that the check does not expire. ``kyc_reported_at`` and ``tax_reported_at`` are the times of the reports.
    """

    player: str
    kyc_state: KycState | None = None
    kyc_expires_at: datetime | None = None
    kyc_reported_at: datetime | None = None
    tax_state: TaxState | None = None
    tax_reported_at: datetime | None = None


def newest(*, known: PlayerFacts, reported: PlayerFacts) -> PlayerFacts:
    """The newest report of each fact. Of two reports with the same time the known one stays."""
    facts = known
    if _is_newer(reported.kyc_reported_at, known.kyc_reported_at):
        facts = replace(
            facts,
            kyc_state=reported.kyc_state,
            kyc_expires_at=reported.kyc_expires_at,
            kyc_reported_at=reported.kyc_reported_at,
        )
    if _is_newer(reported.tax_reported_at, known.tax_reported_at):
        facts = replace(facts, tax_state=reported.tax_state, tax_reported_at=reported.tax_reported_at)
    return facts


def _is_newer(at: datetime | None, was: datetime | None) -> bool:
    return at is not None and (was is None or at > was)


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
"""The group of each fact of ``player.updated``."""


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


class SourceRefused(CodedError):
    """An event is not one that its source may send: ``source_not_allowed``, ``signature_missing`` or ``key_not_trusted``."""


def signing_key(
    *,
    sources: Mapping[str, PlayerSource],
    source: str,
    facts: Collection[str],
    keyid: str | None,
    at: datetime,
) -> SourceKey:
    """The key that an event of ``source`` with these facts must be signed with. A key must be valid at the event's own time
    ``at``: what an expired key signed while it was valid stays authentic.

    Raises:
        SourceRefused: there is none.
    """
    known = sources.get(source)
    if known is None:
        raise SourceRefused("source_not_allowed", f"{source} may not report facts of players")
    forbidden = sorted(fact for fact in facts if GROUPS[fact] not in known.groups)
    if forbidden:
        raise SourceRefused("source_not_allowed", f"{source} may not report {', '.join(forbidden)}")
    if keyid is None:
        raise SourceRefused("signature_missing", f"{source} must sign its events")
    for key in known.keys:
        if key.keyid == keyid:
            break
    else:
        raise SourceRefused("key_not_trusted", f"{keyid!r} is not a key of {source}")
    if not key.not_before <= at < key.not_after:
        raise SourceRefused("key_not_trusted", f"{keyid!r} was not valid at {at.isoformat()}")
    return key
