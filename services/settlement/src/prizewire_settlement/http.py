"""What the routes of all features share: the roles that may call them, and the status of each refusal."""

from typing import Annotated, Final

from litestar.params import QueryParameter

from prizewire_chassis.auth import Role, require
from prizewire_chassis.http import ErrorStatuses, Problem
from prizewire_contracts.text import PRINTABLE
from prizewire_settlement.errors import (
    CompetitionExists,
    CompetitionMissing,
    DecisionRefused,
    RuleInvalid,
    SettlementError,
)

RESULT_CODES: Final = ("duplicate_player", "invalid_amount", "score_missing", "tie_refused")
"""A result that the rule cannot rank or pay (422)."""
ADMISSION_CODES: Final = ("source_not_allowed", "signature_missing", "signature_invalid", "key_not_trusted")
"""A report that its sender may not make (403)."""
UNREADABLE_CODES: Final = (
    "not_cloudevent",
    "unknown_type",
    "unsupported_version",
    "float_refused",
    "schema_invalid",
)
"""A report that cannot be read (400)."""
_REPORT_STATUSES: Final = {
    "message_too_large": 413,
    **dict.fromkeys(ADMISSION_CODES, 403),
    "id_conflict": 409,
    "correlation_mismatch": 409,
    "event_mismatch": 409,
    "result_conflict": 409,
    "result_missing": 409,
    "illegal_transition": 409,
    "dispute_window_passed": 409,
    "part_unproved": 409,
    "subject_parked": 409,
    "competition_unknown": 422,
    "entry_not_offered": 422,
    **dict.fromkeys(RESULT_CODES, 422),
}
STATUSES: Final = ErrorStatuses(
    errors=(SettlementError,),
    by_code={
        **{code: status for code, status in _REPORT_STATUSES.items() if code != "competition_unknown"},
        "id_mismatch": 422,
        "round_unknown": 404,
        "token_ended": 409,
        "token_unknown": 404,
        "validity_too_long": 422,
    },
    # competition_unknown is 404 for a competition in the path, and 422 for one that a report names
    by_type={RuleInvalid: 422, CompetitionExists: 409, CompetitionMissing: 404, DecisionRefused: 409},
    default=400,
)
Filter = Annotated[str | None, QueryParameter(max_length=256, pattern=PRINTABLE)]
"""A filter of a listing by some text."""
admins = require(Role.ADMIN)
readers = require(Role.ORGANIZER, Role.OPERATOR, Role.APPROVER, Role.ADMIN)


def report_problem(code: str, detail: str) -> Problem:
    """The problem that answers a report which was not applied. A code without a status is that of an unreadable report."""
    return Problem(status=_REPORT_STATUSES.get(code, 400), code=code, detail=detail)


def id_mismatch(given: str, *, wanted: str, field: str = "id") -> Problem:
    """A body about another competition than the path's."""
    detail = f"the body names the competition {given}, the path {wanted}: leave {field} out, or name the same"
    return STATUSES.refuse("id_mismatch", detail, field=field)
