"""The waits between retries and between polls."""

from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.payouts.tests.rig import SCHEDULE


@given(st.integers(1, 10_000), st.uuids())
def test_retries_wait_longer_and_not_together(number: int, key: UUID) -> None:
    """The wait grows to its bound, differs by key within a half, and is never shorter than the rail asks."""
    wait = SCHEDULE.retry_in(attempt_no=number, provider_key=key)
    full = min(SCHEDULE.retry_first * 2 ** min(number - 1, 30), SCHEDULE.retry_max)
    assert full / 2 <= wait <= full
    assert SCHEDULE.retry_in(attempt_no=number, provider_key=key, at_least_s=900) == timedelta(seconds=900)


@given(st.integers(1, 100_000))
def test_looks_never_come_closer(polls: int) -> None:
    """The gap between looks never shrinks, and has a bound."""
    here, next_ = SCHEDULE.look_again_in(polls=polls), SCHEDULE.look_again_in(polls=polls + 1)
    assert SCHEDULE.poll <= here <= next_ <= SCHEDULE.poll_max


@given(st.integers(0, 100_000))
def test_looks_for_a_return_are_few(looks: int) -> None:
    """A paid payout is looked at less and less often, at most once a day in the end: fewer than fifteen times in a week."""
    here, next_ = SCHEDULE.look_for_return_in(looks=looks), SCHEDULE.look_for_return_in(looks=looks + 1)
    assert SCHEDULE.poll * SCHEDULE.polls_flat <= here <= next_ <= timedelta(days=1)
    assert (
        sum((SCHEDULE.look_for_return_in(looks=n) for n in range(15)), timedelta()) > SCHEDULE.returns_watched
    )
