"""Facts of players."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


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
