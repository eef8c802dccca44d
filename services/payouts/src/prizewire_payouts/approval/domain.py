"""Who must agree before money leaves, when to try again, and when to look again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from prizewire_money import Amount

ABOVE_DAY_LIMIT = "above_day_limit"
"""The reason of a hold: the day's limit of what goes without a person would be passed."""
METHOD_BY_STAFF = "method_registered_by_staff"
"""The reason of a hold: somebody else than the player named the destination."""
ONE_PERSON = "one_person_chain"
"""The reason of a hold: one person wrote the rule and reported the result, or imported the balance."""
_LIMIT_WAIT_MAX = timedelta(hours=1)
_LIMIT_SPREAD = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """An approver must look: ``reason`` is a stable code, ``approvers`` how many distinct ones must agree."""

    reason: str
    approvers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalPolicy:
    """Limits by asset code. An asset without an automatic limit, or without a limit of the day, is always held; one
    without a second limit never needs two approvers. What an operator asks for, what goes to a method that staff
    registered, and money of which one person alone said who is paid always wait for somebody else. ``version`` is told
    with each approval.

    ``automatic_in_day`` is the most that goes without a person within one day (UTC), over all rails.
    """

    version: int
    automatic_up_to: Mapping[str, Amount]
    automatic_in_day: Mapping[str, Amount]
    two_above: Mapping[str, Amount]

    def approvers(self, *, amount: Amount) -> int:
        """How many persons must agree where one must."""
        second = self.two_above.get(amount.asset.code)
        return 2 if second is not None and amount > second else 1

    def decide(
        self,
        *,
        amount: Amount,
        by_operator: bool = False,
        registered_by_staff: bool = False,
        by_one_person: bool = False,
    ) -> Hold | None:
        """None where the payout may go by itself, as far as the day's allowance reaches; else what it waits for."""
        approvers = self.approvers(amount=amount)
        if by_operator:
            return Hold(reason="filed_by_operator", approvers=approvers)
        if registered_by_staff:
            return Hold(reason=METHOD_BY_STAFF, approvers=approvers)
        if by_one_person:
            return Hold(reason=ONE_PERSON, approvers=approvers)
        limit = self.automatic_up_to.get(amount.asset.code)
        if limit is None:
            return Hold(reason="no_automatic_limit", approvers=approvers)
        if amount > limit:
            return Hold(reason="above_automatic_limit", approvers=approvers)
        return None


def day_of(now: datetime) -> date:
    """The day (UTC) whose limit counts at this moment."""
    return now.astimezone(UTC).date()


class DayAllowance:
    """What may still go without a person on one day, by asset code. ``used`` is what was approved without one before, of
    the assets that are asked for; any other asset has no allowance. ``taken`` collects what is approved now, and is to
    be stored in the same transaction. Nothing is given back, also where a payout ends without effect.
    """

    def __init__(self, *, most: Mapping[str, Amount], used: Mapping[str, Amount]) -> None:
        self._left = {code: most[code] - amount for code, amount in used.items() if code in most}
        self.taken: dict[str, Amount] = {}

    def take(self, *, amount: Amount) -> bool:
        """Take this much if it fits."""
        code = amount.asset.code
        left = self._left.get(code)
        if left is None or amount > left:
            return False
        self._left[code] = left - amount
        self.taken[code] = self.taken.get(code, Amount.zero(amount.asset)) + amount
        return True


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
