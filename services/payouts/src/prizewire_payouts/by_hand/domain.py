"""Who may claim a payment that a person makes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from prizewire_money import Amount
from prizewire_payouts.errors import CodedError
from prizewire_payouts.payouts.domain.model import Attempt, Payout
from prizewire_payouts.payouts.domain.states import ATTEMPT_OPEN, PayoutState

ROW_NOT_AUTHENTIC: Final = "row_not_authentic"
_ALTERED: Final = "a row of this payment was changed in the database: do not pay it, and file what is known of it as evidence"


class ByHandRefused(CodedError):
    """A request about lines, batches or files is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """What a claimed line asks a person to pay, for one attempt of a payout."""

    payout_id: UUID
    attempt_no: int
    amount: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A payout with its latest attempt. ``altered`` says that somebody changed a row of its payment in the database."""

    payout: Payout
    attempt: Attempt | None
    altered: bool = False

    def waits(self, rail: str) -> bool:
        """Whether the payout waits for a payment on this rail."""
        attempt = self.attempt
        return (
            self.payout.state is PayoutState.PENDING
            and self.payout.rail == rail
            and attempt is not None
            and attempt.authentic
            and attempt.rail == rail
            and attempt.state in ATTEMPT_OPEN
        )

    def waits_for(self, payment: Payment, *, rail: str) -> bool:
        """Whether the payout waits for this payment on this rail."""
        return (
            self.waits(rail)
            and self.attempt is not None
            and (payment.attempt_no, payment.amount) == (self.attempt.attempt_no, self.payout.amount)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The payouts of a request to claim: those that this person may claim, and why not the others, by code and sentence."""

    allowed: tuple[UUID, ...]
    refused: dict[UUID, tuple[str, str]]


_WITHOUT_LINE: Final = {
    PayoutState.REQUESTED: "it is not decided yet",
    PayoutState.HELD: "it is held: approve it first",
    PayoutState.APPROVED: "it is approved, and gets a line once nothing keeps it: see `code` and `paused` of the payout",
}
"""States in which a payout has no open line, and what comes before it has one."""


def _no_line(payout: Payout | None, rail: str) -> str:
    if payout is None:
        return "there is no such payout"
    if payout.rail != rail:
        return f"the payout has no line on the rail {rail}: its rail is {payout.rail or 'none'}"
    return f"the payout has no open line on the rail {rail}: {_WITHOUT_LINE[payout.state]}"


def allowed_claims(
    *, payout_ids: Sequence[UUID], standings: Sequence[Standing], rail: str, by: str
) -> Claims:
    """Which of these payouts a person may claim: those of which the person is no party, and that wait for a payment on this rail."""
    known = {one.payout.payout_id: one for one in standings}
    refused: dict[UUID, tuple[str, str]] = {}
    for payout_id in payout_ids:
        standing = known.get(payout_id)
        payout = None if standing is None else standing.payout
        if standing is None or standing.payout.rail != rail or standing.payout.state in _WITHOUT_LINE:
            refused[payout_id] = ("line_unknown", _no_line(payout, rail))
        elif by in {subject for _, subject in standing.payout.parties}:
            refused[payout_id] = (
                "decider_is_party",
                f"{by} is a party of the payout: another person must pay it",
            )
        elif standing.altered:
            refused[payout_id] = (ROW_NOT_AUTHENTIC, _ALTERED)
        elif not standing.waits(rail):
            state = standing.payout.state
            refused[payout_id] = (
                "line_not_open",
                f"the payout is {state}, and waits for no payment on the rail {rail}: do not pay it",
            )
    wanted = dict.fromkeys(payout_ids)
    return Claims(allowed=tuple(one for one in wanted if one not in refused), refused=refused)


def check_payments(*, payments: Sequence[Payment], standings: Sequence[Standing], rail: str) -> None:
    """Whether a file may ask for these payments: the payout of each waits for it.

    Raises:
        ByHandRefused: ``export_not_possible``, with the payouts.
    """
    known = {one.payout.payout_id: one for one in standings}
    wrong = [
        str(one.payout_id)
        for one in payments
        if one.payout_id not in known
        or known[one.payout_id].altered
        or not known[one.payout_id].waits_for(one, rail=rail)
    ]
    if wrong:
        raise ByHandRefused(
            "export_not_possible",
            f"these payouts wait for no such payment: {', '.join(wrong)}. Do not pay them; `prizewire verify` says more",
        )
