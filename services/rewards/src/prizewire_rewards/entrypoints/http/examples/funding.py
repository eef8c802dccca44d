"""Funding accounts, operators' payouts and imports."""

from typing import Any, Final

from prizewire_chassis.http.examples import answer
from prizewire_rewards.entrypoints.http.examples.shared import AT, PAYOUT_ID

__all__ = [
    "BALANCES_IMPORTED",
    "FUNDING",
    "FUNDINGS",
    "FUNDING_CREATED",
    "FUNDING_MOVED",
    "OPERATOR_PAYOUT",
]

_NEW_FUNDING: Final[dict[str, Any]] = {
    "name": "marketing",
    "asset": "USDC",
    "balance": "0.00",
    "payout_pending": "0.00",
    "created_by": "ada",
    "created_at": AT,
}
_FUNDING: Final[dict[str, Any]] = {**_NEW_FUNDING, "balance": "4750.00", "payout_pending": "250.00"}

FUNDINGS: Final = answer({"items": [_FUNDING]}, description="The funding accounts")
FUNDING: Final = answer(_FUNDING, description="The funding account with its balance")
FUNDING_CREATED: Final = answer(_NEW_FUNDING, status=201, description="The funding account, empty")
FUNDING_MOVED: Final = answer(_FUNDING, status=201, description="The funding account after the move")
OPERATOR_PAYOUT: Final = answer(
    {
        "payout_id": PAYOUT_ID,
        "state": "requested",
        "funding_account": "marketing",
        "asset": "USDC",
        "amount": "250.00",
    },
    status=202,
    description="The request, which waits for another person's approval",
)
BALANCES_IMPORTED: Final = answer(
    {
        "dry_run": True,
        "rows": 3,
        "imported": 1,
        "already": 1,
        "refused": [{"row": 2, "code": "asset_unknown", "detail": "there is no asset USDX"}],
        "sums": [
            {
                "asset": "USDC",
                "bucket": "winnings",
                "before": "317.00",
                "imported": "125.50",
                "after": "442.50",
            }
        ],
    },
    description="What was booked, or would be",
)
