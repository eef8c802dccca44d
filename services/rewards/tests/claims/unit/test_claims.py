"""The codes of claims that wait or ended."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from prizewire_rewards.claims.domain import Claim, ClaimCode, ClaimState

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "decided_by", "reason", "code"),
    [
        (ClaimState.OPEN, None, None, None),
        (ClaimState.APPROVED, "olga", "known", None),
        (ClaimState.HELD, None, None, ClaimCode.UNDER_REVIEW),
        (ClaimState.EXPIRED, "rewards", "not_claimed", ClaimCode.NOT_CLAIMED),
        (ClaimState.REJECTED, "rewards", "kyc", ClaimCode.REFUSED),
        (ClaimState.REJECTED, "olga", "corrected", ClaimCode.REFUSED),
        (ClaimState.REJECTED, "rewards", "corrected", ClaimCode.CORRECTED),
    ],
)
def test_a_correction_and_a_refusal_have_different_codes(
    state: ClaimState, decided_by: str | None, reason: str | None, code: ClaimCode | None
) -> None:
    """The code depends on decider and reason: a person's text is no correction, and a rule's finding is not shown."""
    claim = Claim(
        reward_id=uuid4(),
        round_id=uuid4(),
        campaign=uuid4(),
        player="ann",
        asset="USDC",
        amount=100,
        correlation_id="c",
        state=state,
        deadline=NOW,
        opened_at=NOW,
        decided_by=decided_by,
        reason=reason,
    )
    assert claim.code is code
