"""Campaigns."""

from typing import Any, Final

from prizewire_chassis.http.examples import answer, page
from prizewire_rewards.entrypoints.http.examples.shared import AT, CAMPAIGN_ID

__all__ = [
    "BALANCE_SHEET",
    "CAMPAIGN",
    "CAMPAIGNS",
    "CAMPAIGN_ACTIVE",
    "CAMPAIGN_CREATED",
    "CAMPAIGN_ENDED",
    "CAMPAIGN_FUNDED",
    "CAMPAIGN_PAUSED",
    "CAMPAIGN_SETTINGS",
    "CAMPAIGN_WITHDRAWN",
]

_NEW_CAMPAIGN: Final[dict[str, Any]] = {
    "id": CAMPAIGN_ID,
    "name": "candidates-2026",
    "asset": "USDC",
    "delivery": "claim",
    "state": "draft",
    "funded": "0.00",
    "available": "0.00",
    "reserved": "0.00",
    "granted": "0.00",
    "withdrawn": "0.00",
    "low_water": "5000.00",
    "caps": {
        "per_player": "10000.00",
        "per_player_day": "1000.00",
        "per_campaign_day": None,
        "per_campaign": None,
    },
    "claim": {"expires_s": 2_592_000, "review_deadline_s": 259_200, "at_deadline": "reject"},
    "risk": {
        "velocity": {"count": 5, "window_s": 86_400},
        "amount": "2500.00",
        "new_account_s": None,
        "collusion_winners": 2,
        "kyc_above": "1000.00",
    },
    "settings_version": 1,
    "unfunded_rounds": 0,
    "created_at": AT,
}
_CAMPAIGN: Final[dict[str, Any]] = {
    **_NEW_CAMPAIGN,
    "state": "active",
    "funded": "50000.00",
    "available": "37915.00",
    "reserved": "85.00",
    "granted": "12000.00",
}

CAMPAIGN_CREATED: Final = answer(_NEW_CAMPAIGN, status=201, description="The campaign, a draft")
CAMPAIGN: Final = answer(_CAMPAIGN, description="The campaign with its amounts and settings")
CAMPAIGNS: Final = page(_CAMPAIGN, "One page of campaigns")
CAMPAIGN_FUNDED: Final = answer(_CAMPAIGN, status=201, description="The campaign with the money in its pool")
CAMPAIGN_WITHDRAWN: Final = answer(
    {**_CAMPAIGN, "available": "36715.00", "withdrawn": "1200.00"},
    status=201,
    description="The campaign without the money that was taken out",
)
CAMPAIGN_SETTINGS: Final = answer(
    {**_CAMPAIGN, "settings_version": 2}, description="The campaign with its new settings"
)
CAMPAIGN_ACTIVE: Final = answer(_CAMPAIGN, description="The campaign, which books settled rounds")
CAMPAIGN_PAUSED: Final = answer(
    {**_CAMPAIGN, "state": "paused"}, description="The campaign, which lets settled rounds wait"
)
CAMPAIGN_ENDED: Final = answer(
    {**_CAMPAIGN, "state": "ended"}, description="The campaign, which books no round any more"
)
BALANCE_SHEET: Final = answer(
    {
        "campaign": CAMPAIGN_ID,
        "asset": "USDC",
        "funded": "50000.00",
        "available": "37915.00",
        "withdrawn": "0.00",
        "reserved": "85.00",
        "claimable": "500.00",
        "platform_fees": "1000.00",
        "organizer_fees": "500.00",
        "wallets": "9500.00",
        "payout_pending": "100.00",
        "paid": "400.00",
        "unfunded": "0.00",
    },
    description="Where the campaign's money is",
)
