"""The context and the error statuses of all controllers."""

from typing import Final

from prizewire_chassis.http import ErrorStatuses, HttpContext
from prizewire_contracts.parties import PartyRole
from prizewire_payouts.errors import PayoutError
from prizewire_payouts.unit_of_work import UnitOfWork

STATUSES: Final = ErrorStatuses(
    errors=(PayoutError,),
    by_code={
        "payout_not_found": 404,
        "method_not_found": 404,
        "pause_not_found": 404,
        "review_not_found": 404,
        "evidence_not_found": 404,
        **{f"approver_is_{role.value}": 403 for role in PartyRole},
        "decider_is_party": 403,
        "same_person": 403,
        "evidence_incomplete": 422,
        "pause_value_unknown": 422,
        "method_type_unknown": 422,
        "details_malformed": 422,
        "address_invalid": 422,
        "address_not_supported": 422,
        "address_not_allowed": 422,
        "memo_too_long": 422,
        "memo_not_possible": 422,
        "account_invalid": 422,
    },
    default=409,
)
"""Every other refusal says that the state of a payout, method or review does not allow the request."""

Context = HttpContext[UnitOfWork, UnitOfWork]
"""Controllers read and change through the same unit of work, over which each feature has its storage."""
