"""What persons decide of transactions in review. The ledger is asked first, outside any transaction; what it shows is
weighed again, under the transaction's lock, when evidence is filed and when it is confirmed.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from prizewire_payouts.stellar.domain.model import AccountQuery, LookUp
from prizewire_payouts.stellar.domain.review import (
    Evidence,
    EvidenceState,
    LedgerReport,
    Review,
    ReviewOutcome,
    Settlement,
    check_confirmer,
    check_filer,
    evaluate_evidence,
    open_evidence,
)
from prizewire_payouts.stellar.domain.states import ReviewNotFound, ReviewRefused
from prizewire_payouts.stellar.ports import ChainRpc, Reviews, RpcUnavailable

EVIDENCE_GRACE_S = 60
"""Seconds of ledger time between the end of a slot's last digest and a decision: the signer frees a slot's
payouts only once none of the slot's digests may be applied by its own clock, which may lag behind the ledger's.
"""


async def ask_ledger(*, rpcs: Sequence[ChainRpc], review: Review, tx_hash: str | None) -> LedgerReport:
    """What every node says of the slot's account, of each digest of the slot, and of ``tx_hash``.

    Raises:
        RpcUnavailable: one of them does not answer, so that nothing can be decided.
    """
    hashes = dict.fromkeys([*(one.tx_hash for one in review.digests), *([tx_hash] if tx_hash else [])])
    said = await asyncio.gather(*(_ask(rpc, review.account, tuple(hashes)) for rpc in rpcs))
    look_ups: dict[str, list[LookUp]] = {name: [] for name in hashes}
    for one in said:
        for name, found in one.look_ups.items():
            look_ups[name].extend(found)
    sequences = [one.sequence for one in said if one.sequence is not None]
    return LedgerReport(
        sequence=min(sequences) if sequences else None,
        ledger=min(one.ledger for one in said),
        close_time=min(one.close_time for one in said),
        look_ups=look_ups,
    )


async def _ask(rpc: ChainRpc, account: str, hashes: Sequence[str]) -> LedgerReport:
    moment = await rpc.latest_ledger()
    read = await rpc.accounts([AccountQuery(account)])
    if read.ledger < moment.sequence:
        raise RpcUnavailable("the node fell back behind what it said before")
    facts = read.accounts.get(account)
    found = {name: [await rpc.look_up(name)] for name in hashes}
    return LedgerReport(
        sequence=None if facts is None else facts.sequence,
        ledger=moment.sequence,
        close_time=moment.close_time,
        look_ups=found,
    )


async def file_evidence(
    reviews: Reviews,
    *,
    attempt_id: int,
    evidence_id: UUID,
    outcome: ReviewOutcome,
    tx_hash: str | None,
    ledger: int | None,
    found: str,
    reason: str,
    by: str,
    report: LedgerReport | None,
    now: datetime,
) -> Review:
    """Keep what a first person found of a transaction in review; nothing follows before a second one confirms it.

    Raises:
        ReviewNotFound: there is none.
        ReviewRefused: see ``check_filer`` and ``evaluate_evidence``.
    """
    review = await _locked(reviews, attempt_id)
    check_filer(review=review, by=by)
    evaluate_evidence(
        review=review,
        outcome=outcome,
        tx_hash=tx_hash,
        ledger=ledger,
        report=_report_of(report),
        after_s=None,
    )
    filed = Evidence(
        evidence_id=evidence_id,
        state=EvidenceState.FILED,
        outcome=outcome,
        tx_hash=tx_hash,
        ledger=ledger,
        found=found,
        reason=reason,
        filed_by=by,
        filed_at=now,
    )
    await reviews.file(review, filed)
    return replace(review, evidence=(*review.evidence, filed))


async def confirm_evidence(
    reviews: Reviews,
    *,
    attempt_id: int,
    evidence_id: UUID,
    outcome: ReviewOutcome,
    tx_hash: str | None,
    note: str | None,
    by: str,
    report: LedgerReport | None,
    grace_s: int,
    now: datetime,
) -> tuple[Review, Settlement]:
    """Confirm as the second person what the first one filed, in so many words; it is settled at once.

    Raises:
        ReviewNotFound: there is none.
        ReviewRefused: see ``check_confirmer`` and ``evaluate_evidence``.
    """
    review = await _locked(reviews, attempt_id)
    evidence = check_confirmer(
        review=review, evidence_id=evidence_id, by=by, outcome=outcome, tx_hash=tx_hash
    )
    settlement = evaluate_evidence(
        review=review,
        outcome=evidence.outcome,
        tx_hash=evidence.tx_hash,
        ledger=evidence.ledger,
        report=_report_of(report),
        after_s=grace_s,
    )
    await reviews.decide(evidence_id, state=EvidenceState.CONFIRMED, by=by, note=note, now=now)
    cause = f"evidence {evidence_id}: {evidence.filed_by}, {by}"
    await reviews.settle(review, settlement, cause=cause, now=now)
    return await _locked(reviews, attempt_id), settlement


async def refuse_evidence(
    reviews: Reviews, *, attempt_id: int, evidence_id: UUID, note: str, by: str, now: datetime
) -> Review:
    """Withdraw or refuse evidence; other evidence may be filed then.

    Raises:
        ReviewNotFound: there is none.
        ReviewRefused: see ``open_evidence``.
    """
    review = await _locked(reviews, attempt_id)
    open_evidence(review=review, evidence_id=evidence_id)
    await reviews.decide(evidence_id, state=EvidenceState.REFUSED, by=by, note=note, now=now)
    return await _locked(reviews, attempt_id)


async def _locked(reviews: Reviews, attempt_id: int) -> Review:
    review = await reviews.find(attempt_id, lock=True)
    if review is None:
        raise ReviewNotFound(f"transaction {attempt_id} is not, and never was, in review")
    return review


def _report_of(report: LedgerReport | None) -> LedgerReport:
    """The report of the ledger about a transaction in review. Without one the review began after the ledger was read."""
    if report is None:
        raise ReviewRefused("not_in_review", "the transaction came into review only now: look again")
    return report
