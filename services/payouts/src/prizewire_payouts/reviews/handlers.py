"""Evidence is filed by one person, and confirmed by another: then it is applied as the rail's proved answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from prizewire_contracts.rails import Outcome
from prizewire_payouts.payouts.domain.change import Change
from prizewire_payouts.payouts.handlers.outcomes import Answer, record_answers
from prizewire_payouts.payouts.handlers.watching import Schedule
from prizewire_payouts.payouts.ports import Payouts
from prizewire_payouts.reviews.domain import (
    Evidence,
    EvidenceState,
    Finding,
    Review,
    ReviewRefused,
    check_confirmer,
    check_filer,
    check_no_party,
    open_evidence,
)
from prizewire_payouts.reviews.ports import EvidenceStore, ReviewSource, ReviewSources

_OUTCOMES = {Finding.PAID: Outcome.PAID, Finding.NO_EFFECT: Outcome.NO_EFFECT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """What one person reports of one payment."""

    payout_id: UUID
    evidence_id: UUID
    finding: Finding
    reference: str
    note: str


async def file_evidence(
    payouts: Payouts, store: EvidenceStore, sources: ReviewSources, *, filing: Filing, by: str, now: datetime
) -> Review:
    """Store what a first person found; nothing follows before a second one confirms it.

    Raises:
        PayoutNotFound: there is none.
        ReviewRefused: see `check_filer`.
    """
    change = await payouts.lock_one(filing.payout_id)
    return await _file(change, store, sources, filing=filing, by=by, now=now)


async def file_all(
    payouts: Payouts,
    store: EvidenceStore,
    sources: ReviewSources,
    *,
    filings: Sequence[Filing],
    by: str,
    dry_run: bool,
    now: datetime,
) -> Mapping[UUID, ReviewRefused | None]:
    """Store evidence about several payouts; by payout, why it was not stored, None where it was. A ``dry_run`` decides the same, and
    stores nothing.
    """
    changes = await payouts.lock({one.payout_id for one in filings})
    refused: dict[UUID, ReviewRefused | None] = {}
    for one in filings:
        change = changes.get(one.payout_id)
        if change is None:
            refused[one.payout_id] = ReviewRefused("not_in_review", f"there is no payout {one.payout_id}")
            continue
        try:
            await _file(change, store, sources, filing=one, by=by, dry_run=dry_run, now=now)
        except ReviewRefused as error:
            refused[one.payout_id] = error
        else:
            refused[one.payout_id] = None
    return refused


async def confirm_evidence(
    payouts: Payouts,
    store: EvidenceStore,
    sources: ReviewSources,
    *,
    payout_id: UUID,
    evidence_id: UUID,
    finding: Finding,
    reference: str,
    note: str | None,
    by: str,
    schedule: Schedule,
    now: datetime,
) -> Review:
    """Confirm as the second person what the first one filed, in so many words. It is applied at once.

    Raises:
        PayoutNotFound: there is none.
        ReviewRefused: see `check_confirmer`; ``proof_contradicts`` where the rail has proved something else.
    """
    review = await _locked(payouts, store, payout_id)
    source = None if review.attempt is None else _source(sources, review.attempt.rail)
    attempt, evidence = check_confirmer(
        review=review,
        evidence_id=evidence_id,
        by=by,
        by_hand=source is not None and source.by_hand,
        finding=finding,
        reference=reference,
    )
    source = _source(sources, attempt.rail)
    result = await source.settle(
        payout=review.payout,
        attempt=attempt,
        finding=finding,
        reference=reference,
        persons=(evidence.filed_by, by),
        now=now,
    )
    if result.outcome is not _OUTCOMES[finding]:
        raise ReviewRefused(
            "proof_contradicts", f"the rail {attempt.rail} has stored {result.outcome} for the payment"
        )
    await store.decide(evidence_id, state=EvidenceState.CONFIRMED, by=by, note=note, now=now)
    answer = Answer(payout_id=payout_id, attempt_no=attempt.attempt_no, result=result)
    for impossible in await record_answers(payouts, [answer], rail=source.rail, schedule=schedule, now=now):
        raise ReviewRefused("proof_contradicts", f"the evidence cannot be applied: {impossible.detail}")
    return await _locked(payouts, store, payout_id)


async def refuse_evidence(
    payouts: Payouts,
    store: EvidenceStore,
    *,
    payout_id: UUID,
    evidence_id: UUID,
    note: str,
    by: str,
    now: datetime,
) -> Review:
    """Withdraw or refuse evidence; other evidence may be filed then.

    Raises:
        PayoutNotFound: there is none.
        ReviewRefused: see `open_evidence`; ``decider_is_party``.
    """
    review = await _locked(payouts, store, payout_id)
    open_evidence(review=review, evidence_id=evidence_id)
    check_no_party(review=review, by=by)
    await store.decide(evidence_id, state=EvidenceState.REFUSED, by=by, note=note, now=now)
    return await _locked(payouts, store, payout_id)


async def _file(
    change: Change,
    store: EvidenceStore,
    sources: ReviewSources,
    *,
    filing: Filing,
    by: str,
    now: datetime,
    dry_run: bool = False,
) -> Review:
    payout_id = filing.payout_id
    evidence = (await store.of([payout_id])).get(payout_id, ())
    review = Review(payout=change.payout, attempt=change.attempt, evidence=evidence)
    source = None if change.attempt is None else _source(sources, change.attempt.rail)
    by_hand = source is not None and source.by_hand
    claimed = source is not None and source.by_hand and await source.claimed(payout_id)
    attempt = check_filer(review=review, finding=filing.finding, by=by, by_hand=by_hand, claimed=claimed)
    filed = Evidence(
        evidence_id=filing.evidence_id,
        payout_id=payout_id,
        attempt_no=attempt.attempt_no,
        rail=attempt.rail,
        state=EvidenceState.FILED,
        finding=filing.finding,
        reference=filing.reference,
        note=filing.note,
        filed_by=by,
        filed_at=now,
    )
    if not dry_run:
        await store.file(filed)
    return replace(review, evidence=(*evidence, filed))


async def _locked(payouts: Payouts, store: EvidenceStore, payout_id: UUID) -> Review:
    change = await payouts.lock_one(payout_id)
    evidence = (await store.of([payout_id])).get(payout_id, ())
    return Review(payout=change.payout, attempt=change.attempt, evidence=evidence)


def _source(sources: ReviewSources, rail: str) -> ReviewSource:
    source = sources.of(rail)
    if source is None:
        raise ReviewRefused(
            "not_in_review",
            f"persons do not prove outcomes of the rail {rail}: its ledger does, or it is not configured",
        )
    return source
