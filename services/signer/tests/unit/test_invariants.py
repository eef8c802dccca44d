"""Each invariant finds its breaches."""

from uuid import UUID

from prizewire_money import Asset
from prizewire_signer.domain.invariants import (
    CHECK_NAMES,
    DayUse,
    LiveDigest,
    SignedDigest,
    answers_counted,
    limits_kept,
    one_live_slot,
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


def test_watermark_beside_its_answers() -> None:
    """A counter that was skipped, lost or given twice."""
    assert answers_counted(watermark=3, answers=3, highest=3) == []
    for numbers in ((4, 3, 3), (3, 2, 3), (3, 3, 4)):
        assert len(answers_counted(watermark=numbers[0], answers=numbers[1], highest=numbers[2])) == 1


def test_every_invariant_has_its_name() -> None:
    """The names under which breaches are reported."""
    functions = (one_live_slot, signatures_approved, limits_kept, answers_counted)
    assert tuple(function.__name__ for function in functions) == CHECK_NAMES
