"""What the examples share: who and when they are about."""

from typing import Final

__all__ = [
    "AT",
    "CAMPAIGN_ID",
    "CORRELATION",
    "DEADLINE",
    "LATER",
    "METHOD_ID",
    "PAYOUT_ID",
    "RECEIVABLE_ID",
    "REWARD_ID",
    "ROUND_ID",
    "TRANSFER_ID",
]

CAMPAIGN_ID: Final = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
ROUND_ID: Final = "67d20d3b-65b1-575d-9ac8-55bf598fbc8d"
REWARD_ID: Final = "67d20d3b-65b1-875d-b589-f1be4942c69a"
TRANSFER_ID: Final = "54a89aab-8bcb-8fed-825e-699161d00001"
PAYOUT_ID: Final = "c4b4f0f6-7f0e-4d5c-9f0e-2b8f6f1f5a31"
METHOD_ID: Final = "0f7c1c54-2b8e-4a70-8f0c-6a1f7f4bb0de"
RECEIVABLE_ID: Final = "8a6f2a0e-51c4-4c3c-a7f5-90f0f9d3c6b2"
CORRELATION: Final = "811124b0-535e-549c-908c-5154aa27f6f1"
AT: Final = "2026-05-01T12:00:00+00:00"
LATER: Final = "2026-05-02T12:00:00+00:00"
DEADLINE: Final = "2026-05-04T12:00:00+00:00"
