"""Automatic withdrawal: when a player's wish to be paid out is due."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

_DAY: Final = timedelta(days=1)
_DECEMBER: Final = 12


class Schedule(StrEnum):
    """How often; the days are UTC's."""

    DAILY = "daily"
    WEEKLY = "weekly"
    """On Mondays."""
    MONTHLY = "monthly"
    """On the first of the month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoWithdrawal:
    """One player's wish for one asset: either at ``threshold`` or by ``schedule`` at ``hour_utc`` where at least
    ``minimum`` is there. Amounts are minor units of winnings.

    ``next_at`` is the next moment on a schedule; with a threshold, the moment before which nothing is tried again.
    ``attempts`` counts what was tried, ``note`` is the stable code of the last failure, None after a success.
    """

    player: str
    asset: str
    threshold: int | None
    schedule: Schedule | None
    hour_utc: int
    minimum: int
    method_id: UUID | None
    next_at: datetime
    attempts: int = 0
    note: str | None = None
    noted_at: datetime | None = None
    last_payout: UUID | None = None


def next_due(schedule: Schedule, *, hour_utc: int, after: datetime) -> datetime:
    """The first moment of the schedule later than ``after``. Moments that passed unseen are not made up for."""
    at = after.astimezone(UTC).replace(hour=hour_utc, minute=0, second=0, microsecond=0)
    if schedule is Schedule.MONTHLY:
        at = at.replace(day=1)
        if at <= after:
            at = (
                at.replace(year=at.year + 1, month=1)
                if at.month == _DECEMBER
                else at.replace(month=at.month + 1)
            )
        return at
    if schedule is Schedule.WEEKLY:
        at -= _DAY * at.weekday()
        return at if at > after else at + 7 * _DAY
    return at if at > after else at + _DAY


def day_of(moment: datetime) -> datetime:
    """When the day (UTC) of a moment began: limits of a day count from there."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def next_day(*, after: datetime) -> datetime:
    """The next midnight (UTC): when limits of the day are new."""
    return day_of(after) + _DAY
