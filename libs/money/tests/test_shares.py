"""Allocation and fees: exact sums, stable ties, refused nonsense."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prizewire_money import (
    InvalidAllocation,
    InvalidAmount,
    InvalidBasisPoints,
    allocate,
    basis_points,
    split_fees,
)

totals = st.integers(0, 10**40)
weight_lists = st.lists(st.integers(0, 10**30), min_size=1, max_size=60).filter(any)


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (101, [1, 1, 1], [34, 34, 33]),
        (5, [1, 1], [3, 2]),
        (1, [0, 1, 1], [0, 1, 0]),
        (10, [1, 2, 3], [2, 3, 5]),
        (7, [9, 9, 9, 1], [3, 2, 2, 0]),
        (0, [3, 4], [0, 0]),
        (9, [5], [9]),
    ],
)
def test_known_allocations(total: int, weights: list[int], shares: list[int]) -> None:
    """Worked examples: largest remainders first, equal remainders to the earlier index."""
    assert allocate(total, weights) == shares


@given(totals, weight_lists)
def test_shares_sum_to_the_total_and_stay_next_to_their_quota(total: int, weights: list[int]) -> None:
    """Nothing is lost or made, nobody is a whole unit away from the exact share, zero weight gets nothing."""
    shares = allocate(total, weights)
    assert sum(shares) == total
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - Fraction(total * weight, sum(weights))) < 1
        assert weight > 0 or share == 0


@given(totals, weight_lists)
def test_a_larger_weight_never_gets_less_and_equal_ones_are_served_in_order(
    total: int, weights: list[int]
) -> None:
    """Shares follow the weights; among equal weights an earlier one never gets less than a later one."""
    shares = allocate(total, weights)
    pairs = sorted(zip(weights, range(len(weights)), shares, strict=True), key=lambda row: (row[0], -row[1]))
    ordered = [share for _, _, share in pairs]
    assert ordered == sorted(ordered)


@pytest.mark.parametrize(
    ("total", "weights"),
    [
        (-1, [1]),
        (1, []),
        (1, [0, 0]),
        (0, [0]),
        (1, [2, -1]),
        (1.0, [1]),
        (True, [1]),
        (1, [1.0]),
        (1, [True]),
    ],
)
def test_refuses_weights_that_cannot_be_shared(total: Any, weights: Any) -> None:
    """Negative numbers, floats, bools and absent weights are refused with a stable code."""
    with pytest.raises(InvalidAllocation) as refusal:
        allocate(total, weights)
    assert refusal.value.code == "invalid_allocation"


@pytest.mark.parametrize(
    ("amount", "bps", "part"), [(999, 1000, 99), (1, 9999, 0), (1, 10_000, 1), (7, 0, 0)]
)
def test_basis_points_round_down(amount: int, bps: int, part: int) -> None:
    """A part of a minor unit is never charged."""
    assert basis_points(amount, bps) == part


@pytest.mark.parametrize("bps", [-1, 10_001, 1.0, True, "1"])
def test_refuses_basis_points_out_of_range(bps: Any) -> None:
    """Basis points are an integer from 0 to 10000."""
    with pytest.raises(InvalidBasisPoints) as refusal:
        basis_points(100, bps)
    assert refusal.value.code == "invalid_basis_points"


@pytest.mark.parametrize(
    ("amount", "code"), [(-1, "amount_negative"), (1.0, "amount_malformed"), (True, "amount_malformed")]
)
def test_refuses_fees_on_other_values_than_amounts(amount: Any, code: str) -> None:
    """Fees are taken from non-negative integers only."""
    with pytest.raises(InvalidAmount) as refusal:
        split_fees(amount, platform_bps=1, organizer_bps=1)
    assert refusal.value.code == code


def test_refuses_fees_that_exceed_the_whole() -> None:
    """Two fees that are each possible may still be too much together."""
    assert split_fees(100, platform_bps=9000, organizer_bps=1000).net == 0
    with pytest.raises(InvalidBasisPoints):
        split_fees(100, platform_bps=9000, organizer_bps=1001)


@given(totals, st.integers(0, 10_000), st.integers(0, 10_000))
def test_fees_and_net_make_the_gross(gross: int, platform_bps: int, organizer_bps: int) -> None:
    """Whatever the fees, the three parts sum to the gross amount and none is negative."""
    if platform_bps + organizer_bps > 10_000:
        platform_bps, organizer_bps = platform_bps // 2, organizer_bps // 2
    split = split_fees(gross, platform_bps=platform_bps, organizer_bps=organizer_bps)
    assert split.platform + split.organizer + split.net == split.gross == gross
    assert min(split.platform, split.organizer, split.net) >= 0
