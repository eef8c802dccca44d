"""Prizes, claims, debts and what is known of players."""

from typing import Any, Final

from prizewire_chassis.http.examples import answer, page
from prizewire_rewards.entrypoints.http.examples.shared import (
    AT,
    CAMPAIGN_ID,
    CORRELATION,
    DEADLINE,
    LATER,
    RECEIVABLE_ID,
    REWARD_ID,
    ROUND_ID,
    TRANSFER_ID,
)

__all__ = [
    "CLAIM",
    "CLAIMS",
    "CLAIM_MADE",
    "CLAIM_REJECTED",
    "CLAIM_RELEASED",
    "PLAYER",
    "RECEIVABLES",
    "REWARDS",
    "REWARD_REJECTED",
    "REWARD_RELEASED",
    "ROUNDS",
    "WRITTEN_OFF",
]

_REWARD: Final[dict[str, Any]] = {
    "reward_id": REWARD_ID,
    "round_id": ROUND_ID,
    "line": 1,
    "player": "ann",
    "place": 1,
    "amount": "42.50",
    "credited": "30.00",
    "waiting": "0.00",
    "short": "12.50",
    "owed": "0.00",
    "asset": "USDC",
    "state": "credited",
    "note": None,
    "payout_id": None,
    "transfer_id": TRANSFER_ID,
    "correlation_id": CORRELATION,
}
_CLAIM: Final[dict[str, Any]] = {
    "reward_id": REWARD_ID,
    "round_id": ROUND_ID,
    "campaign": CAMPAIGN_ID,
    "player": "ann",
    "asset": "USDC",
    "amount": "2600.00",
    "state": "held",
    "deadline": DEADLINE,
}
_CLAIM_SEEN: Final[dict[str, Any]] = {
    **_CLAIM,
    "correlation_id": CORRELATION,
    "opened_at": AT,
    "claimed_at": "2026-05-01T12:30:00+00:00",
    "decided_at": None,
    "decided_by": None,
    "reason": None,
    "findings": [
        {
            "rule": "amount",
            "verdict": "hold",
            "saw": "2600.00 USDC",
            "threshold": "below 2500.00 USDC",
            "explanation": "Large prizes are looked at by a person.",
        }
    ],
}
_DECIDED: Final[dict[str, Any]] = {
    **_CLAIM_SEEN,
    "deadline": None,
    "decided_at": LATER,
    "decided_by": "olga",
    "reason": "identity seen on 2026-05-02",
}
_RECEIVABLE: Final[dict[str, Any]] = {
    "receivable_id": RECEIVABLE_ID,
    "player": "ann",
    "asset": "USDC",
    "amount": "40.00",
    "open": "25.00",
    "recovered": "15.00",
    "written_off": "0.00",
    "lifted": "0.00",
    "restored": "0.00",
    "campaign": CAMPAIGN_ID,
    "reference": ROUND_ID,
    "correlation_id": CORRELATION,
    "opened_at": AT,
}

ROUNDS: Final = answer(
    {
        "items": [
            {
                "round_id": ROUND_ID,
                "settlement_version": 1,
                "state": "final",
                "final": True,
                "campaign": CAMPAIGN_ID,
                "asset": "USDC",
                "gross": "100.00",
                "prizes": 3,
                "prizes_total": "85.00",
                "settled_at": AT,
            }
        ]
    },
    description="Those of the rounds that are booked",
)
REWARDS: Final = page(_REWARD, "One page of prizes")
REWARD_RELEASED: Final = answer(
    {"reward_id": REWARD_ID, "state": "credited", "note": None},
    description="Where the prize stands now, as others of its round do",
)
REWARD_REJECTED: Final = answer(
    {"reward_id": REWARD_ID, "state": "rejected", "note": "cap_player_day"},
    description="The prize, whose money is back in the pool",
)
CLAIMS: Final = page(
    _CLAIM, "One page of claims, to their player", also=("To operators and admins", _CLAIM_SEEN)
)
CLAIM: Final = answer(
    _CLAIM, description="The claim, to its player", also=("To operators and admins", _CLAIM_SEEN)
)
CLAIM_MADE: Final = answer(
    {**_CLAIM, "state": "approved", "deadline": None},
    description="The prize is in the wallet",
    also=("It is under review", _CLAIM),
)
CLAIM_RELEASED: Final = answer(
    {**_DECIDED, "state": "approved"}, description="The claim, whose prize is in the wallet"
)
CLAIM_REJECTED: Final = answer(
    {**_DECIDED, "state": "rejected", "reason": "two winners on one device"},
    description="The claim, whose money is back in the pool",
)
RECEIVABLES: Final = page(_RECEIVABLE, "One page of debts")
WRITTEN_OFF: Final = answer(
    {**_RECEIVABLE, "open": "0.00", "written_off": "25.00"},
    description="The debt, of which nothing is open any more",
)
PLAYER: Final = answer(
    {
        "player": "ann",
        "registered_at": "2026-01-05T10:00:00+00:00",
        "registered_at_told": AT,
        "kyc_state": "verified",
        "kyc_state_told": AT,
        "device_known": True,
        "device_told": AT,
        "address_known": False,
        "address_told": None,
    },
    description="What is known of the player, and since when",
)
