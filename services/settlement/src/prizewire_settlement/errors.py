"""The reasons for which settlement refuses a request or a report.

SettlementError
├── RuleInvalid         the rule of a competition cannot be followed; `field` says where
├── CompetitionExists   the id of a new competition is taken
├── CompetitionMissing  there is no such competition, or no such version of its rule
├── RoundMissing        there is no such round
├── DecisionRefused     an admin's decision does not fit the present state of the round
├── ReportRefused       a game server's report was not applied; `park` makes later reports of the match wait behind it
├── TokenMissing        there is no such source token
└── TokenEnded          the source token has expired or is revoked

Each has a stable `code` and a sentence for people. A retry does not help: the same input in the same state fails again.
"""

from enum import StrEnum
from typing import ClassVar
from uuid import UUID


class Reason(StrEnum):
    """Why a report was refused. They equal the refusal codes of the contracts (a test compares them)."""

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
    PART_UNPROVED = "part_unproved"


class SettlementError(Exception):
    """The root of this tree. ``detail`` is the sentence for people."""

    retryable: ClassVar[bool] = False

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class RuleInvalid(SettlementError):
    """A rule that cannot be followed. ``field`` is the place in the rule, such as ``template.table``."""

    def __init__(self, code: str, *, field: str, detail: str) -> None:
        super().__init__(code, f"{field}: {detail}")
        self.field = field

    @property
    def members(self) -> dict[str, str]:
        """Members of the problem that answers the request."""
        return {"field": self.field}


class CompetitionExists(SettlementError):
    """The id is taken."""

    def __init__(self, competition_id: str) -> None:
        super().__init__(
            "competition_exists", f"there is a competition {competition_id} already; PUT changes its rule"
        )


class CompetitionMissing(SettlementError):
    """There is no competition of this id, or no such version of its rule."""

    def __init__(self, competition_id: str) -> None:
        detail = f"there is no competition {competition_id}, or no such version of its rule"
        super().__init__("competition_unknown", detail)


class RoundMissing(SettlementError):
    """There is no round of this id."""

    def __init__(self, round_id: UUID, *, settled: bool = False) -> None:
        """``settled``: the round has to be a settled one."""
        super().__init__("round_unknown", f"there is no {'settled ' if settled else ''}round {round_id}")


class DecisionRefused(SettlementError):
    """An admin's decision about a round that is not carried out; nothing was changed."""


class ReportRefused(SettlementError):
    """A report that was not applied and left nothing in the state."""

    def __init__(self, reason: Reason, detail: str, *, park: bool = False) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.park = park


class TokenMissing(SettlementError):
    """There is no token of this id."""

    def __init__(self, token_id: UUID) -> None:
        super().__init__("token_unknown", f"there is no token {token_id}")


class TokenEnded(SettlementError):
    """The token has expired or was revoked: it is not rotated any more."""

    def __init__(self, token_id: UUID) -> None:
        super().__init__("token_ended", f"the token {token_id} has ended; make a new one")
