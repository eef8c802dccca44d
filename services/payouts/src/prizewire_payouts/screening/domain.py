"""Answers of a screening service, and whether one is recent enough to send a payout."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

ASK_AGAIN: Final = timedelta(minutes=1)
"""After how long the service is asked again about a payout, where it did not answer."""
REASON_MAX: Final = 500
"""The most characters of a reason that are kept."""


class Verdict(StrEnum):
    """What the service said. ``unanswered`` is stored as well: it says when the service was asked in vain."""

    CLEAR = "clear"
    HIT = "hit"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """One answer about one payout. ``number`` is its row's, 0 before it is stored. ``reference`` is the service's own name of its
    answer, ``reason`` a sentence for approvers.
    """

    payout_id: UUID
    verdict: Verdict
    reference: str | None
    reason: str | None = field(repr=False)
    at: datetime
    number: int = 0


def in_time(*, latest: Screening | None, valid_for: timedelta, now: datetime) -> bool:
    """Whether the latest answer about a payout is recent enough to send it. ``latest`` is never one that is unanswered."""
    return latest is not None and now <= latest.at + valid_for
