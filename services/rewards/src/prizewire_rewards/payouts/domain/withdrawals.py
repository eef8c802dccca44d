"""Automatic withdrawals of players, and when they are due."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

_DAY: Final = timedelta(days=1)
_DECEMBER: Final = 12


class Schedule(StrEnum):
    """How often a withdrawal is due. Days are days of UTC."""

    DAILY = "daily"
    WEEKLY = "weekly"
    """On Mondays."""
    MONTHLY = "monthly"
    """On the first of the month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoWithdrawal:
    """A player's automatic withdrawal in one asset: when winnings reach ``threshold``, or by ``schedule`` at ``hour_utc``
    if winnings are at least ``minimum``. Amounts are minor units.

    ``next_at`` is the next time of a schedule; with a threshold, the earliest time of the next attempt. ``attempts``
    counts attempts. ``note`` is the stable code of the last failure, None after a success.
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
    """The first time of the schedule after ``after``. Missed times are skipped."""
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
    """The start of a moment's day (UTC). Limits of a day count from there."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def next_day(*, after: datetime) -> datetime:
    """The next midnight (UTC), when the limits of a day begin again."""
    return day_of(after) + _DAY
