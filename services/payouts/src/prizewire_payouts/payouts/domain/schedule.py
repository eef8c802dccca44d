"""When an attempt is made again, and when a rail is asked again."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

_LIMIT_WAIT_MAX = timedelta(hours=1)
_LIMIT_SPREAD = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Times and bounds of the workers.

    The first ``polls_flat`` looks at a payment are ``poll`` apart, after that each gap doubles up to
    ``poll_max``. ``lease`` is how long a call may be under way before the attempt counts as lost.
    """

    poll: timedelta
    polls_flat: int
    poll_max: timedelta
    retry_first: timedelta
    retry_max: timedelta
    attempts_max: int
    lease: timedelta
    returns_watched: timedelta

    def look_again_in(self, *, polls: int) -> timedelta:
        """How long to wait after look number ``polls`` (from 1)."""
        return _doubled(self.poll, times=polls - self.polls_flat, most=self.poll_max)

    def retry_in(self, *, attempt_no: int, provider_key: UUID, at_least_s: int | None = None) -> timedelta:
        """How long to wait after attempt ``attempt_no`` was proved without effect.

        Doubles with each attempt; up to half of it is taken off by the key, so that many do not come at once.
        """
        full = _doubled(self.retry_first, times=attempt_no - 1, most=self.retry_max)
        wait = full - full * (provider_key.int % 500) / 1000
        return max(wait, timedelta(seconds=at_least_s or 0))

    def limit_again_in(self, *, now: datetime, provider_key: UUID) -> timedelta:
        """How long to wait after a limit of the signer was reached: until its day (UTC) turns over, but no longer
        than an hour, so that a limit that was raised is noticed; then spread over five minutes by the key.
        """
        today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        rest_of_day = today + timedelta(days=1) - now
        return min(rest_of_day, _LIMIT_WAIT_MAX) + _LIMIT_SPREAD * (provider_key.int % 500) / 500


def _doubled(gap: timedelta, *, times: int, most: timedelta) -> timedelta:
    factor: int = 2 ** max(0, min(times, 30))
    return min(gap * factor, most)
