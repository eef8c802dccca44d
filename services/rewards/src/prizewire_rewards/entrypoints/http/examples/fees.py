"""Fees and their withdrawals."""

from typing import Any, Final

from prizewire_chassis.http.examples import answer, page
from prizewire_rewards.entrypoints.http.examples.shared import AT, LATER

__all__ = [
    "FEES",
    "FEE_WITHDRAWAL",
    "FEE_WITHDRAWALS",
    "FEE_WITHDRAWAL_FILED",
    "FEE_WITHDRAWAL_REJECTED",
]

_FILED: Final[dict[str, Any]] = {
    "withdrawal_id": "1d3a5f0e-4c9b-4d57-9b0a-6f6a6f1d7c11",
    "source": "platform",
    "asset": "USDC",
    "amount": "120.00",
    "reference": "wire 2026-04-02",
    "state": "filed",
    "filed_by": "ada",
    "filed_at": AT,
    "decided_by": None,
    "decided_at": None,
    "reason": None,
    "correlation_id": "1d3a5f0e-4c9b-4d57-9b0a-6f6a6f1d7c11",
}
_APPROVED: Final[dict[str, Any]] = {
    **_FILED,
    "state": "approved",
    "decided_by": "boris",
    "decided_at": LATER,
}
_REJECTED: Final[dict[str, Any]] = {**_APPROVED, "state": "rejected", "reason": "the wrong account"}

FEES: Final = answer(
    {
        "items": [
            {
                "source": "platform",
                "asset": "USDC",
                "balance": "380.00",
                "withdrawn": "120.00",
                "filed": "0.00",
            }
        ]
    },
    description="Fees by asset and source",
)
FEE_WITHDRAWALS: Final = page(_APPROVED, "One page of withdrawals of fees")
FEE_WITHDRAWAL: Final = answer(_APPROVED, description="The withdrawal of fees")
FEE_WITHDRAWAL_FILED: Final = answer(
    _FILED, status=201, description="The withdrawal, which another person decides on"
)
FEE_WITHDRAWAL_REJECTED: Final = answer(_REJECTED, description="The withdrawal, of which nothing moves")
