"""A verification of a payout method: what it asks for, how long it is open, and how many answers it takes."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from prizewire_payouts.errors import CodedError

VALID_FOR: Final = timedelta(minutes=15)
"""How long a code or a challenge is accepted."""
WRONG_ANSWERS_MAX: Final = 5
"""Wrong answers after which a verification has failed, and another one must be begun."""
BEGUN_PER_DAY_MAX: Final = 5
"""Verifications of one destination that are begun within 24 hours, by all players. A code has eight digits, so that 25 answers in a
day find one of them in four million days.
"""
DAY: Final = timedelta(days=1)
CODE_DIGITS: Final = 8


class VerificationError(CodedError):
    """A verification cannot be begun or ended. ``code`` says why; the text never holds a detail or a code."""


class Kind(StrEnum):
    """What proves the owner."""

    CODE = "code"
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """A verification of one method. ``challenge`` is the text to sign; ``code_mac`` binds the code that was sent to this
    verification, without showing it.
    """

    verification_id: UUID
    method_id: UUID
    kind: Kind
    challenge: str | None
    code_mac: bytes | None = field(repr=False)
    begun_at: datetime
    expires_at: datetime
    wrong_answers: int = 0


def challenge_of(*, verification_id: UUID, method_id: UUID, player: str) -> str:
    """The text that an owner signs. It says what the signature is for, and is never the same twice."""
    return f"I am {player}, and this account is my payout method {method_id}. Prizewire verification {verification_id}."


def check_open(*, verification: Verification | None, now: datetime) -> Verification:
    """The verification, while it takes answers.

    Raises:
        VerificationError: ``verification_not_begun``, ``verification_expired`` or ``verification_failed``.
    """
    if verification is None:
        raise VerificationError(
            "verification_not_begun", "no verification of this method was begun: begin one"
        )
    if verification.wrong_answers >= WRONG_ANSWERS_MAX:
        raise VerificationError(
            "verification_failed", f"{WRONG_ANSWERS_MAX} answers were wrong: begin another verification"
        )
    if now >= verification.expires_at:
        minutes = int(VALID_FOR.total_seconds() // 60)
        raise VerificationError(
            "verification_expired", f"the verification was open for {minutes} minutes: begin another one"
        )
    return verification
