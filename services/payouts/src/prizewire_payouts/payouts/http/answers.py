"""Payouts and their attempts as answers of routes."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.parties import PartyRole
from prizewire_payouts.methods.ports import ShownDetails
from prizewire_payouts.payouts.domain.change import INTENT_EXPIRED
from prizewire_payouts.payouts.domain.model import Attempt, Payout
from prizewire_payouts.payouts.domain.retries import Retry
from prizewire_payouts.payouts.domain.states import PayoutState
from prizewire_payouts.payouts.http.models import (
    AttemptAnswer,
    DecisionAnswer,
    EvidenceNoteAnswer,
    GateAnswer,
    KnownPayoutAnswer,
    PartyAnswer,
    PauseNoteAnswer,
    PayoutAnswer,
    PayoutDetailAnswer,
    ProofAnswer,
    QueuedAnswer,
    RetryAnswer,
)
from prizewire_payouts.payouts.storage.queries import NO_NOTES, EvidenceNote, PauseNote, StaffNotes


def payout_answer(payout: Payout, *, notes: StaffNotes) -> PayoutAnswer:
    """A payout as its player and its payee see it."""
    return PayoutAnswer(**_members(payout, notes, for_staff=False))


def known_payout_answer(payout: Payout, *, stored_at: datetime | None = None) -> KnownPayoutAnswer:
    """The player, payee, amount and state of a payout."""
    return KnownPayoutAnswer(
        payout_id=payout.payout_id,
        player=payout.player,
        payee=payout.payee,
        asset=payout.amount.asset.code,
        pay_amount=payout.amount.to_wire(),
        state=payout.state,
        requested_at=payout.requested_at,
        stored_at=stored_at,
    )


def retry_answer(retry: Retry) -> RetryAnswer:
    """A request to retry a payout."""
    return RetryAnswer(**asdict(retry))


def queued_answer(
    payout: Payout, *, notes: StaffNotes, shown: ShownDetails | None, now: datetime
) -> QueuedAnswer:
    """A payout as the queue shows it to staff, with its masked destination."""
    return QueuedAnswer(
        **_members(payout, notes, for_staff=True),
        **_staff_members(payout, notes),
        destination=None if shown is None else shown.destination,
        destination_memo=None if shown is None else shown.memo,
        age_s=max(0, int((now - payout.requested_at).total_seconds())),
    )


def detail_answer(
    payout: Payout,
    *,
    attempts: Sequence[Attempt],
    retries: Sequence[Retry],
    notes: StaffNotes,
    evidence: Sequence[EvidenceNote],
    shown: ShownDetails | None,
    for_staff: bool,
) -> PayoutDetailAnswer:
    """A payout with its attempts and its masked destination; with its parties, approvers, retries, pause, gates and evidence for staff
    alone. The reason of a refused payment is the confirmed evidence.
    """
    members = _members(payout, notes, for_staff=for_staff)
    if for_staff and members["reason"] is None:
        members["reason"] = _found(payout, evidence)
    return PayoutDetailAnswer(
        **members,
        **(_staff_members(payout, notes) if for_staff else dict.fromkeys(_STAFF_MEMBERS)),
        destination=None if shown is None else shown.destination,
        destination_memo=None if shown is None else shown.memo,
        attempt_list=[
            AttemptAnswer(
                attempt_no=attempt.attempt_no,
                rail=attempt.rail,
                state=attempt.state,
                provider_key=attempt.provider_key,
                provider_ref=attempt.provider_ref,
                code=attempt.code,
                opened_at=attempt.opened_at,
                changed_at=attempt.changed_at,
                latency_ms=attempt.latency_ms,
            )
            for attempt in attempts
        ],
        retries=[retry_answer(retry) for retry in retries] if for_staff else None,
        evidence=[EvidenceNoteAnswer(**asdict(one)) for one in evidence] if for_staff else None,
    )


def decision_answer(
    payout: Payout, *, approvers: Sequence[str], notes: StaffNotes = NO_NOTES
) -> DecisionAnswer:
    """A payout with those who may not decide on it, and those who did."""
    members = _staff_members(payout, replace(notes, approvers=tuple(approvers)))
    return DecisionAnswer(**_members(payout, notes, for_staff=True), **members)


_STAFF_MEMBERS: Final = ("parties", "one_person", "approvers", "pause", "gates")


def _staff_members(payout: Payout, notes: StaffNotes) -> dict[str, Any]:
    """The members that only staff see."""
    return {
        "parties": _parties(payout),
        "one_person": list(payout.one_person),
        "approvers": list(notes.approvers),
        "pause": _pause_note(notes.pause),
        "gates": [GateAnswer(code=gate.code, reason=gate.reason) for gate in notes.gates],
    }


IN_REVIEW: Final = "in_review"
"""What a player sees in place of the reason of a hold."""
IN_REVIEW_SENTENCE: Final = "This payout is checked before it is paid. You need not do anything."
_SHOWN_TO_PLAYERS: Final = frozenset({INTENT_EXPIRED, "method_registered_by_staff"})
"""Reasons of holds that show a player no limit and no rule."""


REFUSED_SENTENCE: Final = (
    "The bank or the payment provider refused the payment: nothing was paid. Check the payout method."
)
"""What a player sees of a refusal: neither the bank's words nor what persons wrote about them."""


def _found(payout: Payout, evidence: Sequence[EvidenceNote]) -> str | None:
    """What persons found of a payment that was refused: the bank's reference and code, and who filed and confirmed it."""
    if payout.code != PayoutCode.PROVIDER_REJECTED:
        return None
    for one in reversed(evidence):
        if (one.attempt_no, one.state, one.finding) == (payout.attempts, "confirmed", "no_effect"):
            return f"{one.reference}: {one.note}; filed by {one.filed_by}, confirmed by {one.decided_by}"
    return None


def _why(payout: Payout, *, for_staff: bool) -> tuple[str | None, str | None]:
    """The code and the reason of a payout's state. A player sees neither the gates that hold it nor any limit."""
    if not for_staff and payout.state is PayoutState.APPROVED and payout.code == PayoutCode.SCREENING_PENDING:
        return IN_REVIEW, IN_REVIEW_SENTENCE
    if not for_staff and payout.code == PayoutCode.PROVIDER_REJECTED and payout.reason is None:
        return payout.code, REFUSED_SENTENCE
    if for_staff or payout.state is not PayoutState.HELD or payout.code in _SHOWN_TO_PLAYERS:
        return payout.code, payout.reason
    return IN_REVIEW, IN_REVIEW_SENTENCE


def _parties(payout: Payout) -> list[PartyAnswer]:
    return [PartyAnswer(role=PartyRole(role), subject=subject) for role, subject in payout.parties]


def _pause_note(pause: PauseNote | None) -> PauseNoteAnswer | None:
    if pause is None:
        return None
    return PauseNoteAnswer(
        scope=pause.scope,
        value=pause.value,
        reason=pause.reason,
        paused_by=pause.paused_by,
        paused_at=pause.paused_at,
    )


def _members(payout: Payout, notes: StaffNotes, *, for_staff: bool) -> dict[str, Any]:
    """The members of ``PayoutAnswer``, which the longer answers share."""
    proof, debit = payout.proof or {}, payout.debit
    code, reason = _why(payout, for_staff=for_staff)
    return {
        "payout_id": payout.payout_id,
        "correlation_id": payout.correlation_id,
        "player": payout.player,
        "payee": payout.payee,
        "campaign": payout.campaign,
        "competition": payout.competition,
        "source": payout.source,
        "state": payout.state,
        "code": code,
        "reason": reason,
        "asset": payout.amount.asset.code,
        "pay_amount": payout.amount.to_wire(),
        "debit_amount": None if debit is None else debit.to_wire(),
        "debit_asset": payout.amount.asset.code if debit is None else debit.asset.code,
        "player_fee": None if payout.player_fee is None else payout.player_fee.to_wire(),
        "quote_id": None if payout.quote is None else payout.quote.document["quote_id"],
        "quote_expires_at": None if payout.quote is None else payout.quote.expires_at,
        "method_id": payout.method_id,
        "method_type": payout.method_type,
        "rail": payout.rail,
        "filed_by": payout.filed_by,
        "retry_of": payout.retry_of,
        "retried_by": payout.retried_by,
        "batch_id": None if payout.batch is None else payout.batch.batch_id,
        "batch_line": None if payout.batch is None else payout.batch.line,
        "attempts": payout.attempts,
        "attempts_waived": payout.attempts_waived,
        "next_attempt_at": _next_attempt(payout),
        "approvers_needed": payout.approvers_needed if for_staff else None,
        "paused": notes.pause is not None,
        "cancel_asked_by": payout.cancel_asked_by,
        "provider_ref": payout.provider_ref,
        "tx_hash": proof.get("tx_hash"),
        "ledger": proof.get("ledger"),
        "proof": ProofAnswer(
            tx_hash=proof.get("tx_hash"),
            ledger=proof.get("ledger"),
            op=proof.get("op"),
            reference=proof.get("reference"),
        )
        if proof
        else None,
        "rail_fee": None if payout.fee is None else payout.fee.to_wire(),
        "rail_fee_borne_by": payout.fee_borne_by,
        "rail_fee_asset": None if payout.fee is None else payout.fee.asset.code,
        "requested_at": payout.requested_at,
        "changed_at": payout.changed_at,
        "paid_at": payout.paid_at,
    }


def _next_attempt(payout: Payout) -> datetime | None:
    """When an approved payout is tried again; what it waits for is its code."""
    waits = payout.state is PayoutState.APPROVED and payout.attempts > 0
    return payout.due_at if waits else None
