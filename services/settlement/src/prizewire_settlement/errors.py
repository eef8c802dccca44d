"""What can be refused, and why.

SettlementError
├── RuleInvalid        a competition's rule that makes no sense; `code` is stable, `field` says where
├── RoundMissing       a round that a person names and nobody has heard of
├── DecisionRefused    an admin's decision that does not fit the round as it is; `code` is stable
└── ReportRefused      a game server's report that was not applied; `reason` is stable, `park` makes later
                       reports of the match wait behind it

Neither is worth a retry as it stands: the same input under the same state fails the same way.
"""

from enum import StrEnum
from typing import ClassVar


class Reason(StrEnum):
    """Why a report was refused. The words are those of the contracts' refusal codes (a test holds them equal)."""

    COMPETITION_UNKNOWN = "competition_unknown"
    SOURCE_NOT_ALLOWED = "source_not_allowed"
    SIGNATURE_MISSING = "signature_missing"
    SIGNATURE_INVALID = "signature_invalid"
    KEY_NOT_TRUSTED = "key_not_trusted"
    SCHEMA_INVALID = "schema_invalid"
    CORRELATION_MISMATCH = "correlation_mismatch"
    EVENT_MISMATCH = "event_mismatch"
    RESULT_CONFLICT = "result_conflict"
    DUPLICATE_PLAYER = "duplicate_player"
    SCORE_MISSING = "score_missing"
    TIE_REFUSED = "tie_refused"
    INVALID_AMOUNT = "invalid_amount"
    ILLEGAL_TRANSITION = "illegal_transition"
    RESULT_MISSING = "result_missing"
    DISPUTE_WINDOW_PASSED = "dispute_window_passed"
    ENTRY_NOT_OFFERED = "entry_not_offered"


class SettlementError(Exception):
    """The root of this tree."""

    retryable: ClassVar[bool] = False


class RuleInvalid(SettlementError):
    """A rule that cannot be followed. ``field`` is the place in the rule, such as ``template.table``."""

    def __init__(self, code: str, *, field: str, detail: str) -> None:
        super().__init__(f"{code} at {field}: {detail}")
        self.code = code
        self.field = field
        self.detail = detail


class RoundMissing(SettlementError):
    """There is no round of this id."""


class DecisionRefused(SettlementError):
    """An admin's decision about a round that is not carried out; nothing was changed."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class ReportRefused(SettlementError):
    """A report that was not applied and left no trace in the state."""

    def __init__(self, reason: Reason, detail: str, *, park: bool = False) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.park = park


class CompetitionExists(Exception):
    """The id is taken."""


class CompetitionMissing(Exception):
    """There is no competition of this id."""


class TokenMissing(Exception):
    """There is no token of this id."""


class TokenEnded(Exception):
    """The token has expired or was revoked: it is not rotated any more."""
