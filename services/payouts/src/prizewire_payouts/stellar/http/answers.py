"""Transactions in review, their evidence and what was settled, as they are answered."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from prizewire_chassis.http.answers import AnswerModel, Id, Moment
from prizewire_payouts.http import ADDRESS_EXAMPLE, AssetCode, DecimalAmount, PersonName, TxHash
from prizewire_payouts.stellar.domain.model import Kind
from prizewire_payouts.stellar.domain.review import (
    Evidence,
    EvidenceState,
    Review,
    ReviewOutcome,
    Settlement,
)
from prizewire_payouts.stellar.domain.states import TransactionState

_Consumer = Annotated[
    TxHash | None, Field(description="The transaction that consumed the slot, as far as it is known.")
]
_Ledger = Annotated[int | None, Field(description="The ledger it stands in.", examples=[52_417_301])]


class BuiltTransaction(AnswerModel):
    """A transaction that was built on the slot."""

    tx_hash: TxHash
    kind: Annotated[Kind, Field(examples=["payment"])]
    state: Annotated[TransactionState, Field(examples=["review"])]
    max_time: Annotated[
        int, Field(description="Until when it may be applied, in Unix seconds.", examples=[1_795_000_000])
    ]
    payments: Annotated[int, Field(description="How many payments are in it.", examples=[3])]


class WaitingPayout(AnswerModel):
    """A payout that waits for the decision."""

    payout_id: Id
    player: Annotated[str | None, Field(description="Null for an operator's payout.", examples=["ana"])]
    asset: AssetCode
    amount: DecimalAmount
    destination: Annotated[str, Field(description="The Stellar account.", examples=[ADDRESS_EXAMPLE])]
    memo: Annotated[str | None, Field(description="Text on the payment.", examples=[None])]


class EvidenceAnswer(AnswerModel):
    """What one person found of the transaction, and what another one said to it."""

    evidence_id: Id
    state: Annotated[EvidenceState, Field(examples=["filed"])]
    outcome: Annotated[ReviewOutcome, Field(examples=["succeeded"])]
    tx_hash: _Consumer
    ledger: _Ledger
    evidence: Annotated[
        str,
        Field(
            description="What was found, and where others can see it.",
            examples=["History archive, checkpoint 52417343"],
        ),
    ]
    reason: Annotated[str, Field(description="Why a person had to look.", examples=["The nodes forgot it"])]
    filed_by: PersonName
    filed_at: Moment
    decided_by: Annotated[
        str | None, Field(description="Who confirmed or refused it. Null while it waits.", examples=[None])
    ]
    decided_at: Annotated[Moment | None, Field(examples=[None])]
    note: Annotated[str | None, Field(description="What that person said to it.", examples=[None])]


class ReviewAnswer(AnswerModel):
    """A transaction that is or was in review."""

    review_id: Annotated[int, Field(examples=[17])]
    state: Annotated[
        TransactionState, Field(description="`review` until it is decided.", examples=["review"])
    ]
    kind: Annotated[Kind, Field(examples=["payment"])]
    channel: Annotated[
        str, Field(description="The account whose slot was consumed.", examples=[ADDRESS_EXAMPLE])
    ]
    sequence: Annotated[
        str, Field(description="The slot: a sequence number of the channel.", examples=["225000000000017"])
    ]
    slot_id: Id
    tx_hash: Annotated[TxHash, Field(description="The newest transaction on the slot.")]
    in_review_since: Moment
    why: Annotated[
        str,
        Field(
            description="What brought it here.",
            examples=["the slot is consumed, and no stored digest is found on the ledger"],
        ),
    ]
    transactions: Annotated[
        list[BuiltTransaction], Field(description="All that was built on the slot, the first one first.")
    ]
    payouts: Annotated[list[WaitingPayout], Field(description="What waits for the decision.")]
    evidence: Annotated[list[EvidenceAnswer], Field(description="In the order of filing.")]


class SettlementAnswer(AnswerModel):
    """The outcome for the slot and the payments that waited."""

    outcome: Annotated[ReviewOutcome, Field(examples=["succeeded"])]
    tx_hash: _Consumer
    ledger: Annotated[int, Field(description="The ledger it is settled by.", examples=[52_417_301])]
    slot_closed_as: Annotated[
        Literal["succeeded", "failed", "expired"],
        Field(description="The result of the slot in the event for the signer.", examples=["succeeded"]),
    ]
    seen_on_ledger: Annotated[bool, Field(description="Whether a node shows it too.", examples=[True])]
    paid: Annotated[int, Field(description="How many payments were made.", examples=[3])]
    unsettled: Annotated[
        list[UUID],
        Field(
            description="Payments of that transaction, by the provider's key, which had ended before. Somebody must look "
            "at each.",
            examples=[[]],
        ),
    ]


class SettledAnswer(ReviewAnswer):
    """The transaction after its evidence was confirmed."""

    settlement: SettlementAnswer


def review_answer(review: Review) -> ReviewAnswer:
    """A transaction in review as staff see it."""
    return ReviewAnswer(**_members(review))


def settled_answer(review: Review, settlement: Settlement) -> SettledAnswer:
    """The transaction with what was settled."""
    return SettledAnswer(**_members(review), settlement=settlement_answer(settlement))


def settlement_answer(settlement: Settlement) -> SettlementAnswer:
    """What was settled."""
    return SettlementAnswer(
        outcome=settlement.outcome,
        tx_hash=settlement.tx_hash,
        ledger=settlement.ledger,
        slot_closed_as=settlement.result,
        seen_on_ledger=settlement.seen,
        paid=len(settlement.paid),
        unsettled=list(settlement.unsettled),
    )


def _members(review: Review) -> dict[str, Any]:
    """The members of ``ReviewAnswer``."""
    return {
        "review_id": review.attempt_id,
        "state": review.state,
        "kind": review.kind,
        "channel": review.account,
        "sequence": str(review.sequence),
        "slot_id": review.slot_id,
        "tx_hash": review.tx_hash,
        "in_review_since": review.since,
        "why": review.why,
        "transactions": [
            BuiltTransaction(
                tx_hash=one.tx_hash,
                kind=one.kind,
                state=one.state,
                max_time=one.max_time,
                payments=len(one.operations),
            )
            for one in review.digests
        ],
        "payouts": [
            WaitingPayout(
                payout_id=one.payout_id,
                player=one.player,
                asset=one.asset,
                amount=one.amount,
                destination=one.facts.destination,
                memo=one.memo or None,
            )
            for one in review.held
        ],
        "evidence": [_evidence(one) for one in review.evidence],
    }


def _evidence(one: Evidence) -> EvidenceAnswer:
    return EvidenceAnswer(
        evidence_id=one.evidence_id,
        state=one.state,
        outcome=one.outcome,
        tx_hash=one.tx_hash,
        ledger=one.ledger,
        evidence=one.found,
        reason=one.reason,
        filed_by=one.filed_by,
        filed_at=one.filed_at,
        decided_by=one.decided_by,
        decided_at=one.decided_at,
        note=one.note,
    )
