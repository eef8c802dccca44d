"""The HTTP status of each code of refusal."""

from typing import Final

from prizewire_chassis.http import ErrorStatuses
from prizewire_rewards.errors import RewardsError

STATUSES: Final = ErrorStatuses(
    errors=(RewardsError,),
    by_code={
        # 400: the value cannot be read.
        "amount_malformed": 400,
        "amount_negative": 400,
        "amount_not_a_string": 400,
        "idempotency_key_differs": 422,
        # 403: this person may not do it.
        "decider_is_party": 403,
        "own_assignment": 403,
        "own_claim": 403,
        "own_disownment": 403,
        "own_facts": 403,
        "own_fee_withdrawal": 403,
        "own_receivable": 403,
        "own_reward": 403,
        # 404: what the path names does not exist.
        "assignment_unknown": 404,
        "batch_unknown": 404,
        "campaign_unknown": 404,
        "claim_unknown": 404,
        "disownment_unknown": 404,
        "fee_withdrawal_unknown": 404,
        "funding_unknown": 404,
        "payout_unknown": 404,
        "player_unknown": 404,
        "receivable_unknown": 404,
        "reward_unknown": 404,
        "transfer_unknown": 404,
        "withdrawal_unknown": 404,
        # 409: the request contradicts the present state.
        "assignment_exists": 409,
        "assignment_final": 409,
        "campaign_ended": 409,
        "campaign_has_unfunded": 409,
        "claim_expired": 409,
        "claim_final": 409,
        "claim_not_held": 409,
        "disownment_exists": 409,
        "disownment_final": 409,
        "fee_withdrawal_final": 409,
        "funding_exists": 409,
        "illegal_transition": 409,
        "insufficient_fees": 409,
        "payout_final": 409,
        "receivable_closed": 409,
        "reference_used": 409,
        "reward_not_held": 409,
        "round_busy": 409,
        # 422: the request is well formed, but a rule forbids it.
        "address_invalid": 422,
        "amount_above_maximum": 422,
        "amount_below_minimum": 422,
        "amount_not_positive": 422,
        "amount_overflow": 422,
        "amount_too_large": 422,
        "amount_too_many_decimals": 422,
        "batch_refused": 422,
        "asset_not_redeemable": 422,
        "asset_unknown": 422,
        "assignment_chain": 422,
        "daily_limit_exceeded": 422,
        "entry_not_offered": 422,
        "exchange_not_allowed": 422,
        "funding_not_configured": 422,
        "insufficient_balance": 422,
        "memo_not_possible": 422,
        "memo_too_long": 422,
        "method_type_unserved": 422,
        "method_unknown": 422,
        "no_payout_method": 422,
        "payee_is_player": 422,
        "pool_insufficient": 422,
        "quote_expired": 422,
        "quote_invalid": 422,
        "quote_mismatch": 422,
        "quote_required": 422,
        "quote_used": 409,
        "round_unknown": 422,
        "settings_invalid": 422,
        "until_past": 422,
        # 503: an operator must act first.
        "sealing_key_missing": 503,
    },
    default=422,
)
"""A route declares another status where the status depends on the place of a name: 422 for a body, 404 for a path, 400 for a
filter.
"""

AMOUNT_CODES: Final = (
    "amount_malformed",
    "amount_negative",
    "amount_too_many_decimals",
    "amount_overflow",
)
"""The codes that ``Amounts.minor`` refuses with."""
