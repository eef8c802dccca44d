"""The approval policy: limits for a payout and for a day."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prizewire_money import Amount
from prizewire_payouts.approval.domain import ApprovalPolicy, DayAllowance
from services.payouts.tests.rig import ASSETS, EURC, POLICY


@pytest.mark.parametrize(
    ("minor", "wanted"),
    [
        (1, None),
        (100_000, None),
        (100_001, ("above_automatic_limit", 1)),
        (1_000_000, ("above_automatic_limit", 1)),
        (1_000_001, ("above_automatic_limit", 2)),
    ],
)
def test_limits_decide_the_number_of_approvers(minor: int, wanted: tuple[str, int] | None) -> None:
    """Up to a limit nobody, above it one, above the second limit two; the limits themselves still pass."""
    found = POLICY.decide(amount=Amount(EURC, minor))
    assert (None if found is None else (found.reason, found.approvers)) == wanted


@pytest.mark.parametrize(
    ("rail", "minor", "reason"),
    [
        ("fake", 100_000, None),
        ("fake", 100_001, "above_automatic_limit"),
        ("bank", 500_000, None),
        ("bank", 500_001, "above_automatic_limit"),
        ("slow", 1, "above_automatic_limit"),
        (None, 100_000, None),
    ],
)
def test_the_limit_of_a_rail_goes_before_the_assets(rail: str | None, minor: int, reason: str | None) -> None:
    """A rail may have a higher or a lower limit, or zero; the others keep the one of the asset."""
    of_rails = {("bank", "EURC"): Amount(EURC, 500_000), ("slow", "EURC"): Amount(EURC, 0)}
    policy = replace(POLICY, automatic_on_rail=of_rails)
    found = policy.decide(amount=Amount(EURC, minor), rail=rail)
    assert (None if found is None else found.reason) == reason
    assert policy.automatic_somewhere(amount=Amount(EURC, minor)) is (minor <= 500_000)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"registered_by_staff": True}, "method_registered_by_staff"),
        ({"by_one_person": True}, "one_person_chain"),
        ({"registered_by_staff": True, "by_one_person": True}, "method_registered_by_staff"),
        ({"by_operator": True, "by_one_person": True}, "filed_by_operator"),
    ],
)
def test_some_money_waits_whatever_the_amount(facts: dict[str, bool], reason: str) -> None:
    """A cent waits for one approver, an amount above the second limit for two."""
    small, large = (POLICY.decide(amount=Amount(EURC, minor), **facts) for minor in (1, 1_000_001))
    assert small is not None
    assert large is not None
    assert (small.reason, small.approvers, large.reason, large.approvers) == (reason, 1, reason, 2)


def test_without_a_limit_nothing_goes_by_itself() -> None:
    """An asset that the settings do not name is held, whatever the amount."""
    found = POLICY.decide(amount=Amount(ASSETS["XLM"], 1))
    assert found is not None
    assert (found.reason, found.approvers) == ("no_automatic_limit", 1)
    nothing = ApprovalPolicy(version=1, automatic_up_to={}, automatic_in_day={}, two_above={})
    assert nothing.decide(amount=Amount(EURC, 1)) is not None


@given(st.integers(0, 200), st.lists(st.integers(1, 120)))
def test_the_limit_of_a_day_is_never_exceeded(used: int, amounts: list[int]) -> None:
    """What fits is taken, in order, and what does not fit leaves room for what is smaller."""
    allowance = DayAllowance(most={"EURC": Amount(EURC, 100)}, used={"EURC": Amount(EURC, used)})
    left = 100 - used
    for minor in amounts:
        fits = minor <= left
        assert allowance.take(amount=Amount(EURC, minor)) is fits
        left -= minor if fits else 0
    taken = 100 - used - left
    assert allowance.taken == ({"EURC": Amount(EURC, taken)} if taken else {})


def test_an_asset_without_a_limit_of_the_day_has_no_allowance() -> None:
    """Nor has one whose use was not asked for."""
    one = Amount(EURC, 1)
    assert not DayAllowance(most={}, used={"EURC": Amount.zero(EURC)}).take(amount=one)
    assert not DayAllowance(most={"EURC": Amount(EURC, 100)}, used={}).take(amount=one)
