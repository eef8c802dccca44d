"""Retries of ended payouts: an operator requests one, and rewards files a new payout or refuses."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from prizewire_payouts.errors import CodedError
from prizewire_payouts.payouts.domain.model import Payout
from prizewire_payouts.payouts.domain.states import FINAL


class RetryRefused(CodedError):
    """This payout cannot be retried, or not now, or not to this method."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """One request to retry a payout. It is open until rewards answers: with the payout that retries it, or with the code and
    the detail of a refusal.
    """

    payout_id: UUID
    retry_no: int
    asked_by: str
    reason: str
    method_id: UUID | None
    asked_at: datetime
    retried_by: UUID | None = None
    code: str | None = None
    detail: str | None = None
    answered_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether rewards has not answered."""
        return self.answered_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryAnswer:
    """Rewards' answer to the open request: the payout that it filed, or the code and the detail of its refusal. ``retry_no`` is
    None where the new payout answers.
    """

    at: datetime
    retry_no: int | None = None
    retried_by: UUID | None = None
    code: str | None = None
    detail: str | None = None


RETRYABLE: Final = FINAL
"""The states of a payout whose money went back to its wallet or funding account."""


DETAILS_UNUSABLE: Final = frozenset({"details_unreadable", "details_invalid"})
"""The codes of payouts whose request named a destination that could not be read or was refused."""


def next_retry(
    *, payout: Payout, earlier: Sequence[Retry], by: str, reason: str, method_id: UUID | None, now: datetime
) -> Retry:
    """The next request to retry this payout. ``earlier`` are its requests so far, in their order.

    Raises:
        RetryRefused: ``not_retryable``, ``already_retried``, ``retry_open``, ``details_not_kept`` or
            ``method_not_possible``.
    """
    if payout.state not in RETRYABLE:
        raise RetryRefused(
            "not_retryable",
            f"the payout is {payout.state}: a payout is retried once it is failed, rejected, cancelled or returned",
        )
    if payout.retried_by is not None:
        raise RetryRefused(
            "already_retried", f"payout {payout.retried_by} retries this payout: look at that one"
        )
    if earlier and earlier[-1].open:
        raise RetryRefused(
            "retry_open",
            f"{earlier[-1].asked_by} has requested a retry, and rewards has not answered yet: ask again in a few seconds",
        )
    if method_id is None and payout.code in DETAILS_UNUSABLE:
        raise RetryRefused(
            "details_not_kept",
            "the details in the request of this payout could not be used, and are not kept: name another method, or request a new payout",
        )
    if payout.player is None and method_id is not None:
        raise RetryRefused(
            "method_not_possible",
            "a payout out of a funding account goes to its own destination again: leave method_id out",
        )
    return Retry(
        payout_id=payout.payout_id,
        retry_no=len(earlier) + 1,
        asked_by=by,
        reason=reason,
        method_id=method_id,
        asked_at=now,
    )
