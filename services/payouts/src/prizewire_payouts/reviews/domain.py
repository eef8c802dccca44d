"""Evidence about one attempt: one person files it, another confirms or refuses it. Stored proof is above both."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from prizewire_payouts.errors import CodedError
from prizewire_payouts.payouts.domain.model import Attempt, Payout
from prizewire_payouts.payouts.domain.states import ATTEMPT_OPEN, AttemptState, PayoutState


class ReviewRefused(CodedError):
    """Evidence cannot be filed, confirmed or refused now."""


class EvidenceState(StrEnum):
    """Where one piece of evidence stands."""

    FILED = "filed"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


class Finding(StrEnum):
    """What evidence says of the payment."""

    PAID = "paid"
    NO_EFFECT = "no_effect"


EVIDENCE_START: Final = frozenset({EvidenceState.FILED})
EVIDENCE_EDGES: Final[dict[tuple[EvidenceState, EvidenceState], str]] = {
    (
        EvidenceState.FILED,
        EvidenceState.CONFIRMED,
    ): "a second person found the same, and no proof contradicts",
    (EvidenceState.FILED, EvidenceState.REFUSED): "withdrawn, or not believed: other evidence may be filed",
}
_PROVED: Final = {
    AttemptState.EFFECTED: Finding.PAID,
    AttemptState.REVERSED: Finding.PAID,
    AttemptState.NO_EFFECT: Finding.NO_EFFECT,
}
"""What an ended attempt has proved."""
_IN_REVIEW: Final = frozenset({PayoutState.PENDING, PayoutState.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one person found of one attempt. ``reference`` names the payment at the bank or the vendor, ``note`` says where
    others can see it. ``authentic`` says that payouts wrote it: another row was inserted or changed in the database.
    """

    evidence_id: UUID
    payout_id: UUID
    attempt_no: int
    rail: str
    state: EvidenceState
    finding: Finding
    reference: str
    note: str
    filed_by: str
    filed_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision_note: str | None = None
    authentic: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A payout with the attempt whose outcome is open, None where none is, and all evidence about it, oldest first."""

    payout: Payout
    attempt: Attempt | None
    evidence: tuple[Evidence, ...] = ()

    @property
    def open(self) -> Evidence | None:
        """The evidence that waits for a second person."""
        return next((one for one in self.evidence if one.state is EvidenceState.FILED), None)


def check_filer(*, review: Review, finding: Finding, by: str, by_hand: bool, claimed: bool) -> Attempt:
    """The attempt about which this person may file evidence. ``by_hand`` says that people pay over its rail, ``claimed`` that one of
    them has claimed this payment.

    Raises:
        ReviewRefused: ``proof_contradicts`` where the attempt has ended and proved something else; ``not_in_review``,
            ``line_not_claimed``, ``decider_is_party`` or ``evidence_open``.
    """
    proved = None if review.attempt is None else _PROVED.get(review.attempt.state)
    if proved is not None and proved is not finding:
        raise ReviewRefused("proof_contradicts", contradiction(proved=proved, finding=finding))
    attempt = _open_attempt(review, by, by_hand=by_hand)
    if by_hand and not claimed:
        raise ReviewRefused("line_not_claimed", "no person has claimed the payment: claim it first")
    if review.open is not None:
        raise ReviewRefused("evidence_open", "evidence waits for its confirmation: refuse it to file another")
    return attempt


def contradiction(*, proved: Finding, finding: Finding) -> str:
    """A sentence about a report that contradicts what was proved before."""
    return f"it was proved that the payment is {proved}, and this says {finding}: pay nothing, and ask the bank or the vendor at once"


def check_confirmer(
    *, review: Review, evidence_id: UUID, by: str, by_hand: bool, finding: Finding, reference: str
) -> tuple[Attempt, Evidence]:
    """The evidence that this person may confirm as the second one, with the attempt that it is about. Since it was filed, a rail
    that pays by itself (not ``by_hand``) may have reported that the payment is pending: then it is not confirmed.

    Raises:
        ReviewRefused: ``evidence_not_found``, ``evidence_not_open``, ``evidence_not_authentic``, ``not_in_review``,
            ``decider_is_party``, ``same_person`` or ``evidence_contradicted``.
    """
    evidence = open_evidence(review=review, evidence_id=evidence_id)
    if not evidence.authentic:
        raise ReviewRefused(
            "evidence_not_authentic",
            "nobody filed this evidence here: it was written in the database. Refuse it, and see `prizewire verify`",
        )
    attempt = _open_attempt(review, by, by_hand=by_hand)
    if attempt.attempt_no != evidence.attempt_no:
        raise ReviewRefused(
            "not_in_review", f"the evidence is about attempt {evidence.attempt_no}, which has ended"
        )
    if by == evidence.filed_by:
        raise ReviewRefused("same_person", "the person who filed evidence does not confirm it")
    if (finding, reference) != (evidence.finding, evidence.reference):
        raise ReviewRefused(
            "evidence_contradicted",
            f"the evidence says {evidence.finding} with the reference {evidence.reference!r}, and {finding} with {reference!r} is confirmed: "
            "repeat both as they were filed, or refuse the evidence",
        )
    return attempt, evidence


def open_evidence(*, review: Review, evidence_id: UUID) -> Evidence:
    """The evidence of this id, which waits for a second person.

    Raises:
        ReviewRefused: ``evidence_not_found``, or ``evidence_not_open`` where it was decided before.
    """
    found = next((one for one in review.evidence if one.evidence_id == evidence_id), None)
    if found is None:
        raise ReviewRefused(
            "evidence_not_found", f"the payout {review.payout.payout_id} has no such evidence"
        )
    if found.state is not EvidenceState.FILED:
        raise ReviewRefused("evidence_not_open", f"this evidence is {found.state} already")
    return found


def check_no_party(*, review: Review, by: str) -> None:
    """Whether this person may decide about the payout's evidence.

    Raises:
        ReviewRefused: ``decider_is_party``.
    """
    if by in {subject for _, subject in review.payout.parties}:
        raise ReviewRefused(
            "decider_is_party", f"{by} is a party of the payout: a person who is no party must decide"
        )


def _open_attempt(review: Review, by: str, *, by_hand: bool) -> Attempt:
    payout, attempt = review.payout, review.attempt
    if (
        payout.state not in _IN_REVIEW
        or attempt is None
        or attempt.state not in ATTEMPT_OPEN
        or not attempt.authentic
    ):
        raise ReviewRefused("not_in_review", f"the payout is {payout.state}: its outcome is not open")
    if not by_hand and payout.state is not PayoutState.UNKNOWN:
        raise ReviewRefused(
            "not_in_review", "the rail reports that the payment is pending: wait for its outcome"
        )
    check_no_party(review=review, by=by)
    return attempt
