"""What a claim says of why it waits or ended."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from prizewire_rewards.claims.domain.claims import Claim, ClaimCode, ClaimState

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
def test_a_correction_is_told_from_a_refusal(
    state: ClaimState, decided_by: str | None, reason: str | None, code: ClaimCode | None
) -> None:
    """By who decided and why; a person's own words are no correction, and what a rule found is not told."""
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
