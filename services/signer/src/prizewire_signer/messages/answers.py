"""Answers as signed events, with their versions, counters and audit records, in the caller's transaction.

Order of locks: the versions of the subjects (sorted), then the watermark, then the audit chain. The watermark is
locked last but one, so that counters and the outbox have the same order and the one hot row is locked briefly.
"""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from prizewire_chassis.audit import Audit
from prizewire_chassis.outbox import Outbox
from prizewire_contracts.encode import EncodedEvent
from prizewire_contracts.events.signing import (
    Closed,
    ClosedEvent,
    CloseRefused,
    CloseRefusedEvent,
    DecoratedSignature,
    ItemRefusal,
    SigningCompleted,
    SigningCompletedEvent,
    SigningRefused,
    SigningRefusedEvent,
    SlotRef,
)
from prizewire_signer.domain import events
from prizewire_signer.domain.model import Slot

_KINDS: dict[type[events.Answer], str] = {
    events.Completed: "completed",
    events.Refused: "refused",
    events.Closed: "closed",
}
"""Answers that carry a counter. A refused closing proves nothing, so it needs none."""


class SqlAnswers:
    """``ports.Answers`` over one transaction."""

    def __init__(self, tx: AsyncConnection, *, outbox: Outbox, audit: Audit) -> None:
        self._tx = tx
        self._outbox = outbox
        self._audit = audit

    async def give(self, answers: Sequence[events.Answer], *, now: datetime) -> None:
        """Write answers to the outbox, in this order, and refusals to the audit log."""
        if not answers:
            return
        version = await self._draw_versions(answers)
        counter = await self._draw_counters(answers, now)
        encoded = []
        for answer in answers:
            subject = _subject(answer)
            version[subject] += 1
            if type(answer) in _KINDS:
                counter += 1
            encoded.append(self._event(answer, subject, version[subject], counter))
        await self._outbox.add(self._tx, encoded)
        for answer in answers:
            if isinstance(answer, events.Refused):
                await self._record_refusal(answer)

    async def _draw_versions(self, answers: Sequence[events.Answer]) -> dict[str, int]:
        """The version before the first of these answers, for each subject."""
        wanted = Counter(_subject(answer) for answer in answers)
        subjects = sorted(wanted)
        rows = await self._tx.execute(
            _VERSIONS, {"subjects": subjects, "counts": [wanted[subject] for subject in subjects]}
        )
        return {row.subject: row.version - wanted[row.subject] for row in rows}

    async def _draw_counters(self, answers: Sequence[events.Answer], now: datetime) -> int:
        """The counter before the first of these answers."""
        counted = [answer for answer in answers if type(answer) in _KINDS]
        if not counted:
            return 0
        drawn = await self._tx.execute(_WATERMARK, {"count": len(counted)})
        first: int = drawn.scalar_one() - len(counted)
        await self._tx.execute(
            _ANSWERS,
            {
                "first": first,
                "kinds": [_KINDS[type(answer)] for answer in counted],
                "subjects": [_subject(answer) for answer in counted],
                "causes": [answer.cause for answer in counted],
                "now": now,
            },
        )
        return first

    def _event(self, answer: events.Answer, subject: str, version: int, counter: int) -> EncodedEvent:
        model, data = _contract(answer, counter)
        return self._outbox.event(
            model,
            data,
            subject=subject,
            version=version,
            correlation_id=_correlation(answer),
            causation_id=answer.cause,
        )

    async def _record_refusal(self, answer: events.Refused) -> None:
        await self._audit.record(
            self._tx,
            actor="signer",
            action="signing.refused",
            target=str(answer.slot.slot_id),
            reason=answer.code.value,
            detail={
                "request_id": str(answer.request_id),
                "revision": answer.revision,
                "tx_hash": answer.tx_hash,
                "items": [
                    {"payout_id": str(payout_id), "code": code.value} for payout_id, code in answer.items
                ],
            },
            correlation_id=_correlation(answer),
        )


def _contract(
    answer: events.Answer, counter: int
) -> (
    tuple[type[SigningCompletedEvent], SigningCompleted]
    | tuple[type[SigningRefusedEvent], SigningRefused]
    | tuple[type[ClosedEvent], Closed]
    | tuple[type[CloseRefusedEvent], CloseRefused]
):
    match answer:
        case events.Completed():
            return SigningCompletedEvent, SigningCompleted(
                request_id=answer.request_id,
                slot=_slot(answer.slot),
                revision=answer.revision,
                tx_hash=answer.tx_hash,
                signatures=[
                    DecoratedSignature(public_key=one.public_key.hex(), signature=one.signature.hex())
                    for one in answer.signatures
                ],
                counter=counter,
                payout_ids=list(answer.payout_ids),
                max_time=answer.max_time,
            )
        case events.Refused():
            return SigningRefusedEvent, SigningRefused(
                request_id=answer.request_id,
                slot=_slot(answer.slot),
                revision=answer.revision,
                tx_hash=answer.tx_hash,
                code=answer.code,
                items=[
                    ItemRefusal(
                        payout_id=payout_id, code=code, not_before=_seconds(answer.free_at.get(payout_id))
                    )
                    for payout_id, code in answer.items
                ],
                counter=counter,
            )
        case events.Closed():
            return ClosedEvent, Closed(payout_id=answer.payout_id, counter=counter)
        case events.CloseRefused():
            return CloseRefusedEvent, CloseRefused(
                payout_id=answer.payout_id,
                slot=_slot(answer.slot),
                code=answer.code,
                not_before=_seconds(answer.free_at),
            )


def _seconds(moment: datetime | None) -> int | None:
    """Unix seconds, rounded up."""
    return None if moment is None else math.ceil(moment.timestamp())


def _slot(slot: Slot) -> SlotRef:
    chain: Literal["stellar", "ton"] = "stellar" if slot.chain == "stellar" else "ton"
    return SlotRef(slot_id=slot.slot_id, chain=chain, account=slot.account, sequence=str(slot.sequence))


def _subject(answer: events.Answer) -> str:
    if isinstance(answer, events.Completed | events.Refused):
        return str(answer.slot.slot_id)
    return str(answer.payout_id)


def _correlation(answer: events.Answer) -> str:
    if isinstance(answer, events.Completed | events.Refused):
        return str(answer.slot.slot_id)
    return answer.correlation_id


_VERSIONS = text(
    "INSERT INTO answer_versions (subject, version) SELECT u.subject, u.count "
    "FROM unnest(CAST(:subjects AS text[]), CAST(:counts AS int[])) AS u(subject, count) ORDER BY u.subject "
    "ON CONFLICT (subject) DO UPDATE SET version = answer_versions.version + excluded.version "
    "RETURNING subject, version"
)
_WATERMARK = text("UPDATE watermark SET counter = counter + :count WHERE id = 1 RETURNING counter")
_ANSWERS = text(
    "INSERT INTO answers (counter, kind, subject, cause, at) "
    "SELECT :first + u.n, u.kind, u.subject, u.cause, CAST(:now AS timestamptz) "
    "FROM unnest(CAST(:kinds AS text[]), CAST(:subjects AS text[]), CAST(:causes AS text[])) "
    "WITH ORDINALITY AS u(kind, subject, cause, n)"
)
