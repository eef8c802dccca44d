"""Wallets, transfers, payout requests, automatic withdrawals and entries."""

from typing import Any, Final

from prizewire_chassis.http.examples import answer, page
from prizewire_rewards.entrypoints.http.examples.shared import (
    AT,
    CORRELATION,
    LATER,
    METHOD_ID,
    PAYOUT_ID,
    ROUND_ID,
    TRANSFER_ID,
)

__all__ = [
    "ENTERED",
    "ENTRIES",
    "HISTORY",
    "PAYOUTS",
    "PAYOUT_CANCEL",
    "PAYOUT_REQUESTED",
    "TRANSFER",
    "TRANSFERS",
    "WALLET",
    "WITHDRAWAL",
    "WITHDRAWALS",
]

_TRANSFER: Final[dict[str, Any]] = {
    "id": TRANSFER_ID,
    "type": "prize_credited",
    "category": "reward",
    "status": "completed",
    "asset": "USDC",
    "amount": "42.50",
    "at": LATER,
    "correlation_id": CORRELATION,
    "group_id": "b0a9a3a8-6f4e-5f0a-8a55-1d9f5d7c2e60",
    "fees": None,
    "arrives": None,
}
_OF_PLAYER: Final[dict[str, Any]] = {**_TRANSFER, "direction": "credit", "bucket": "winnings"}
_OF_ALL: Final[dict[str, Any]] = {
    **_TRANSFER,
    "debit": {"kind": "reserved", "owner": ROUND_ID},
    "credit": {"kind": "wallet:winnings", "owner": "ann"},
    "cause": "2f1d6c0b-3f57-4f5f-8d3b-0c8a6f0f9a44",
}
_PAYOUT: Final[dict[str, Any]] = {
    "payout_id": PAYOUT_ID,
    "player": "ann",
    "asset": "USDC",
    "amount": "125.50",
    "fee": "0.50",
    "pay_amount": "125.00",
    "state": "paid",
    "method_id": METHOD_ID,
    "round_id": None,
    "correlation_id": PAYOUT_ID,
    "requested_at": AT,
    "changed_at": LATER,
    "outcome": {
        "rail": "stellar-main",
        "fee": "0.0000100",
        "fee_asset": "XLM",
        "fee_borne_by": "platform",
        "paid_at": LATER,
        "tx_hash": "5f" * 32,
        "ledger": 51_234_567,
        "op": 0,
    },
}
_WITHDRAWAL: Final[dict[str, Any]] = {
    "asset": "USDC",
    "threshold": None,
    "schedule": "weekly",
    "hour_utc": 6,
    "minimum": "10.00",
    "method_id": METHOD_ID,
    "next_at": "2026-05-04T06:00:00+00:00",
    "last_payout_id": None,
    "note": None,
    "noted_at": None,
}
_ENTRY: Final[dict[str, Any]] = {
    "entry_id": "67d20d3b-65b1-875d-8442-96ab06e5f0af",
    "round_id": ROUND_ID,
    "match_source": "/games/chess",
    "match_id": "4711",
    "player": "ann",
    "asset": "USDC",
    "amount": "2.50",
    "from_topup": "2.00",
    "from_winnings": "0.50",
    "state": "paid",
    "code": None,
    "correlation_id": CORRELATION,
}

WALLET: Final = answer(
    {
        "player": "ann",
        "balances": [
            {
                "asset": "USDC",
                "winnings": "317.00",
                "topup": "20.00",
                "pending": "42.50",
                "held": "0.00",
                "payout_pending": "125.50",
                "lifetime_earnings": "442.50",
                "short": "0.00",
                "owed": "0.00",
            }
        ],
    },
    description="The player's balances by asset",
)
HISTORY: Final = page(_OF_PLAYER, "One page of the player's history")
TRANSFERS: Final = page(
    _OF_ALL,
    "One page of transfers, with both accounts",
    also=("One player's: the side of the player", _OF_PLAYER),
)
TRANSFER: Final = answer(
    _OF_PLAYER, description="The transfer, to its player", also=("To operators and admins", _OF_ALL)
)
PAYOUT_REQUESTED: Final = answer(
    {"payout_id": PAYOUT_ID, "state": "requested", "fee": "0.50", "pay_amount": "125.00"},
    status=202,
    description="The request, and what is to arrive once the fee is taken",
)
PAYOUTS: Final = page(_PAYOUT, "One page of payout requests")
PAYOUT_CANCEL: Final = answer(
    {"payout_id": PAYOUT_ID, "state": "cancel_requested"},
    status=202,
    description="The request, which may still be paid until the cancel is proven",
)
WITHDRAWALS: Final = answer({"items": [_WITHDRAWAL]}, description="The player's choices, one for each asset")
WITHDRAWAL: Final = answer(
    _WITHDRAWAL,
    description="The choice, and when it is due",
    also=(
        "At a threshold",
        {**_WITHDRAWAL, "threshold": "100.00", "schedule": None, "hour_utc": None, "minimum": None},
    ),
)
ENTERED: Final = answer(_ENTRY, status=201, description="The entry, and which buckets paid its fee")
ENTRIES: Final = page(_ENTRY, "One page of entries")
