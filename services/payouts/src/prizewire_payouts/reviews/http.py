"""`/api/admin/payouts/reviews`: payments whose outcome two persons prove, on every rail. Every decision is audited."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, ConfigDict, Field

from prizewire_chassis.auth import Principal, Role, require
from prizewire_chassis.http import Action, RequiredKey
from prizewire_chassis.http.answers import AnswerModel, Id, Items, Moment
from prizewire_chassis.http.refusals import Refusals
from prizewire_contracts import text
from prizewire_payouts.http import AssetCode, Context, CorrelationId, DecimalAmount, PersonName, RailName
from prizewire_payouts.http import Reason as Doubt
from prizewire_payouts.payouts.domain.states import PayoutNotFound, PayoutState
from prizewire_payouts.payouts.handlers.watching import Schedule
from prizewire_payouts.payouts.storage.payouts import PayoutStorage
from prizewire_payouts.payouts.storage.queries import PayoutFilter, PayoutQueries
from prizewire_payouts.rails.ports import Rail
from prizewire_payouts.reviews.adapters import RailSources, reviewed
from prizewire_payouts.reviews.domain import Evidence, EvidenceState, Finding, Review
from prizewire_payouts.reviews.handlers import Filing, confirm_evidence, file_evidence, refuse_evidence
from prizewire_payouts.reviews.storage import PAGE_MAX, EvidenceStorage
from prizewire_payouts.unit_of_work import UnitOfWork

_PATH = "/api/admin/payouts/reviews"
_NO_PAYOUT: Refusals = {404: ("payout_not_found",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReviewContext(Context):
    """The context of the controller: the configured rails, and the schedule of what follows an outcome."""

    rails: Sequence[Rail]
    schedule: Schedule


class NewPaymentEvidence(BaseModel):
    """What one person found of a payment."""

    model_config = ConfigDict(extra="forbid")

    finding: Finding = Field(
        description="paid: the recipient has the money, or it left for them for good. no_effect: nothing was paid, and nothing "
        "will be.",
        examples=["paid"],
    )
    reference: text.Line = Field(
        description="What names the payment, or its refusal, at the bank or the vendor.",
        examples=["2026-11-21/17"],
    )
    note: text.Reason = Field(
        description="Where others can see it.", examples=["Account statement of 21 November, line 17"]
    )


class PaymentConfirmation(BaseModel):
    """The second person's confirmation, which repeats what was filed."""

    model_config = ConfigDict(extra="forbid")

    finding: Finding = Field(description="As in the evidence.", examples=["paid"])
    reference: text.Line = Field(description="As in the evidence.", examples=["2026-11-21/17"])
    note: text.Reason | None = Field(None, examples=["Seen in the same statement"])


class PaymentEvidenceAnswer(AnswerModel):
    """Evidence about one attempt."""

    evidence_id: Id
    attempt_no: Annotated[int, Field(examples=[1])]
    rail: RailName
    state: Annotated[EvidenceState, Field(examples=["filed"])]
    finding: Annotated[Finding, Field(examples=["paid"])]
    reference: Annotated[str, Field(examples=["2026-11-21/17"])]
    note: Annotated[str, Field(examples=["Account statement of 21 November, line 17"])]
    filed_by: PersonName
    filed_at: Moment
    decided_by: Annotated[str | None, Field(description="Null while it waits.", examples=[None])]
    decided_at: Annotated[Moment | None, Field(examples=[None])]
    decision_note: Annotated[str | None, Field(examples=[None])]


class PaymentReviewAnswer(AnswerModel):
    """A payout whose outcome persons prove, or proved, with all evidence about it."""

    payout_id: Id
    correlation_id: CorrelationId
    state: Annotated[PayoutState, Field(examples=["unknown"])]
    asset: AssetCode
    amount: DecimalAmount
    rail: Annotated[RailName | None, Field(description="Null before a rail was chosen.")]
    evidence: list[PaymentEvidenceAnswer]


def review_answer(review: Review) -> PaymentReviewAnswer:
    """A review as staff see it."""
    payout = review.payout
    return PaymentReviewAnswer(
        payout_id=payout.payout_id,
        correlation_id=payout.correlation_id,
        state=payout.state,
        asset=payout.amount.asset.code,
        amount=payout.amount.to_wire(),
        rail=payout.rail,
        evidence=[_evidence_answer(one) for one in review.evidence],
    )


def _evidence_answer(one: Evidence) -> PaymentEvidenceAnswer:
    return PaymentEvidenceAnswer(
        evidence_id=one.evidence_id,
        attempt_no=one.attempt_no,
        rail=one.rail,
        state=one.state,
        finding=one.finding,
        reference=one.reference,
        note=one.note,
        filed_by=one.filed_by,
        filed_at=one.filed_at,
        decided_by=one.decided_by,
        decided_at=one.decided_at,
        decision_note=one.decision_note,
    )


def payment_reviews_controller(context: PaymentReviewContext) -> type[Controller]:
    """The controller over this context."""

    class PaymentReviewsController(Controller):
        path = _PATH
        guards = [require(Role.OPERATOR, Role.APPROVER, Role.ADMIN)]  # noqa: RUF012 - Litestar reads a plain list
        tags = ["payouts admin"]  # noqa: RUF012 - Litestar reads a plain list

        @get(
            "/",
            summary="Payments whose outcome persons prove",
            description="First those with evidence that waits for a second person, then those whose outcome the rail does not know; "
            f"the oldest first, at most {PAGE_MAX}. Transactions of a chain are listed by `/api/admin/payouts/reviews/transactions`.",
        )
        async def list_reviews(self) -> Items[PaymentReviewAnswer]:
            async def read(unit_of_work: UnitOfWork) -> list[Review]:
                store = EvidenceStorage(unit_of_work)
                ids = await store.waiting([rail.name for rail in reviewed(context.rails)])
                evidence = await store.of(ids)
                wanted = PayoutFilter(ids=tuple(ids), limit=PAGE_MAX)
                found = await PayoutQueries(unit_of_work).page(wanted) if ids else []
                by_id = {one.payout_id: one for one in found}
                return [
                    Review(payout=by_id[one], attempt=None, evidence=evidence.get(one, ()))
                    for one in ids
                    if one in by_id
                ]

            return Items(items=[review_answer(one) for one in await context.read(read)])

        @get(
            "/{payout_id:uuid}",
            summary="All evidence about one payout, decided evidence too",
            refusals=_NO_PAYOUT,
        )
        async def review(self, payout_id: FromPath[UUID]) -> PaymentReviewAnswer:
            async def read(unit_of_work: UnitOfWork) -> Review:
                payout = await PayoutQueries(unit_of_work).find(payout_id)
                if payout is None:
                    raise PayoutNotFound(f"there is no payout {payout_id}")
                evidence = await EvidenceStorage(unit_of_work).of([payout_id])
                return Review(payout=payout, attempt=None, evidence=evidence.get(payout_id, ()))

            return review_answer(await context.read(read))

        @post(
            "/{payout_id:uuid}/evidence",
            summary="File evidence about a payment, as the first of two persons",
            refusals={
                **_NO_PAYOUT,
                403: ("decider_is_party",),
                409: ("not_in_review", "line_not_claimed", "evidence_open", "proof_contradicts"),
            },
        )
        async def file(
            self,
            payout_id: FromPath[UUID],
            data: JSONBody[NewPaymentEvidence],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> Response[PaymentReviewAnswer]:
            async def file(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, PaymentReviewAnswer]:
                review = await file_evidence(
                    PayoutStorage(action.unit_of_work),
                    EvidenceStorage(action.unit_of_work),
                    RailSources(context.rails, unit_of_work=action.unit_of_work),
                    filing=Filing(
                        payout_id=payout_id,
                        evidence_id=action.id,
                        finding=data.finding,
                        reference=data.reference,
                        note=data.note,
                    ),
                    by=action.actor.subject,
                    now=action.now,
                )
                await record_evidence(
                    action, "payout.evidence_filed", review, evidence_id=action.id, reason=data.note
                )
                return 201, review_answer(review)

            return await context.once(
                file,
                answers=PaymentReviewAnswer,
                actor=request.user,
                route=f"POST {_PATH}/{payout_id}/evidence",
                key=key,
                body=data.model_dump(mode="json"),
            )

        @post(
            "/{payout_id:uuid}/evidence/{evidence_id:uuid}/confirm",
            status_code=200,
            guards=[require(Role.APPROVER, Role.ADMIN)],
            summary="Confirm evidence about a payment, as the second of two persons: it is applied at once",
            refusals={
                404: ("payout_not_found", "evidence_not_found"),
                403: ("decider_is_party", "same_person"),
                409: (
                    "not_in_review",
                    "evidence_not_open",
                    "evidence_contradicted",
                    "proof_contradicts",
                    "evidence_not_authentic",
                ),
            },
        )
        async def confirm(
            self,
            payout_id: FromPath[UUID],
            evidence_id: FromPath[UUID],
            data: JSONBody[PaymentConfirmation],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> Response[PaymentReviewAnswer]:
            async def confirm(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, PaymentReviewAnswer]:
                review = await confirm_evidence(
                    PayoutStorage(action.unit_of_work),
                    EvidenceStorage(action.unit_of_work),
                    RailSources(context.rails, unit_of_work=action.unit_of_work),
                    payout_id=payout_id,
                    evidence_id=evidence_id,
                    finding=data.finding,
                    reference=data.reference,
                    note=data.note,
                    by=action.actor.subject,
                    schedule=context.schedule,
                    now=action.now,
                )
                await record_evidence(
                    action, "payout.evidence_confirmed", review, evidence_id=evidence_id, reason=data.note
                )
                return 200, review_answer(review)

            return await context.once(
                confirm,
                answers=PaymentReviewAnswer,
                actor=request.user,
                route=f"POST {_PATH}/{payout_id}/evidence/{evidence_id}/confirm",
                key=key,
                body=data.model_dump(mode="json"),
            )

        @post(
            "/{payout_id:uuid}/evidence/{evidence_id:uuid}/refuse",
            status_code=200,
            summary="Withdraw or refuse evidence about a payment",
            refusals={
                404: ("payout_not_found", "evidence_not_found"),
                403: ("decider_is_party",),
                409: ("evidence_not_open",),
            },
        )
        async def refuse(
            self,
            payout_id: FromPath[UUID],
            evidence_id: FromPath[UUID],
            data: JSONBody[Doubt],
            request: Request[Principal, Any, Any],
            key: RequiredKey = None,
        ) -> Response[PaymentReviewAnswer]:
            async def refuse(action: Action[UnitOfWork, UnitOfWork]) -> tuple[int, PaymentReviewAnswer]:
                review = await refuse_evidence(
                    PayoutStorage(action.unit_of_work),
                    EvidenceStorage(action.unit_of_work),
                    payout_id=payout_id,
                    evidence_id=evidence_id,
                    note=data.reason,
                    by=action.actor.subject,
                    now=action.now,
                )
                await record_evidence(
                    action, "payout.evidence_refused", review, evidence_id=evidence_id, reason=data.reason
                )
                return 200, review_answer(review)

            return await context.once(
                refuse,
                answers=PaymentReviewAnswer,
                actor=request.user,
                route=f"POST {_PATH}/{payout_id}/evidence/{evidence_id}/refuse",
                key=key,
                body=data.model_dump(mode="json"),
            )

    return PaymentReviewsController


async def record_evidence(
    action: Action[UnitOfWork, UnitOfWork],
    name: str,
    review: Review,
    *,
    evidence_id: UUID,
    reason: str | None,
) -> None:
    """Add an audit record of what the caller did with evidence."""
    evidence = next(one for one in review.evidence if one.evidence_id == evidence_id)
    await action.record(
        name,
        target=str(review.payout.payout_id),
        reason=reason,
        detail={
            "evidence_id": str(evidence_id),
            "finding": str(evidence.finding),
            "reference": evidence.reference,
            "filed_by": evidence.filed_by,
            "state": str(review.payout.state),
        },
        correlation_id=review.payout.correlation_id,
    )
