"""What persons decide of a transaction in review: its slot is consumed, and no stored digest explains by what.

One person files evidence, a second one confirms it. What the ledger itself shows is above both: evidence that it
contradicts is refused. Only where no node remembers the transaction do the two persons decide alone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from prizewire_payouts.stellar.domain.model import Kind, LookUp, LookUpStatus, PaymentFacts
from prizewire_payouts.stellar.domain.proof import Verdict, applied
from prizewire_payouts.stellar.domain.states import ReviewRefused, TransactionState


class EvidenceState(StrEnum):
    """Where one piece of evidence stands."""

    FILED = "filed"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


class ReviewOutcome(StrEnum):
    """What evidence says of the payments: that they were made, or that none was."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


EVIDENCE_START: frozenset[EvidenceState] = frozenset({EvidenceState.FILED})
EVIDENCE_EDGES: dict[tuple[EvidenceState, EvidenceState], str] = {
    (
        EvidenceState.FILED,
        EvidenceState.CONFIRMED,
    ): "a second person found the same, and the ledger does not object",
    (EvidenceState.FILED, EvidenceState.REFUSED): "withdrawn, or not believed: other evidence may be filed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one person found. ``tx_hash`` (hex) is what consumed the slot, as far as that is known, ``ledger`` where;
    ``found`` says where others can see it.
    """

    evidence_id: UUID
    state: EvidenceState
    outcome: ReviewOutcome
    tx_hash: str | None
    ledger: int | None
    found: str
    reason: str
    filed_by: str
    filed_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest that was built on the slot: its transaction's kind, until when it may be applied (Unix seconds), and
    the operation of each payment in it.
    """

    tx_hash: str
    kind: Kind
    state: TransactionState
    max_time: int
    operations: Mapping[UUID, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A payment that waits for the decision, with those who may not take part in it."""

    provider_key: UUID
    payout_id: UUID
    asset: str
    amount: str
    facts: PaymentFacts
    memo: str
    player: str | None
    filed_by: str
    sources: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A transaction in review, or one that was: its slot, every digest on it, the payments that wait, the evidence.
    ``why`` is what brought it here, ``parties`` everybody behind one of its payouts.
    """

    attempt_id: int
    state: TransactionState
    kind: Kind
    account: str
    sequence: int
    slot_id: UUID
    tx_hash: str
    since: datetime
    why: str
    digests: tuple[Digest, ...]
    held: tuple[Held, ...]
    evidence: tuple[Evidence, ...]

    @property
    def open(self) -> Evidence | None:
        """The evidence that waits for a second person."""
        return next((one for one in self.evidence if one.state is EvidenceState.FILED), None)

    @property
    def parties(self) -> frozenset[str]:
        """The parties of the waiting payouts: filers, payees, and the parties of their money and destinations."""
        named = {one.filed_by for one in self.held} | {one.player for one in self.held if one.player}
        return frozenset(named | {subject for one in self.held for _, subject in one.sources})


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerReport:
    """What all nodes said: the channel's sequence number (None where the account does not exist) at ``ledger``, that
    closed at ``close_time`` or later, and each hash that was looked up, from every node.
    """

    sequence: int | None
    ledger: int
    close_time: int
    look_ups: Mapping[str, Sequence[LookUp]]

    def applied(self, tx_hash: str, *, sequence: int) -> tuple[Verdict, LookUp] | None:
        """The outcome of this transaction where a node holds it as applied."""
        consumed = self.sequence is None or self.sequence >= sequence
        for look_up in self.look_ups.get(tx_hash, ()):
            verdict = applied(look_up, consumed=consumed)
            if verdict is not None:
                return verdict, look_up
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """The outcome for the slot and the payments that wait: ``result`` is published for the signer with ``tx_hash`` and
    ``ledger``; ``paid`` is the operation of each payment that was made, the others were not. ``seen`` says that the
    ledger itself shows it; ``unsettled`` are payments of that transaction which had ended before.
    """

    outcome: ReviewOutcome
    result: Literal["succeeded", "failed", "expired"]
    tx_hash: str | None
    ledger: int
    fee_charged: int = 0
    paid: Mapping[UUID, int] = field(default_factory=dict)
    seen: bool = False
    unsettled: tuple[UUID, ...] = ()


def check_filer(*, review: Review, by: str) -> None:
    """Whether this person may file evidence now.

    Raises:
        ReviewRefused: ``not_in_review``, ``evidence_open`` or ``decider_is_party``.
    """
    _check_open(review, by)
    if review.open is not None:
        raise ReviewRefused("evidence_open", "evidence waits for its confirmation; refuse it to file another")


def check_confirmer(
    *, review: Review, evidence_id: UUID, by: str, outcome: ReviewOutcome, tx_hash: str | None
) -> Evidence:
    """The evidence that this person may confirm as the second one, found to be what they say.

    Raises:
        ReviewRefused: ``not_in_review``, ``decider_is_party``, ``evidence_not_found``, ``evidence_not_open``,
            ``same_person`` or ``evidence_contradicted``.
    """
    _check_open(review, by)
    evidence = open_evidence(review=review, evidence_id=evidence_id)
    if by == evidence.filed_by:
        raise ReviewRefused("same_person", "who filed evidence does not confirm it")
    if (outcome, tx_hash) != (evidence.outcome, evidence.tx_hash):
        raise ReviewRefused("evidence_contradicted", "the evidence says something else than is confirmed")
    return evidence


def open_evidence(*, review: Review, evidence_id: UUID) -> Evidence:
    """The evidence of this id, which waits for a second person.

    Raises:
        ReviewRefused: ``evidence_not_found``, or ``evidence_not_open`` where it was decided before.
    """
    found = next((one for one in review.evidence if one.evidence_id == evidence_id), None)
    if found is None:
        raise ReviewRefused("evidence_not_found", f"transaction {review.attempt_id} has no such evidence")
    if found.state is not EvidenceState.FILED:
        raise ReviewRefused("evidence_not_open", f"this evidence is {found.state} already")
    return found


def _check_open(review: Review, by: str) -> None:
    if review.state is not TransactionState.REVIEW:
        raise ReviewRefused("not_in_review", f"the transaction is {review.state}: there is nothing to decide")
    if by in review.parties:
        raise ReviewRefused(
            "decider_is_party", f"{by} is a party of one of the payouts; a person who is no party must decide"
        )


def evaluate_evidence(
    *,
    review: Review,
    outcome: ReviewOutcome,
    tx_hash: str | None,
    ledger: int | None,
    report: LedgerReport,
    after_s: int | None,
) -> Settlement:
    """What follows from evidence, beside what the ledger shows.

    ``after_s`` is how many seconds of ledger time must have passed since the last digest of the slot could be
    applied: from then on even a mistake cannot let one of them pay. None asks for no such wait.

    Raises:
        ReviewRefused: ``evidence_incomplete``, ``slot_not_consumed``, ``review_too_early``, ``ledger_contradicts`` (the ledger shows another
            outcome), ``evidence_not_of_slot`` (the transaction is on the ledger, on another slot), or
            ``facts_mismatch`` (it paid something else than the payouts that wait, or nothing of them).
    """
    if outcome is ReviewOutcome.SUCCEEDED and (tx_hash is None or ledger is None):
        raise ReviewRefused("evidence_incomplete", "payments that were made have a tx_hash and a ledger")
    if report.sequence is not None and report.sequence < review.sequence:
        raise ReviewRefused("slot_not_consumed", "the channel's sequence number is still below the slot's")
    if after_s is not None and report.close_time <= max(one.max_time for one in review.digests) + after_s:
        raise ReviewRefused(
            "review_too_early", "a transaction of the slot could be applied until a moment ago"
        )
    for digest in review.digests:
        seen = report.applied(digest.tx_hash, sequence=review.sequence)
        if seen is not None and (digest.tx_hash, str(seen[0])) != (tx_hash, str(outcome)):
            raise ReviewRefused("ledger_contradicts", f"the ledger holds {digest.tx_hash} as {seen[0]}")
    found = None if tx_hash is None else _found(report, tx_hash)
    if found is not None:
        _check_place(review, found, ledger)
    if outcome is ReviewOutcome.SUCCEEDED:
        assert tx_hash is not None
        return _succeeded(review, tx_hash, ledger, found)
    return _failed(review, tx_hash, ledger, found, report)


def _found(report: LedgerReport, tx_hash: str) -> LookUp | None:
    held = (one for one in report.look_ups.get(tx_hash, ()) if one.status is not LookUpStatus.NOT_FOUND)
    return next(held, None)


def _check_place(review: Review, found: LookUp, ledger: int | None) -> None:
    if ledger is not None and found.ledger != ledger:
        raise ReviewRefused("ledger_contradicts", f"the transaction is in the ledger {found.ledger}")
    contents = found.contents
    if contents is None or (contents.source, contents.sequence) != (review.account, review.sequence):
        raise ReviewRefused("evidence_not_of_slot", "the transaction did not consume this slot")


def _succeeded(review: Review, tx_hash: str, ledger: int | None, found: LookUp | None) -> Settlement:
    if found is not None and found.status is not LookUpStatus.SUCCESS:
        raise ReviewRefused("ledger_contradicts", "the ledger holds the transaction as failed")
    own = next((one for one in review.digests if one.tx_hash == tx_hash), None)
    if own is not None:
        operations = own.operations
    elif found is not None:
        operations = _matched(review, found)
    else:
        # Nobody remembers it: then it is the transaction in review, under the hash that the two persons name.
        operations = next(one for one in review.digests if one.tx_hash == review.tx_hash).operations
    held = {one.provider_key for one in review.held}
    paid = {key: op for key, op in operations.items() if key in held}
    if own is None and not paid:
        raise ReviewRefused("facts_mismatch", "the transaction made none of the payments that wait")
    at = found.ledger if found is not None else ledger
    assert at is not None
    return Settlement(
        outcome=ReviewOutcome.SUCCEEDED,
        result="succeeded",
        tx_hash=tx_hash,
        ledger=at,
        fee_charged=_fee(found),
        paid=paid,
        seen=found is not None,
        unsettled=tuple(sorted(set(operations) - held)),
    )


def _matched(review: Review, found: LookUp) -> dict[UUID, int]:
    """The operation of each payment that a transaction which we do not know by its hash has made.

    Raises:
        ReviewRefused: ``facts_mismatch``: it has done anything else beside them.
    """
    assert found.contents is not None
    left = list(review.held)
    paid: dict[UUID, int] = {}
    for index, payment in enumerate(found.contents.payments):
        one = next((held for held in left if _is_payment(held, payment, found)), None)
        if one is None:
            raise ReviewRefused("facts_mismatch", f"operation {index} is none of the payments that wait")
        left.remove(one)
        paid[one.provider_key] = index
    return paid


def _is_payment(held: Held, payment: PaymentFacts | None, found: LookUp) -> bool:
    contents = found.contents
    return (
        payment is not None
        and contents is not None
        and payment == held.facts
        and (contents.memo or "") == held.memo
    )


def _failed(
    review: Review, tx_hash: str | None, ledger: int | None, found: LookUp | None, report: LedgerReport
) -> Settlement:
    own = tx_hash in {one.tx_hash for one in review.digests}
    if found is not None and found.status is LookUpStatus.SUCCESS:
        if own:
            raise ReviewRefused("ledger_contradicts", "the ledger holds the transaction as succeeded")
        payments: Collection[PaymentFacts | None] = () if found.contents is None else found.contents.payments
        if any(_is_payment(held, one, found) for held in review.held for one in payments):
            raise ReviewRefused("facts_mismatch", "the transaction made one of the payments that wait")
    at = found.ledger if found is not None else ledger
    return Settlement(
        outcome=ReviewOutcome.FAILED,
        result="failed" if own else "expired",
        tx_hash=tx_hash,
        ledger=at if at is not None else report.ledger,
        fee_charged=_fee(found),
        seen=found is not None,
    )


def _fee(found: LookUp | None) -> int:
    return found.result.fee_charged if found is not None and found.result is not None else 0
