"""Which payouts a screening service is asked about, and what its answers change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from prizewire_contracts.codes import PayoutCode
from prizewire_contracts.ids import derive
from prizewire_contracts.screening import ScreeningAnswer, ScreeningQuestion, ScreeningVerdict
from prizewire_payouts.methods.domain import Method, MethodUnreadable
from prizewire_payouts.methods.ports import Methods
from prizewire_payouts.payouts.domain.states import PayoutState
from prizewire_payouts.payouts.domain.waiting import announce_wait
from prizewire_payouts.payouts.ports import Payouts
from prizewire_payouts.screening.domain import ASK_AGAIN, REASON_MAX, Screening, Verdict
from prizewire_payouts.screening.ports import Opener, Screenings, Unscreened

CAUSE = "screening"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A payout with the question about it. ``question`` is None where its details cannot be opened, so that nobody is asked."""

    payout: Unscreened
    question: ScreeningQuestion | None


async def questions(
    screenings: Screenings,
    methods: Methods,
    *,
    opened: Opener,
    valid_for: timedelta,
    now: datetime,
    limit: int,
) -> list[Asked]:
    """The questions about up to ``limit`` payouts that have no recent answer."""
    due = await screenings.due(answered_before=now - valid_for, asked_before=now - ASK_AGAIN, limit=limit)
    found = await methods.find({one.method_id for one in due if one.method_id is not None})
    return [Asked(payout=one, question=_question(one, found, opened)) for one in due]


def _question(payout: Unscreened, methods: Mapping[UUID, Method], opened: Opener) -> ScreeningQuestion | None:
    details: Mapping[str, Any]
    if payout.method_id is None:
        details = {"address": payout.address, **({} if payout.memo is None else {"memo": payout.memo})}
    elif (method := methods.get(payout.method_id)) is None:
        return None
    else:
        try:
            details = opened(method)
        except MethodUnreadable:
            return None
    return ScreeningQuestion(
        question_id=derive("screening", str(payout.payout_id), payout.asked + 1),
        payout_id=payout.payout_id,
        method_type=payout.method_type,
        details=details,
        payee=payout.person,
        amount=payout.amount,
    )


def as_stored(*, payout_id: UUID, answer: ScreeningAnswer, now: datetime) -> Screening:
    """An answer as it is stored. One that says something without naming a reference counts as unanswered."""
    known = answer.reference is not None and _is_reference(answer.reference)
    verdict = Verdict(answer.verdict) if known else Verdict.UNANSWERED
    return Screening(
        payout_id=payout_id,
        verdict=verdict,
        reference=answer.reference if known else None,
        reason=None if answer.reason is None else answer.reason[:REASON_MAX].replace("\0", ""),
        at=now,
    )


NO_ANSWER = ScreeningAnswer(verdict=ScreeningVerdict.UNANSWERED)


async def record(
    payouts: Payouts, screenings: Screenings, answers: Sequence[tuple[Asked, Screening]], *, now: datetime
) -> None:
    """Store answers. A payout that waits for its answer is due at once; where the service did not answer for the first time,
    ``payout.held`` says that it waits.
    """
    changes = await payouts.lock({asked.payout.payout_id for asked, _ in answers})
    for asked, screening in answers:
        change = changes[asked.payout.payout_id]
        waits = (change.payout.state, change.payout.code) == (
            PayoutState.APPROVED,
            PayoutCode.SCREENING_PENDING,
        )
        if waits and screening.verdict is not Verdict.UNANSWERED:
            change.set(due_at=now)
        elif waits and not asked.payout.in_vain:
            announce_wait(change=change, cause=CAUSE)
    await screenings.add([screening for _, screening in answers])
    await payouts.save()


def _is_reference(text: str) -> bool:
    return 0 < len(text) <= 128 and all("!" <= one <= "~" for one in text)
