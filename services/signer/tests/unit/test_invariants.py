"""Each invariant finds its breaches."""

from uuid import UUID

from prizewire_money import Asset
from prizewire_signer.domain.invariants import (
    CHECK_NAMES,
    Closing,
    DayUse,
    LiveDigest,
    SignedDigest,
    answers_counted,
    closings_answered,
    limits_kept,
    one_live_slot,
    requests_answered,
    signatures_approved,
)

PAYOUT, SLOT, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
USDC = Asset("USDC", 2, True)


def test_live_digests_on_two_slots_are_a_breach() -> None:
    """One payout on two slots that may both pay it."""
    assert one_live_slot([LiveDigest(PAYOUT, SLOT), LiveDigest(PAYOUT, SLOT)]) == []
    assert len(one_live_slot([LiveDigest(PAYOUT, SLOT), LiveDigest(PAYOUT, OTHER)])) == 1


def test_signature_without_its_approval_is_a_breach() -> None:
    """No approval, two approvals, or an approval of other payouts."""
    assert signatures_approved([SignedDigest("ab", 1, 2, 2)]) == []
    for row in (SignedDigest("ab", 0, 2, 2), SignedDigest("ab", 2, 2, 2), SignedDigest("ab", 1, 2, 1)):
        assert len(signatures_approved([row])) == 1


def test_limit_that_does_not_add_up_is_a_breach() -> None:
    """More used than allowed, or another sum than that of the payouts; shown in units of the asset."""
    assert limits_kept([DayUse("day", USDC, "2030-01-01", 500, 500, 500)]) == []
    broken = [
        DayUse("day", USDC, "2030-01-01", 600, 600, 500),
        DayUse("day", USDC, "2030-01-01", 400, 500, 500),
    ]
    assert limits_kept(broken) == [
        "USDC on 2030-01-01 (day): 6.00 USDC reserved, 6.00 USDC counted, at most 5.00 USDC",
        "USDC on 2030-01-01 (day): 4.00 USDC reserved, 5.00 USDC counted, at most 5.00 USDC",
    ]


def test_use_above_the_policy_is_a_breach() -> None:
    """A ceiling that was raised in the database allows nothing."""
    assert limits_kept([DayUse("day", USDC, "2030-01-01", 500, 500, 900, 500)]) == []
    assert limits_kept([DayUse("day", USDC, "2030-01-01", 600, 600, 900, 500)]) == [
        "USDC on 2030-01-01 (day): 6.00 USDC reserved, 6.00 USDC counted, at most 5.00 USDC"
    ]


def test_a_closing_is_counted_on_the_day_of_its_answer() -> None:
    """Another day has another limit, and one without an answer was not closed by the signer."""
    assert closings_answered([Closing(PAYOUT, "2030-01-01", "2030-01-01")]) == []
    for answered_on in ("2030-01-02", None):
        assert len(closings_answered([Closing(PAYOUT, "2030-01-01", answered_on)])) == 1


def test_answers_rise_in_time() -> None:
    """One that was written into the database with an earlier date is found."""
    assert answers_counted(watermark=3, answers=3, highest=3, back=[3]) == [
        "answer 3 is dated before answer 2"
    ]


def test_watermark_beside_its_answers() -> None:
    """A counter that was skipped, lost or given twice."""
    assert answers_counted(watermark=3, answers=3, highest=3) == []
    for numbers in ((4, 3, 3), (3, 2, 3), (3, 3, 4)):
        assert len(answers_counted(watermark=numbers[0], answers=numbers[1], highest=numbers[2])) == 1


def test_every_invariant_has_its_name() -> None:
    """The names under which breaches are reported."""
    functions = (
        one_live_slot,
        signatures_approved,
        limits_kept,
        closings_answered,
        answers_counted,
        requests_answered,
    )
    assert tuple(function.__name__ for function in functions) == CHECK_NAMES
